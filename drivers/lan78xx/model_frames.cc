// SPDX-License-Identifier: Apache-2.0 OR MIT
// Frames in transfers, as the chip writes them and as it reads them.
#include <algorithm>

#include "drivers/lan78xx/model.h"
#include "drivers/lan78xx/model_ip.h"

namespace usernic::lan78xx {
namespace {

constexpr uint8_t kFcs[kFcsBytes] = {0xfc, 0x5f, 0xc5, 0xcf};  // nobody looks at it, but it is there
constexpr uint32_t kSizeBounds[] = {64, 127, 255, 511, 1023, 1518};

// Of words A and B. In a frame that keeps its tag the chip finds no IP.
std::pair<uint32_t, uint32_t> sums_of(std::span<const uint8_t> frame, uint32_t control) noexcept {
  if ((control & kRfeSums) != kRfeSums) return {kRxNoSum, 0};
  const uint32_t raw = uint32_t{raw_sum(frame.subspan(kHeaderBytes))} << kRxRawSumShift;
  const auto ip = find_ip(frame, kHeaderBytes);
  if (!ip) return {0, raw};
  uint32_t a = ip->protocol == kTcp ? kRxTcp : ip->protocol == kUdp ? kRxUdp : kRxIp;
  if (ip->v6) a |= kRxIpv6;
  if (!header_sum_right(frame, *ip)) a |= kRxIpSumBad;
  if (!transport_sum_right(frame, *ip)) a |= kRxSumBad;
  return {a, raw};
}

}  // namespace

// A transfer to the host in the making.
class Model::Burst {
 public:
  // False: no room.
  bool add(std::span<const uint8_t> frame, bool tagged, uint32_t control) noexcept {
    const bool strip = tagged && (control & kRfeVlanStrip) != 0;
    const uint32_t tag_bytes = strip ? kVlanTagBytes : 0;
    const uint32_t at = round_up(size_, kRxAlignment);
    const uint32_t size = std::max(kFrameMin, static_cast<uint32_t>(frame.size())) - tag_bytes;
    if (at + kRxHeaderBytes + size + kFcsBytes > octets_.size()) return false;
    std::fill(octets_.begin() + size_, octets_.begin() + at, uint8_t{0});
    const std::span<uint8_t> octets = std::span(octets_).subspan(at + kRxHeaderBytes, size);
    auto rest = std::copy(frame.begin(), frame.begin() + 12, octets.begin());
    rest = std::copy(frame.begin() + 12 + tag_bytes, frame.end(), rest);
    std::fill(rest, octets.end(), uint8_t{0});
    std::ranges::copy(kFcs, octets_.begin() + at + kRxHeaderBytes + size);
    auto [a, b] = sums_of(octets, control);
    if (tagged) a |= kRxTagged, b |= uint32_t{frame[14]} << 8 | frame[15];
    put_le32(octets_, at, a | (size + kFcsBytes));
    put_le32(octets_, at + 4, b);
    octets_[at + 8] = octets_[at + 9] = 0;
    size_ = at + kRxHeaderBytes + size + kFcsBytes;
    return true;
  }
  std::span<const uint8_t> whole() const noexcept { return std::span(octets_).first(size_); }

