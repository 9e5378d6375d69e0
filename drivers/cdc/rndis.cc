// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/cdc/rndis.h"

#include <utility>
#include <vector>

namespace usernic::cdc {
namespace {

constexpr Duration kLookFirst = std::chrono::milliseconds(1), kLookLast = std::chrono::milliseconds(32);
constexpr uint32_t kBitsPerUnit = 100;  // of kOidLinkSpeed

std::vector<uint8_t> message(RndisType type, size_t bytes) {
  std::vector<uint8_t> octets(bytes);
  put_le32(octets, 0, type);
  put_le32(octets, kRndisLength, static_cast<uint32_t>(bytes));
  return octets;
}

// A query or a set.
std::vector<uint8_t> about(RndisType type, Oid oid, std::span<const uint8_t> value) {
  std::vector<uint8_t> octets = message(type, kRndisQueryBytes + value.size());
  put_le32(octets, kRndisOid, oid);
  put_le32(octets, kRndisInfoLength, static_cast<uint32_t>(value.size()));
  put_le32(octets, kRndisInfoOffset, kRndisQueryBytes - kRndisBase);
  std::ranges::copy(value, octets.begin() + kRndisQueryBytes);
  return octets;
}

size_t least_bytes(uint32_t type) noexcept {
  switch (type) {
    case kRndisInitialize | kRndisDone:
      return kRndisInitializeDoneBytes;
    case kRndisQuery | kRndisDone:
      return kRndisQueryDoneBytes;
    case kRndisIndicate:
      return kRndisIndicateBytes;
    case kRndisKeepalive:
      return kRndisId + 4;
    default:
      return kRndisDoneBytes;
  }
}

std::errc error_of(uint32_t status) noexcept {
  return status == kRndisNotSupported || status == kRndisInvalid ? std::errc::operation_not_supported
                                                                 : std::errc::io_error;
}

}  // namespace

// --- Frames ---

bool Rndis::pack(usb::TxBlock& block, std::span<const uint8_t> frame) noexcept {
  return layout_.add(block, frame);
}

bool Rndis::seal(usb::TxBlock&) noexcept {
  return true;
}

bool Rndis::unpack(std::span<const uint8_t> octets, usb::RxFrames& frames) noexcept {
  usb::RndisReader reader(octets);
  while (const auto frame = reader.next()) frames.add(*frame);
  return !reader.broken();
}

// --- Messages ---

std::optional<RndisMessage> parse_rndis_message(std::span<const uint8_t> octets) noexcept {
  const uint32_t type = le32(octets, 0), length = le32(octets, kRndisLength);
  if (length > octets.size() || length < least_bytes(type)) return std::nullopt;
  octets = octets.first(length);
  RndisMessage message{.type = type, .id = le32(octets, kRndisId), .status = le32(octets, kRndisStatus)};
  if (type == kRndisIndicate) message.status = le32(octets, kRndisIndicateStatus);
  if (type != (kRndisQuery | kRndisDone)) return message;
  const auto info = usb::rndis_part(octets, le32(octets, kRndisInfoOffset), le32(octets, kRndisInfoLength));
  if (!info) return std::nullopt;
  message.info = *info;
  return message;
}

// The message that waits, if one does; news in it are noted, and a question whether we live is answered.
Result<std::optional<RndisMessage>> Rndis::look(Control& control) {
  const Result<uint32_t> got = control.get(kGetEncapsulatedResponse, answer_);
  // Who has nothing to say says one zero, or stalls [Linux, f_rndis.c].
  if (!got && got.error() == std::errc::broken_pipe) return std::nullopt;
  if (!got) return fail(got.error());
  const auto message = parse_rndis_message(std::span(answer_).first(std::min<size_t>(*got, answer_.size())));
  if (!message) return std::nullopt;
  if (message->type == kRndisIndicate && message->status == kRndisConnected) news_.connected = true;
  if (message->type == kRndisIndicate && message->status == kRndisDisconnected) news_.connected = false;
  if (message->type == kRndisKeepalive) {
    std::array<uint8_t, kRndisDoneBytes> alive{};
    put_le32(alive, 0, kRndisKeepalive | kRndisDone);
    put_le32(alive, kRndisLength, alive.size());
    put_le32(alive, kRndisId, message->id);
    if (const Result<> sent = control.set(kSendEncapsulatedCommand, 0, alive); !sent) return fail(sent.error());
  }
  return message;
}

// Sends a request, and looks for its answer.
Result<RndisMessage> Rndis::ask(Control& control, std::span<uint8_t> message) {
  put_le32(message, kRndisId, ++id_);
  if (const Result<> sent = control.set(kSendEncapsulatedCommand, 0, message); !sent) return fail(sent.error());
  const Time most = Clock::now() + usb::kRequestMost;
  for (Duration pause = kLookFirst; Clock::now() < most; pause = std::min(2 * pause, kLookLast)) {
    const auto got = look(control);
    if (!got) return fail(got.error());
    const std::optional<RndisMessage>& answer = *got;
    if (answer && answer->id == id_ && answer->type == (le32(message, 0) | kRndisDone)) {
      if (answer->status != kRndisSuccess) return fail(error_of(answer->status));
      return *answer;
    }
    if (!answer && control.stop().wait_until(Clock::now() + pause)) return fail(std::errc::operation_canceled);
  }
  return fail(std::errc::timed_out);
}

Result<std::span<const uint8_t>> Rndis::query(Control& control, Oid oid) {
  std::vector<uint8_t> request = about(kRndisQuery, oid, {});
  const Result<RndisMessage> answer = ask(control, request);
  if (!answer) return fail(answer.error());
  return answer->info;
}

// `otherwise`: of a function that does not know.
Result<uint32_t> Rndis::query_number(Control& control, Oid oid, uint32_t otherwise) {
  const auto info = query(control, oid);
  if (!info)
    return info.error() == std::errc::operation_not_supported ? Result<uint32_t>(otherwise) : fail(info.error());
  return info->size() >= 4 ? le32(*info, 0) : otherwise;
}

Result<> Rndis::set(Control& control, Oid oid, std::span<const uint8_t> value) {
  std::vector<uint8_t> request = about(kRndisSet, oid, value);
  const Result<RndisMessage> answer = ask(control, request);
  return answer ? Result<>() : fail(answer.error());
}

// --- The function ---

Result<Station> Rndis::set_up(Control& control) {
  std::vector<uint8_t> initialize = message(kRndisInitialize, kRndisInitializeBytes);
  put_le32(initialize, 12, 1);  // version 1.0
  put_le32(initialize, 20, kTransferMax);
  if (const Result<RndisMessage> begun = ask(control, initialize); !begun) return fail(begun.error());
  layout_ = usb::parse_rndis_layout(answer_, kTransferMax);
  const auto address = query(control, kOidPermanentAddress);
  if (!address) return fail(address.error());
  if (address->size() < 6) return fail(std::errc::bad_message);
  Station station{.permanent = MacAddress::from_bytes(address->data())};
  const Result<uint32_t> mtu = query_number(control, kOidFrameMax, kSegmentUsual - kHeaderBytes);
  if (!mtu) return fail(mtu.error());
  // What does not fit into a transfer is no frame of it.
  const uint32_t around = kRndisPacketBytes + kVlanTagBytes + layout_.alignment;
  if (layout_.transfer_max < around) return fail(std::errc::bad_message);
  station.frame_max = std::min(std::min(*mtu, kMtuMax) + kHeaderBytes, layout_.transfer_max - around);
  const Result<uint32_t> multicasts = query_number(control, kOidMulticastsMax, 0);
  if (!multicasts) return fail(multicasts.error());
  station.multicasts = *multicasts;
  const Result<uint32_t> disconnected = query_number(control, kOidDisconnected, 0);
  if (!disconnected) return fail(disconnected.error());
  const Result<uint32_t> speed = query_number(control, kOidLinkSpeed, 0);
  if (!speed) return fail(speed.error());
  news_ = {.connected = *disconnected == 0};
  if (*speed != 0 && *speed <= UINT32_MAX / kBitsPerUnit) news_.bits_per_second = *speed * kBitsPerUnit;
  return station;
}

Result<> Rndis::accept(Control& control, const Accepted* accepted) {
  uint32_t pass = 0;
  if (accepted != nullptr) {
    pass = kNdisDirected | kNdisBroadcast;
    if (accepted->promisc) pass |= kNdisPromisc | kNdisAllmulti;
    if (accepted->allmulti) pass |= kNdisAllmulti;
    if (accepted->listed) pass |= kNdisMulticast;
  }
  std::array<uint8_t, 4> value{};
  put_le32(value, 0, pass);
  return set(control, kOidPacketFilter, value);
}

Result<> Rndis::list(Control& control, std::span<const MacAddress> multicasts) {
  std::vector<uint8_t> value;
  for (const MacAddress& address : multicasts) value.insert(value.end(), address.octets.begin(), address.octets.end());
  return set(control, kOidMulticasts, value);
}

Result<News> Rndis::fetch(Control& control) {
  const Time most = Clock::now() + usb::kRequestMost;
  while (Clock::now() < most) {
    const auto got = look(control);
    if (!got) return fail(got.error());
    if (!*got) break;
  }
  return std::exchange(news_, {});
}

}  // namespace usernic::cdc
