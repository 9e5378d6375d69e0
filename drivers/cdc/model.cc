// SPDX-License-Identifier: Apache-2.0 OR MIT
// Descriptors, requests and the filter. How frames lie in transfers is in model_frames.cc.
#include "drivers/cdc/model.h"

#include <fmt/format.h>

namespace usernic::cdc {
namespace {

constexpr uint8_t kControlInterface = 0, kDataInterface = 1, kMacString = 3;
constexpr uint32_t kBitsPerSecond = 100'000'000;
constexpr uint32_t kNtbInMaxDefault = 16 * 1024;

struct Codes {
  uint8_t product;
  usb::ClassCode control;
};
constexpr Codes codes_of(Framing framing) {
  switch (framing) {
    case Framing::kEcm:
      return {0x10, {0x02, 0x06, 0}};
    case Framing::kNcm:
      return {0x11, {0x02, 0x0d, 0}};
    case Framing::kRndis:
      break;
  }
  return {0x12, {0xe0, 0x01, 0x03}};
}

uint8_t low(uint32_t value) {
  return static_cast<uint8_t>(value);
}

}  // namespace

Model::Model(const Make& make, const MacAddress& permanent) : make_(make), permanent_(permanent) {
  for (const uint8_t octet : permanent.octets) mac_text_ += fmt::format("{:02X}", octet);
  describe();
}

// --- Descriptors ---

std::span<const uint8_t> Model::device_descriptor() const {
  // USB 2.0, class of its interfaces; pid.codes' numbers for tests; strings 1 to 2, one configuration.
  static constexpr auto kOctets = [] {
    std::array<std::array<uint8_t, 18>, 3> devices{};
    for (const Framing framing : {Framing::kEcm, Framing::kNcm, Framing::kRndis}) {
      devices[static_cast<size_t>(framing)] = {18,   1,    0,    2, 0, 0, 0, 64, 0x09, 0x12, codes_of(framing).product,
                                               0x00, 0x00, 0x01, 1, 2, 0, 1};
    }
    return devices;
  }();
  return kOctets[static_cast<size_t>(make_.framing)];
}

void Model::describe() {
  const bool rndis = make_.framing == Framing::kRndis;
  const usb::ClassCode control = codes_of(make_.framing).control;
  auto& all = configuration_;
  const auto add = [&all](std::initializer_list<uint8_t> octets) { all.insert(all.end(), octets); };
  add({9, 2, 0, 0, 2, 1, 0, 0xc0, 50});
  add({9, 4, kControlInterface, 0, make_.notifies, control.interface_class, control.subclass, control.protocol, 0});
  add({5, kClassSpecificInterface, 0x00, 0x20, 0x01});
  add({5, kClassSpecificInterface, kUnion, kControlInterface, kDataInterface});
  if (!rndis) {
    add({13, kClassSpecificInterface, kEthernet, kMacString, 0, 0, 0, 0, low(make_.segment), low(make_.segment >> 8),
         low(make_.multicasts), low(make_.multicasts >> 8), 0});
  }
  if (make_.framing == Framing::kNcm) add({6, kClassSpecificInterface, kNcm, 0x00, 0x01, make_.capabilities});
  if (make_.notifies) add({7, 5, kInterruptIn, 3, low(rndis ? kNotificationBytes : 16), 0, 9});
  // NCM speaks a protocol of its own on its data interface [NCM 4.3].
  const uint8_t protocol = make_.framing == Framing::kNcm ? 1 : 0;
  if (!rndis) add({9, 4, kDataInterface, 0, 0, kClassData, 0, protocol, 0});
  add({9, 4, kDataInterface, !rndis, 2, kClassData, 0, protocol, 0});
  add({7, 5, kBulkIn, 2, 0x00, 0x02, 0});
  add({7, 5, kBulkOut, 2, 0x00, 0x02, 0});
  put_le16(all, 2, static_cast<uint32_t>(all.size()));
}

std::string_view Model::string(uint8_t index) const {
  const std::string_view strings[] = {"", "usernic", "network function model", mac_text_};
  return index < std::size(strings) ? strings[index] : "";
}

// --- Life ---

void Model::power_on() {
  set_configuration(0);
}

void Model::set_configuration(uint8_t) {
  SpinGuard guard(lock_);
  own_ = permanent_;
  pass_ = 0;
  list_.clear();
  wide_ = crc_ = false;
  answers_.clear();
  data_on_ = make_.framing == Framing::kRndis;
}

void Model::set_interface(uint8_t interface, uint8_t alternate) {
  if (interface != kDataInterface || make_.framing == Framing::kRndis) return;
  {
    SpinGuard guard(lock_);
    data_on_ = alternate != 0;
    pass_ = 0;
    list_.clear();
    if (!data_on_) wide_ = crc_ = false;
    if (!data_on_) return;
  }
  say_link();
}

void Model::connect_cable(usb::Cable* cable) {
  SpinGuard guard(lock_);
  cable_ = cable;
}

void Model::set_link(bool up) {
  {
    SpinGuard guard(lock_);
    link_ = up;
    if (make_.framing == Framing::kRndis) {
      std::vector<uint8_t> indicate(kRndisIndicateBytes);
      put_le32(indicate, 0, kRndisIndicate);
      put_le32(indicate, kRndisLength, kRndisIndicateBytes);
      put_le32(indicate, kRndisIndicateStatus, up ? kRndisConnected : kRndisDisconnected);
      answers_.push_back(indicate);
    }
  }
  say_link();
}

// Tells the host; of an RNDIS function, that something waits for it.
void Model::say_link() {
  if (!make_.notifies || to_host_ == nullptr) return;
  if (make_.framing == Framing::kRndis) {
    const uint8_t available[kNotificationBytes] = {1};
    to_host_->deliver(kInterruptIn, available);
    return;
  }
  bool up = false;
  {
    SpinGuard guard(lock_);
    up = link_;
  }
  uint8_t speed[kNotificationBytes + 8] = {kFromInterface, kConnectionSpeedChange, 0, 0, kControlInterface, 0, 8, 0};
  put_le32(speed, kNotificationBytes, up ? kBitsPerSecond : 0);
  put_le32(speed, kNotificationBytes + 4, up ? kBitsPerSecond : 0);
  to_host_->deliver(kInterruptIn, speed);
  const uint8_t connection[kNotificationBytes] = {
      kFromInterface, kNetworkConnection, up, 0, kControlInterface, 0, 0, 0};
  to_host_->deliver(kInterruptIn, connection);
}

// --- Requests ---

Result<uint32_t> Model::control(const usb::Setup& setup, std::span<uint8_t> data) {
  if (setup.index != kControlInterface) return fail(std::errc::broken_pipe);
  bool says = false;
  {
    SpinGuard guard(lock_);
    if (setup.request_type == kFromInterface) return get(setup.request, data);
    if (setup.request_type != kToInterface || !set(setup, data)) return fail(std::errc::broken_pipe);
    says = setup.request == kSendEncapsulatedCommand && !answers_.empty();
  }
  if (says) say_link();
  return static_cast<uint32_t>(data.size());
}

Result<uint32_t> Model::get(uint8_t request, std::span<uint8_t> data) {
  const auto copy = [&](std::span<const uint8_t> octets) {
    const size_t size = std::min(octets.size(), data.size());
    std::copy_n(octets.begin(), size, data.begin());
    return static_cast<uint32_t>(size);
  };
  if (request == kGetEncapsulatedResponse && make_.framing == Framing::kRndis) {
    if (answers_.empty() && make_.stalls_when_silent) return fail(std::errc::broken_pipe);
    if (answers_.empty()) return copy(std::array<uint8_t, 1>{});
    const std::vector<uint8_t> answer = answers_.front();
    answers_.pop_front();
    return copy(answer);
  }
  if (request != kGetNtbParameters || make_.framing != Framing::kNcm) return fail(std::errc::broken_pipe);
  std::array<uint8_t, kNtbParameterBytes> octets{};
  put_le16(octets, 0, kNtbParameterBytes);
  put_le16(octets, kNtbFormats, make_.wide ? 1 | kNtb32Supported : 1);
  put_le32(octets, kNtbInMax, kNtbInMaxDefault);
  put_le32(octets, kNtbOutMax, kBlockMax);
  for (const NtbParameter divisor : {kNdpInDivisor, kNdpOutDivisor}) put_le16(octets, divisor, make_.divisor);
  for (const NtbParameter remainder : {kNdpInRemainder, kNdpOutRemainder}) put_le16(octets, remainder, make_.remainder);
  for (const NtbParameter table : {kNdpInAlignment, kNdpOutAlignment}) put_le16(octets, table, make_.alignment);
  put_le16(octets, kNtbOutDatagrams, make_.datagrams);
  return copy(octets);
}

// False: it stalls.
bool Model::set(const usb::Setup& setup, std::span<const uint8_t> data) {
  const auto can = [this](uint8_t what) { return make_.framing == Framing::kNcm && (make_.capabilities & what) != 0; };
  switch (setup.request) {
    case kSendEncapsulatedCommand:
      return make_.framing == Framing::kRndis && understand(data);
    case kSetPacketFilter:
      if (make_.framing != Framing::kEcm && !can(kCanFilter)) return false;
      pass_ = setup.value;
      return true;
    case kSetMulticastFilters:
      if (make_.framing == Framing::kRndis || data.size() != size_t{6} * setup.value) return false;
      return set_list(data);
    case kSetNetAddress:
      if (!can(kCanSetAddress) || data.size() != 6) return false;
      own_ = MacAddress::from_bytes(data.data());
      return true;
    case kSetNtbFormat:
      if (make_.framing != Framing::kNcm || data_on_ || setup.value > (make_.wide ? 1 : 0)) return false;
      wide_ = setup.value == 1;
      return true;
    case kSetCrcMode:
      if (!can(kCanSetCrcMode) || data_on_ || setup.value > 1) return false;
      crc_ = setup.value == 1;
      return true;
    case kSetMaxDatagramSize:
      return can(kCanSetDatagramSize) && data.size() == 2 && le16(data, 0) <= make_.segment;
    case kSetNtbInputSize:
      return make_.framing == Framing::kNcm && data.size() == 4 && le32(data, 0) >= kNtbBytesMin;
    default:
      return false;
  }
}

bool Model::set_list(std::span<const uint8_t> addresses) {
  if (addresses.size() / 6 > make_.multicasts) return false;
  list_.clear();
  for (; addresses.size() >= 6; addresses = addresses.subspan(6)) {
    list_.push_back(MacAddress::from_bytes(addresses.data()));
  }
  return true;
}

// --- RNDIS ---

bool Model::understand(std::span<const uint8_t> message) {
  const uint32_t type = le32(message, 0), oid = le32(message, kRndisOid);
  if (message.size() < kRndisId + 4 || le32(message, kRndisLength) != message.size()) return false;
  std::vector<uint8_t> answer(kRndisDoneBytes);
  if (type == kRndisInitialize) {
    answer.resize(kRndisInitializeDoneBytes);
    put_le32(answer, 16, 1);  // version 1.0, connectionless, of medium 802.3
    put_le32(answer, 24, 1);
    put_le32(answer, kRndisMaxPackets, make_.packets);
    put_le32(answer, kRndisMaxTransfer, kBlockMax);
    put_le32(answer, kRndisAlignment, make_.alignment_bits);
    pass_ = 0;
  } else if (type == kRndisQuery) {
    const std::vector<uint8_t> info = answer_query(oid);
    answer.resize(kRndisQueryDoneBytes);
    put_le32(answer, kRndisStatus, info.empty() ? kRndisNotSupported : kRndisSuccess);
    put_le32(answer, kRndisInfoLength, static_cast<uint32_t>(info.size()));
    put_le32(answer, kRndisInfoOffset, info.empty() ? 0 : kRndisQueryDoneBytes - kRndisBase);
    answer.insert(answer.end(), info.begin(), info.end());
  } else if (type == kRndisSet) {
    const size_t offset = size_t{kRndisBase} + le32(message, kRndisInfoOffset);
    const size_t length = le32(message, kRndisInfoLength);
    if (offset > message.size() || length > message.size() - offset) return false;
    put_le32(answer, kRndisStatus, answer_set(oid, message.subspan(offset, length)));
  } else if (type != kRndisKeepalive) {
    return type == kRndisHalt;
  }
  put_le32(answer, 0, type | kRndisDone);
  put_le32(answer, kRndisLength, static_cast<uint32_t>(answer.size()));
  put_le32(answer, kRndisId, le32(message, kRndisId));
  answers_.push_back(answer);
  return true;
}

// Empty: it knows no such thing.
std::vector<uint8_t> Model::answer_query(uint32_t oid) const {
  const auto number = [](uint32_t value) {
    std::vector<uint8_t> octets(4);
    put_le32(octets, 0, value);
    return octets;
  };
  switch (oid) {
    case kOidFrameMax:
      return number(make_.segment - kHeaderBytes);
    case kOidLinkSpeed:
      return number(kBitsPerSecond / 100);
    case kOidDisconnected:
      return number(!link_);
    case kOidPermanentAddress:
      return {permanent_.octets.begin(), permanent_.octets.end()};
    case kOidMulticastsMax:
      return number(make_.multicasts);
    default:
      return {};
  }
}

uint32_t Model::answer_set(uint32_t oid, std::span<const uint8_t> value) {
  if (oid == kOidMulticasts) return value.size() % 6 == 0 && set_list(value) ? kRndisSuccess : kRndisInvalid;
  if (oid != kOidPacketFilter || value.size() != 4) return kRndisNotSupported;
  const uint32_t ndis = le32(value, 0);
  const auto bit = [&](uint32_t of_ndis, uint16_t of_ecm) { return (ndis & of_ndis) != 0 ? of_ecm : uint16_t{0}; };
  pass_ = static_cast<uint16_t>(bit(kNdisDirected, kPassDirected) | bit(kNdisMulticast, kPassMulticast) |
                                bit(kNdisAllmulti, kPassAllmulti) | bit(kNdisBroadcast, kPassBroadcast) |
                                bit(kNdisPromisc, kPassPromisc));
  return kRndisSuccess;
}

// --- Filter ---

void Model::set_crc(bool on) {
  SpinGuard guard(lock_);
  crc_ = on;
}

bool Model::accepts_locked(const MacAddress& destination) const noexcept {
  if ((pass_ & kPassPromisc) != 0) return true;
  if (destination.is_broadcast()) return (pass_ & kPassBroadcast) != 0;
  if (!destination.is_multicast()) return (pass_ & kPassDirected) != 0 && destination == own_;
  if ((pass_ & kPassAllmulti) != 0) return true;
  return (pass_ & kPassMulticast) != 0 && std::ranges::find(list_, destination) != list_.end();
}

bool Model::accepts(const MacAddress& destination) const noexcept {
  SpinGuard guard(lock_);
  return accepts_locked(destination);
}

usb::NicFilter Model::filter() const {
  SpinGuard guard(lock_);
  return {.receiving = data_on_ && pass_ != 0,
          .own = own_,
          .directed = (pass_ & kPassDirected) != 0,
          .broadcast = (pass_ & kPassBroadcast) != 0,
          .allmulti = (pass_ & kPassAllmulti) != 0,
          .promisc = (pass_ & kPassPromisc) != 0,
          .multicast = (pass_ & kPassMulticast) != 0 ? list_ : std::vector<MacAddress>(),
          .accept = pass_};
}

}  // namespace usernic::cdc
