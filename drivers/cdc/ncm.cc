// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/cdc/ncm.h"

#include <array>

namespace usernic::cdc {

Result<Station> Ncm::set_up(Control& control) {
  Result<Station> station = Ecm::set_up(control);
  if (!station) return station;
  std::array<uint8_t, kNtbParameterBytes> octets{};
  const Result<uint32_t> got = control.get(kGetNtbParameters, octets);
  if (!got) return fail(got.error());
  const auto parameters =
      usb::parse_ntb_parameters(std::span(octets).first(std::min<size_t>(*got, octets.size())), kTransferMax);
  if (!parameters) return fail(std::errc::bad_message);
  layout_ = parameters->out;
  std::array<uint8_t, kTransferMax> block{};
  usb::TxBlock empty{.room = block};
  if (!layout_.add(empty, std::span(block).first(std::min(station->frame_max, kMtuMax) + kVlanTagBytes))) {
    return fail(std::errc::bad_message);
  }
  // Each is what the device begins with, or else as we can take it.
  std::array<uint8_t, 4> number{};
  if (parameters->in_max > kTransferMax) {
    put_le32(number, 0, kTransferMax);
    if (const Result<> done = control.set(kSetNtbInputSize, 0, number); !done) return fail(done.error());
  }
  if (layout_.wide) {
    if (const Result<> done = control.set(kSetNtbFormat, 1); !done) layout_.wide = false;
  }
  if ((function_.capabilities & kCanSetCrcMode) != 0) (void)control.set(kSetCrcMode, 0);
  if ((function_.capabilities & kCanSetDatagramSize) != 0) {
    put_le16(number, 0, station->frame_max);
    (void)control.set(kSetMaxDatagramSize, 0, std::span(number).first(2));
  }
  return station;
}

Result<> Ncm::set_address(Control& control, const MacAddress& address) {
  if ((function_.capabilities & kCanSetAddress) == 0) return fail(std::errc::operation_not_supported);
  auto octets = address.octets;
  return control.set(kSetNetAddress, 0, octets);
}

bool Ncm::pack(usb::TxBlock& block, std::span<const uint8_t> frame) noexcept {
  return layout_.add(block, frame);
}

bool Ncm::seal(usb::TxBlock& block) noexcept {
  layout_.seal(block, sequence_++);
  return block.size < layout_.block_max;  // a full one ends by itself
}

bool Ncm::unpack(std::span<const uint8_t> octets, usb::RxFrames& frames) noexcept {
  usb::NtbReader block(octets);
  while (const auto datagram = block.next()) frames.add(*datagram);
  return !block.broken();
}

}  // namespace usernic::cdc
