// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/rx/kernel_lists.h"

#include <cerrno>
#include <new>

#include "core/lock/mutation.h"

namespace usernic {

void KernelLists::forget(bool in_call) {
  doubtful_.clear();
  for (HwAddrList& list : lists_) {
    for (HwAddr* entry = list.first(); in_call && entry != nullptr; entry = list.next(*entry)) {
      if (entry->sync_cnt != 0) doubtful_.insert(MacAddress::from_bytes(entry->addr));
    }
    list.flush();
  }
}

HwAddr* KernelLists::find(const RxStep& step) noexcept {
  return list_of(step).find(step.command.address.octets.data(), step.command.address.octets.size());
}

HwAddr& KernelLists::make(AddressClass address_class, const MacAddress& address) {
  const uint8_t type = address_class == AddressClass::kMulticast ? HwAddr::kMulticast : HwAddr::kUnicast;
  HwAddrList& of = list(address_class);
  if (!of.add(address.octets.data(), address.octets.size(), type)) throw std::bad_alloc();
  return *of.find(address.octets.data(), address.octets.size());
}

void KernelLists::match(AddressClass address_class, std::span<const std::pair<MacAddress, int>> wanted) {
  HwAddrList& of = list(address_class);
  for (HwAddr* entry = of.first(); entry != nullptr; entry = of.next(*entry)) entry->refcount = entry->sync_cnt;
  for (const auto& [address, references] : wanted) {
    HwAddr* entry = of.find(address.octets.data(), address.octets.size());
    if (entry != nullptr) {
      entry->refcount += references;
    } else {
      make(address_class, address).refcount = references;
    }
  }
  for (HwAddr* entry = of.first(); entry != nullptr;) {
    HwAddr& each = *std::exchange(entry, of.next(*entry));
    if (each.refcount != 0) continue;
    each.refcount = 1;
    (void)of.del(each);
  }
}

void KernelLists::bring_up_to_date(std::span<const RxStep> steps) {
  for (const RxStep& step : steps) {
    if (!is_address(step)) continue;
    const RxCommand& command = step.command;
    HwAddrList& list = list_of(step);
    HwAddr* entry = find(step);
    const bool wanted = entry != nullptr && entry->refcount > entry->sync_cnt;
    const bool doubtful = doubtful_.contains(command.address);
    if (doubtful && entry != nullptr && command.kind == RxCommandKind::kAdd && !wanted) {  // to be pushed, not believed
      (void)list.del(*entry);
      entry = nullptr;
    }
    if ((command.kind == RxCommandKind::kAdd && !wanted) || (doubtful && entry == nullptr)) {
      HwAddr& made = make(step.address_class(), command.address);
      if (command.kind == RxCommandKind::kDel) made.sync_cnt = 1;  // stale
    } else if (command.kind == RxCommandKind::kDel && wanted) {
      (void)list.del(*entry);
    }
  }
  for (HwAddrList& list : lists_) (void)take_use(list);  // what somebody did between the calls
}

// What sync_cnt says of one address of a list that the driver pushes from.
KernelLists::Fate KernelLists::fate_of(const RxStep& step, const Use& use, int call_error, int& error) {
  if (!use.pushed) return Fate::kAsTheCall;
  HwAddr* const entry = find(step);
  if (step.command.kind == RxCommandKind::kDel) {
    if (entry != nullptr && entry->error == -ENOENT)
      (void)list_of(step).del(*entry);  // it was not there
    else if (entry != nullptr)
      error = entry->error != 0 ? entry->error : -EIO;  // it stays, stale
    return error == 0 ? Fate::kDone : Fate::kFailed;
  }
  if (entry != nullptr && entry->sync_cnt != 0) return Fate::kDone;
  error = entry != nullptr ? entry->error : -EIO;
  if (error == 0 && !use.cut_short) {  // nothing kept it off the card but the driver itself, which answers for it
    if (call_error == 0) return Fate::kDone;
    error = call_error;
  }
  if (entry != nullptr) (void)list_of(step).del(*entry);
  if (error == 0 && mutated(Mutation::kCutShortBelieved)) return Fate::kDone;
  return error != 0 ? Fate::kFailed : Fate::kNotReached;
}

}  // namespace usernic