 private:
  uint32_t size_ = 0;
  std::array<uint8_t, kFifoBytes> octets_;
};

bool Model::receive(std::span<const uint8_t> frame) noexcept {
  return receive_together(std::span(&frame, 1));
}

bool Model::receive_together(std::span<const std::span<const uint8_t>> frames) noexcept {
  uint64_t passed = 0;
  Burst burst;
  for (const std::span<const uint8_t> frame : frames) {
    if (frame.size() < kHeaderBytes || frame.size() > kFrameMax) continue;
    bool tagged = false;
    uint32_t control = 0;
    {
      SpinGuard guard(lock_);
      if (!hears()) {
        counters_.deaf.fetch_add(1);
        continue;
      }
      if (frame.size() + kFcsBytes > (value(kMacRx) >> kMacRxMaxShift & kMacRxMaxMask)) {
        count_one(kRxOversize);
        continue;
      }
      if (!passes_vlan(frame) || !accepts_locked(MacAddress::from_bytes(frame.data()))) {
        counters_.filtered.fetch_add(1);
        continue;
      }
      count(kRxOctets, kRxFrames, kRxSizes, frame);
      control = value(kRfeCtl);
      tagged = is_tagged(frame);
    }
    passed += burst.add(frame, tagged, control) ? 1 : 0;
  }
  if (passed == 0) return false;
  const bool taken = to_host_ != nullptr && to_host_->deliver(kBulkIn, burst.whole());
  (taken ? counters_.received : counters_.overrun).fetch_add(passed);
  if (!taken) {
    SpinGuard guard(lock_);
    count_one(kRxDropped, static_cast<uint32_t>(passed));
  }
  return taken;
}

void Model::count_one(uint32_t counter, uint32_t more) noexcept {
  counted_[counter] += more;
}

// Octets with FCS.
void Model::count(Counter octets, Counter frames, Counter sizes, std::span<const uint8_t> frame) noexcept {
  const MacAddress destination = MacAddress::from_bytes(frame.data());
  const uint32_t size = std::max(kFrameMin, static_cast<uint32_t>(frame.size())) + kFcsBytes;
  const uint32_t kind = destination.is_broadcast() ? 1 : destination.is_multicast() ? 2 : 0;
  const auto bound = std::ranges::find_if(kSizeBounds, [&](uint32_t most) { return size <= most; });
  count_one(octets + kind, size);
  count_one(frames + kind);
  count_one(sizes + static_cast<uint32_t>(bound - std::begin(kSizeBounds)));
}

// --- From the host ---

Result<> Model::out(uint8_t endpoint, std::span<const uint8_t> octets) {
  if (endpoint != kBulkOut) return fail(std::errc::broken_pipe);
  Frames frames;
  if (!take_frames(octets, frames)) {
    counters_.bad.fetch_add(1);
    return {};
  }
  counters_.transfers.fetch_add(1);
  usb::Cable* cable = nullptr;
  bool sends = false;
  {
    SpinGuard guard(lock_);
    sends = phy_.link() && (value(kMacTx) & kMacEnable) != 0 && (value(kFctTxCtl) & kFctEnable) != 0;
    if (sends) cable = cable_;
    for (const auto& frame : frames) {
      if (sends) count(kTxOctets, kTxFrames, kTxSizes, frame);
    }
  }
  (sends ? counters_.sent : counters_.not_sent).fetch_add(frames.size());
  if (cable == nullptr) return {};
  for (const auto& frame : frames) cable->hear(frame);
  return {};
}

// False: a rule was broken.
bool Model::take_frames(std::span<const uint8_t> octets, Frames& frames) {
  for (size_t at = 0; at < octets.size(); at = round_up(static_cast<uint32_t>(at), kTxAlignment)) {
    if (octets.size() - at < kTxHeaderBytes) return false;
    const uint32_t a = le32(octets, at), b = le32(octets, at + 4), size = a & kTxLength;
    at += kTxHeaderBytes;
    if (size < kHeaderBytes || size > octets.size() - at) return false;
    const std::span<const uint8_t> frame = octets.subspan(at, size);
    at += size;
    if (!finish({frame.begin(), frame.end()}, a, b, frames)) return false;
  }
  return true;
}

// What goes out on the wire for one frame and its words, before its FCS.
bool Model::finish(std::vector<uint8_t> frame, uint32_t a, uint32_t b, Frames& frames) {
  if ((a & kTxFcs) == 0) return false;  // then the host would append it
  if ((a & kTxInsertTag) != 0) {
    const uint8_t tag[] = {0x81, 0x00, uint8_t(b >> 8), uint8_t(b)};
    frame.insert(frame.begin() + 12, std::begin(tag), std::end(tag));
  }
  const bool tagged = frame.size() >= kHeaderBytes + kVlanTagBytes && frame[12] == 0x81 && frame[13] == 0x00;
  const size_t network = kHeaderBytes + (tagged ? kVlanTagBytes : 0);
  Frames parts;
  if ((a & kTxSegment) != 0) {
    const uint32_t payload = b >> kTxSegmentShift & kTxSegmentMask;
    if (payload >= kTxSegmentMin) parts = cut(frame, network, payload);
    if (parts.empty()) return false;
  } else {
    parts.push_back(std::move(frame));
  }
  for (auto& part : parts) {
    if (const auto ip = find_ip(part, network)) {
      if ((a & kTxIpSum) != 0) write_header_sum(part, *ip);
      if ((a & kTxTcpUdpSum) != 0) write_transport_sum(part, *ip);
    }
    if (part.size() > kFrameMax) return false;
    part.resize(std::max<size_t>(part.size(), kFrameMin));
    frames.push_back(std::move(part));
  }
  return true;
}

}  // namespace usernic::lan78xx
