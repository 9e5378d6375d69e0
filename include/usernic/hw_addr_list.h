// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: the kernel's hardware address list, as a value: references, and what was pushed from it and into it.
//
// The core's own lists are AddressLists. A driver of the kernel's style is given HwAddrLists, and code in that style
// has such lists of its own. Locks: the owner's. Deletion keeps the memory for the next addition, so a legacy
// set_rx_mode, which runs under addr_list_lock, allocates and frees nothing. [kernel: netdev_hw_addr_list]
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "usernic/annotations.h"
#include "usernic/error.h"
#include "usernic/hw_addr.h"

namespace usernic {

struct HwAddrList {
 public:
  HwAddrList() = default;
  ~HwAddrList();
  HwAddrList(const HwAddrList&) = delete;
  HwAddrList& operator=(const HwAddrList&) = delete;

  uint32_t count() const noexcept { return count_; }
  // In order of addition; null at the end.
  HwAddr* first() noexcept USERNIC_NONBLOCKING;
  HwAddr* next(HwAddr& entry) noexcept USERNIC_NONBLOCKING;
  // With kAny the type is ignored.
  HwAddr* find(const void* addr, size_t len, uint8_t type = HwAddr::kAny) noexcept USERNIC_NONBLOCKING;

  // One reference more. EINVAL: longer than kMax. EEXIST: kExcl and present, or kSync, pushed here before and
  // `sync_count` not 0. A second kGlobal is no error and counts once.
  Result<> add(const void* addr, size_t len, uint8_t type, unsigned how = HwAddr::kPlain, int sync_count = 0);
  // One reference less; gone with the last. ENOENT: not there, or no reference of that kind.
  Result<> del(const void* addr, size_t len, uint8_t type, unsigned how = HwAddr::kPlain);
  Result<> del(HwAddr& entry, unsigned how = HwAddr::kPlain) noexcept USERNIC_NONBLOCKING;
  // Writes `len` octets of the entry's address from `offset` on; what it is found by changes with it.
  void rewrite(HwAddr& entry, size_t offset, const void* octets, size_t len) noexcept USERNIC_NONBLOCKING;
  void flush() noexcept USERNIC_NONBLOCKING;  // everything goes, whatever its references

  // List to list. `sync` for one lower list, `sync_multiple` for several; the first error ends it.
  static Result<> sync(HwAddrList& to, HwAddrList& from, size_t len);
  static Result<> sync_multiple(HwAddrList& to, HwAddrList& from, size_t len);
  static void unsync(HwAddrList& to, HwAddrList& from, size_t len);

  // List to device. First it takes back stale entries: unsync(dev, addr) != 0 leaves an entry for later. Then it pushes
  // new entries: the first sync(dev, addr) != 0, a negative errno, ends it and is returned.
  template <class Dev, class Sync, class Unsync>
  int sync_dev(Dev* dev, Sync sync, Unsync unsync);
  // Takes back all that was pushed; with a null `unsync` only the counts.
  template <class Dev, class Unsync>
  void unsync_dev(Dev* dev, Unsync unsync);
  // The same, with callbacks (dev, addr, refs) that get the number of references. Not to be mixed with sync_dev.
  template <class Dev, class Sync, class Unsync>
  int ref_sync_dev(Dev* dev, Sync sync, Unsync unsync);
  template <class Dev, class Unsync>
  void ref_unsync_dev(Dev* dev, Unsync unsync);

  // `copy`, an empty list, gets every entry with its sync_cnt and refcount. ENOMEM: it stays empty.
  Result<> snapshot(HwAddrList& copy) const;
  // `work` and `ref` are snapshots, made together; somebody pushed or took back entries of `work`. This list takes over
  // the difference, and both are empty afterwards. An entry that is gone here and was pushed there comes back stale.
  void reconcile(HwAddrList& work, HwAddrList& ref);

  // Was one of the *_dev functions called since the last take_used?
  bool take_used() noexcept { return std::exchange(used_, false); }
  // Did one of them end at an error since the last take_cut_short?
  bool take_cut_short() noexcept { return std::exchange(cut_short_, false); }

