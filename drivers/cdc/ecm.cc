// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/cdc/ecm.h"

#include <array>

namespace usernic::cdc {

Result<Station> Ecm::set_up(Control& control) {
  std::array<uint8_t, 255> text{};
  const Result<uint32_t> got = control.string(function_.mac_string, text);
  if (!got) return fail(got.error());
  const auto address = parse_mac_string(std::span(text).first(std::min<size_t>(*got, text.size())));
  if (!address || !address->is_valid_own()) return fail(std::errc::bad_message);
  return Station{*address, function_.frame_max, function_.multicasts};
}

Result<> Ecm::accept(Control& control, const Accepted* accepted) {
  if ((function_.capabilities & kCanFilter) == 0) return fail(std::errc::operation_not_supported);
  uint16_t pass = 0;
  if (accepted != nullptr) {
    pass = kPassDirected | kPassBroadcast;
    if (accepted->promisc) pass |= kPassPromisc | kPassAllmulti;
    if (accepted->allmulti) pass |= kPassAllmulti;
    if (accepted->listed) pass |= kPassMulticast;
  }
  return control.set(kSetPacketFilter, pass);
}

Result<> Ecm::list(Control& control, std::span<const MacAddress> multicasts) {
  std::vector<uint8_t> data;
  for (const MacAddress& address : multicasts) data.insert(data.end(), address.octets.begin(), address.octets.end());
  return control.set(kSetMulticastFilters, static_cast<uint16_t>(multicasts.size()), data);
}

bool Ecm::pack(usb::TxBlock& block, std::span<const uint8_t> frame) noexcept {
  if (block.frames > 0 || frame.size() > block.room.size()) return false;
  std::ranges::copy(frame, block.room.begin());
  block.size = static_cast<uint32_t>(frame.size());
  block.frames = 1;
  return true;
}

bool Ecm::seal(usb::TxBlock&) noexcept {
  return true;  // the frame's end
}

bool Ecm::unpack(std::span<const uint8_t> octets, usb::RxFrames& frames) noexcept {
  frames.add(octets);
  return true;
}

}  // namespace usernic::cdc
