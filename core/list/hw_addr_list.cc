// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/hw_addr_list.h"

#include <cstring>
#include <memory>
#include <new>

namespace usernic {

bool HwAddrList::Less::operator()(const HwAddr& a, const HwAddr& b) const noexcept {
  const int order = std::memcmp(a.addr, b.addr, HwAddr::kMax);
  return order != 0 ? order < 0 : a.type < b.type;
}

HwAddrList::~HwAddrList() {
  flush();
  spare_.clear_and_dispose(std::default_delete<HwAddr>());
}

HwAddr* HwAddrList::first() noexcept {
  return order_.empty() ? nullptr : &order_.front();
}

HwAddr* HwAddrList::next(HwAddr& entry) noexcept {
  const auto it = std::next(order_.iterator_to(entry));
  return it != order_.end() ? &*it : nullptr;
}

HwAddr* HwAddrList::find(const void* addr, size_t len, uint8_t type) noexcept {
  if (len > HwAddr::kMax) return nullptr;
  HwAddr key;
  std::memcpy(key.addr, addr, len);
  key.type = type;
  const auto it = tree_.lower_bound(key);  // kAny sorts before every type
  if (it == tree_.end() || std::memcmp(it->addr, key.addr, HwAddr::kMax) != 0) return nullptr;
  return type == HwAddr::kAny || it->type == type ? &*it : nullptr;
}

void HwAddrList::link(HwAddr& entry) noexcept {
  order_.push_back(entry);
  tree_.insert(entry);
  ++count_;
}

// A new entry at the end with the address, type and counts of `like`.
HwAddr* HwAddrList::insert(const HwAddr& like) noexcept {
  HwAddr* entry;
  if (spare_.empty()) {
    entry = new (std::nothrow) HwAddr;
    if (entry == nullptr) return nullptr;
  } else {
    entry = &spare_.front();
    spare_.pop_front();
  }
  std::memcpy(entry->addr, like.addr, HwAddr::kMax);
  entry->type = like.type;
  entry->global_use = like.global_use;
  entry->sync_cnt = like.sync_cnt;
  entry->refcount = like.refcount;
  entry->synced = like.synced;
  entry->error = 0;
  link(*entry);
  return entry;
}

void HwAddrList::erase(HwAddr& entry) noexcept {
  tree_.erase(tree_.iterator_to(entry));
  order_.erase(order_.iterator_to(entry));
  spare_.push_front(entry);
  --count_;
}

Result<> HwAddrList::add(const void* addr, size_t len, uint8_t type, unsigned how, int sync_count) {
  if (len > HwAddr::kMax) return fail(std::errc::invalid_argument);
  HwAddr key;
  std::memcpy(key.addr, addr, len);
  key.type = type;
  const auto it = tree_.find(key);
  if (it == tree_.end()) {
    key.global_use = (how & HwAddr::kGlobal) != 0;
    key.synced = (how & HwAddr::kSync) != 0 ? 1 : 0;
    return insert(key) != nullptr ? Result<>() : fail(std::errc::not_enough_memory);
  }
  HwAddr& entry = *it;
  if ((how & HwAddr::kExcl) != 0) return fail(std::errc::file_exists);
  if ((how & HwAddr::kGlobal) != 0 && std::exchange(entry.global_use, true)) return {};
  if ((how & HwAddr::kSync) != 0) {
    if (entry.synced != 0 && sync_count != 0) return fail(std::errc::file_exists);
    ++entry.synced;
  }
  ++entry.refcount;
  return {};
}

Result<> HwAddrList::del(const void* addr, size_t len, uint8_t type, unsigned how) {
  HwAddr* const entry = find(addr, len, type);
  return entry != nullptr ? del(*entry, how) : fail(std::errc::no_such_file_or_directory);
}

Result<> HwAddrList::del(HwAddr& entry, unsigned how) noexcept {
  const bool global = (how & HwAddr::kGlobal) != 0;
  const bool sync = (how & HwAddr::kSync) != 0;
  if ((global && !entry.global_use) || (sync && entry.synced == 0)) return fail(std::errc::no_such_file_or_directory);
  if (global) entry.global_use = false;
  if (sync) --entry.synced;
  if (--entry.refcount == 0) erase(entry);
  return {};
}

void HwAddrList::rewrite(HwAddr& entry, size_t offset, const void* octets, size_t len) noexcept {
  tree_.erase(tree_.iterator_to(entry));
  std::memcpy(entry.addr + offset, octets, len);
  tree_.insert(entry);
}

void HwAddrList::flush() noexcept {
  tree_.clear();
  spare_.splice(spare_.end(), order_);
  count_ = 0;
}

Result<> HwAddrList::sync_one(HwAddrList& to, HwAddr& entry, size_t len) {
  const Result<> added = to.add(entry.addr, len, entry.type, HwAddr::kSync, entry.sync_cnt);
  if (!added) return added.error() == std::errc::file_exists ? Result<>() : added;  // there already: not counted
  ++entry.sync_cnt;
  ++entry.refcount;
  return {};
}

void HwAddrList::unsync_one(HwAddrList& to, HwAddrList& from, HwAddr& entry, size_t len) {
  if (!to.del(entry.addr, len, entry.type, HwAddr::kSync)) return;
  --entry.sync_cnt;
  (void)from.del(entry);
}

// One lower list: pushed once, taken back when only the push holds the entry.
Result<> HwAddrList::sync(HwAddrList& to, HwAddrList& from, size_t len) {
  Result<> result;
  from.each([&](HwAddr& entry) {
    if (entry.sync_cnt == 0) {
      result = sync_one(to, entry, len);
    } else if (entry.refcount == 1) {
      unsync_one(to, from, entry, len);
    }
    return result.has_value();
  });
  return result;
}

// Several lower lists: an entry that only pushes hold is taken back, from each in its turn.
Result<> HwAddrList::sync_multiple(HwAddrList& to, HwAddrList& from, size_t len) {
  Result<> result;
  from.each([&](HwAddr& entry) {
    if (entry.sync_cnt == entry.refcount) {
      unsync_one(to, from, entry, len);
    } else {
      result = sync_one(to, entry, len);
    }
    return result.has_value();
  });
  return result;
}

void HwAddrList::unsync(HwAddrList& to, HwAddrList& from, size_t len) {
  from.each([&](HwAddr& entry) {
    if (entry.sync_cnt != 0) unsync_one(to, from, entry, len);
    return true;
  });
}

Result<> HwAddrList::snapshot(HwAddrList& copy) const {
  for (const HwAddr& entry : order_) {
    HwAddr* const twin = copy.insert(entry);
    if (twin == nullptr) {
      copy.flush();
      return fail(std::errc::not_enough_memory);
    }
    twin->global_use = false;
    twin->synced = 0;
  }
  return {};
}

void HwAddrList::reconcile(HwAddrList& work, HwAddrList& ref) {
  ref.each([&](HwAddr& before) {
    const HwAddr* const after = work.find(before.addr, HwAddr::kMax, before.type);
    const int pushed = (after != nullptr ? after->sync_cnt : 0) - before.sync_cnt;
    if (pushed == 0) return true;
    HwAddr* const entry = find(before.addr, HwAddr::kMax, before.type);
    if (entry != nullptr) {
      entry->sync_cnt += pushed;
      entry->refcount += pushed;
      if (entry->refcount <= 0) erase(*entry);
    } else if (pushed > 0) {
      // The twin itself moves over: that takes no memory.
      ref.erase(before);
      ref.spare_.pop_front();
      before.sync_cnt = before.refcount = pushed;
      before.error = 0;
      link(before);
    }
    return true;
  });
  work.flush();
  ref.flush();
}

}  // namespace usernic