 private:
  struct Less {
    bool operator()(const HwAddr& a, const HwAddr& b) const noexcept;
  };
  using Order = boost::intrusive::list<
      HwAddr, boost::intrusive::constant_time_size<false>,
      boost::intrusive::member_hook<HwAddr, boost::intrusive::list_member_hook<>, &HwAddr::list_hook>>;
  using Tree = boost::intrusive::multiset<
      HwAddr, boost::intrusive::member_hook<HwAddr, boost::intrusive::set_member_hook<>, &HwAddr::tree_hook>,
      boost::intrusive::compare<Less>>;

  // Null: there is no memory.
  HwAddr* insert(const HwAddr& like) noexcept;
  void link(HwAddr& entry) noexcept;
  void erase(HwAddr& entry) noexcept USERNIC_NONBLOCKING;
  static Result<> sync_one(HwAddrList& to, HwAddr& entry, size_t len);
  static void unsync_one(HwAddrList& to, HwAddrList& from, HwAddr& entry, size_t len);
  template <class Call, class... Args>
  static int call_if(Call& call, Args... args) {
    if constexpr (std::is_pointer_v<Call>) {
      if (call == nullptr) return 0;
    }
    if constexpr (!std::is_null_pointer_v<Call>) return call(args...);
    return 0;
  }
  template <class Body>
  void each(Body&& body) {
    for (HwAddr* entry = first(); entry != nullptr;) {
      HwAddr& now = *entry;
      entry = next(now);  // the body may delete it
      if (!body(now)) return;
    }
  }

  Order order_;
  Tree tree_;
  Order spare_;  // deleted entries, for the next additions
  uint32_t count_ = 0;
  bool used_ = false;
  bool cut_short_ = false;
};

template <class Dev, class Sync, class Unsync>
int HwAddrList::sync_dev(Dev* dev, Sync sync, Unsync unsync) {
  used_ = true;
  each([&](HwAddr& entry) {
    if (entry.sync_cnt == 0 || entry.refcount != 1) return true;
    entry.error = call_if(unsync, dev, &entry.addr[0]);
    if (entry.error != 0) return true;
    --entry.sync_cnt;
    (void)del(entry);
    return true;
  });
  int error = 0;
  each([&](HwAddr& entry) {
    if (entry.sync_cnt != 0) return true;
    error = entry.error = sync(dev, &entry.addr[0]);
    if (error != 0) return false;
    ++entry.sync_cnt;
    ++entry.refcount;
    return true;
  });
  cut_short_ = cut_short_ || error != 0;
  return error;
}

template <class Dev, class Unsync>
void HwAddrList::unsync_dev(Dev* dev, Unsync unsync) {
  used_ = true;
  each([&](HwAddr& entry) {
    if (entry.sync_cnt == 0 || call_if(unsync, dev, &entry.addr[0]) != 0) return true;
    --entry.sync_cnt;
    (void)del(entry);
    return true;
  });
}

// Half of an entry's references stand for the device's: a device that was told of all has sync_cnt == refcount / 2.
template <class Dev, class Sync, class Unsync>
int HwAddrList::ref_sync_dev(Dev* dev, Sync sync, Unsync unsync) {
  used_ = true;
  each([&](HwAddr& entry) {
    const int users = entry.refcount - entry.sync_cnt;
    if (entry.sync_cnt <= users || call_if(unsync, dev, &entry.addr[0], users) != 0) return true;
    entry.sync_cnt = users;
    entry.refcount = 2 * users + 1;  // one more, for del to take
    (void)del(entry);
    return true;
  });
  int error = 0;
  each([&](HwAddr& entry) {
    const int users = entry.refcount - entry.sync_cnt;
    if (entry.sync_cnt >= users) return true;
    error = entry.error = sync(dev, &entry.addr[0], users);
    if (error != 0) return false;
    entry.sync_cnt = users;
    entry.refcount = 2 * users;
    return true;
  });
  cut_short_ = cut_short_ || error != 0;
  return error;
}

template <class Dev, class Unsync>
void HwAddrList::ref_unsync_dev(Dev* dev, Unsync unsync) {
  used_ = true;
  each([&](HwAddr& entry) {
    if (entry.sync_cnt == 0 || call_if(unsync, dev, &entry.addr[0], entry.sync_cnt) != 0) return true;
    entry.refcount -= entry.sync_cnt - 1;
    entry.sync_cnt = 0;
    (void)del(entry);
    return true;
  });
}

}  // namespace usernic
// Explained best by: core/list/hw_addr_list_test.cc
