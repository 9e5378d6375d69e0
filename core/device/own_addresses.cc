// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/own_addresses.h"

#include <fmt/format.h>

#include <cstring>
#include <new>

#include "core/device/device.h"
#include "usernic/contract_report.h"
#include "usernic/netdev_event.h"

namespace usernic {

OwnAddresses::OwnAddresses(Device& dev, const MacAddress& address) : dev_(dev), shadow_(address) {
  if (!list_.add(address.octets.data(), address.octets.size(), HwAddr::kLan)) throw std::bad_alloc();
}

Result<> OwnAddresses::add(const MacAddress& address, uint8_t type, Place where) {
  const ReportsOn concerned(dev_);
  dev_.engine.device.rtnl.assert_held(where);
  if (const Result<> allowed = call_notifiers(NetdevEvent::kPreChangeAddr, dev_); !allowed) return allowed;
  const Result<> added = list_.add(address.octets.data(), address.octets.size(), type);
  if (added) (void)call_notifiers(NetdevEvent::kChangeAddr, dev_);
  return added;
}

Result<> OwnAddresses::del(const MacAddress& address, uint8_t type, Place where) {
  const ReportsOn concerned(dev_);
  dev_.engine.device.rtnl.assert_held(where);
  const HwAddr& first = *list_.first();
  const bool is_primary = MacAddress::from_bytes(first.addr) == address && (type == HwAddr::kAny || type == first.type);
  if (is_primary && first.refcount == 1) return fail(std::errc::no_such_file_or_directory);
  const Result<> gone = list_.del(address.octets.data(), address.octets.size(), type);
  if (gone) (void)call_notifiers(NetdevEvent::kChangeAddr, dev_);
  return gone;
}

void OwnAddresses::set(size_t offset, const void* octets, size_t len, Place where) {
  const ReportsOn concerned(dev_);
  if (dev_.reg_state_.load() != RegState::kUninitialized) dev_.engine.device.rtnl.assert_held(where);
  (void)check(where);
  if (offset > MacAddress().octets.size() || len > MacAddress().octets.size() - offset) {
    return report_contract("dev-addr-range", "more octets are written than the own address has", where);
  }
  list_.rewrite(*list_.first(), offset, octets, len);
  publish();
}

// The primary entry is what the rest of the device knows. Who wrote it otherwise is forgiven once it was reported.
void OwnAddresses::publish() {
  shadow_ = MacAddress::from_bytes(primary());
  dev_.address_.store(shadow_.to_u64());
  dev_.engine.own_changed(shadow_, dev_.uppers);
}

bool OwnAddresses::check(Place where) {
  const MacAddress found = MacAddress::from_bytes(primary());
  if (found == shadow_) return true;
  report_contract(dev_, "dev-addr-written",
                  fmt::format("the own address was written directly: it is {}, and was set to {}", found.to_string(),
                              shadow_.to_string()),
                  where);
  list_.rewrite(*list_.first(), 0, shadow_.octets.data(), shadow_.octets.size());
  return false;
}

void OwnAddresses::init() {
  const MacAddress none{};
  list_.flush();
  (void)list_.add(none.octets.data(), none.octets.size(), HwAddr::kLan);
  publish();
}

void OwnAddresses::flush() {
  (void)check();
  list_.flush();
  (void)list_.add(shadow_.octets.data(), shadow_.octets.size(), HwAddr::kLan);
}

}  // namespace usernic
