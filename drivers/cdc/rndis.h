// SPDX-License-Identifier: Apache-2.0 OR MIT
// cdc: RNDIS: a transfer is one or several messages with a frame each; everything else is asked by messages, too, which
// go and come by control transfers.
#pragma once

#include <array>
#include <optional>

#include "bus/usbnet/rndis_packets.h"
#include "drivers/cdc/protocol.h"

namespace usernic::cdc {

// A message of the device that is no frame.
struct RndisMessage {
  uint32_t type = 0;
  uint32_t id = 0, status = 0;
  std::span<const uint8_t> info;  // a query's answer
};
// Nothing: it is none, or not as long as it says or has to be.
std::optional<RndisMessage> parse_rndis_message(std::span<const uint8_t> octets) noexcept;

class Rndis final : public Protocol {
 public:
  Result<Station> set_up(Control& control) override;
  Result<> accept(Control& control, const Accepted* accepted) override;
  Result<> list(Control& control, std::span<const MacAddress> multicasts) override;
  Result<News> fetch(Control& control) override;
  bool pack(usb::TxBlock& block, std::span<const uint8_t> frame) noexcept USERNIC_NONBLOCKING override;
  bool seal(usb::TxBlock& block) noexcept USERNIC_NONBLOCKING override;
  bool unpack(std::span<const uint8_t> octets, usb::RxFrames& frames) noexcept USERNIC_NONBLOCKING override;

 private:
  static constexpr size_t kAnswerBytes = 1025;  // [RNDIS 2.2: the least that is to be asked for]

  Result<RndisMessage> ask(Control& control, std::span<uint8_t> message);
  Result<std::optional<RndisMessage>> look(Control& control);
  Result<std::span<const uint8_t>> query(Control& control, Oid oid);
  Result<uint32_t> query_number(Control& control, Oid oid, uint32_t otherwise);
  Result<> set(Control& control, Oid oid, std::span<const uint8_t> value);

  usb::RndisLayout layout_;
  uint32_t id_ = 0;                             // of the last request
  News news_;                                   // that came in between
  std::array<uint8_t, kAnswerBytes> answer_{};  // what an answer's `info` is in
};

}  // namespace usernic::cdc
// Explained best by: drivers/cdc/rndis_test.cc
