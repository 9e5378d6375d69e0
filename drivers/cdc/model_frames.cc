// SPDX-License-Identifier: Apache-2.0 OR MIT
// Frames in transfers, as the function writes them and as it insists that the host does.
#include "drivers/cdc/model.h"

namespace usernic::cdc {
namespace {

// Bit by bit, as the standard says it [IEEE 802.3, 3.2.9].
uint32_t naive_crc(std::span<const uint8_t> octets) noexcept {
  uint32_t crc = ~0u;
  for (const uint8_t octet : octets) {
    crc ^= octet;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0xedb8'8320u : crc >> 1;
  }
  return ~crc;
}

}  // namespace

// A transfer to the host in the making: for NCM datagrams first, and their table at the end.
class Model::Block {
 public:
  Block(const Make& make, bool wide, bool crc) : make_(make), wide_(wide), crc_(crc) {
    if (make.framing == Framing::kNcm) size_ = wide ? 16 : 12;
  }

  bool add(std::span<const uint8_t> frame) noexcept {
    switch (make_.framing) {
      case Framing::kEcm:
        if (frames_ > 0 || frame.size() > octets_.size()) return false;
        put(frame);
        break;
      case Framing::kNcm:
        if (frames_ == kEntries || size_ + make_.divisor + frame.size() + kTableRoom > octets_.size()) return false;
        while ((size_ + kHeaderBytes) % make_.divisor != make_.remainder) octets_[size_++] = 0;
        entries_[frames_] = {size_, static_cast<uint32_t>(frame.size()) + (crc_ ? kCrcBytes : 0)};
        put(frame);
        if (crc_) put_le32(octets_, size_, naive_crc(frame)), size_ += kCrcBytes;
        break;
      case Framing::kRndis: {
        if (size_ + kRndisPacketBytes + frame.size() + 8 > octets_.size()) return false;
        const uint32_t at = size_, odd = 4;  // the data is not where the header ends
        std::fill_n(octets_.begin() + at, kRndisPacketBytes + odd, uint8_t{0});
        size_ += kRndisPacketBytes + odd;
        put(frame);
        while (size_ % 4 != 0) octets_[size_++] = 0;
        put_le32(octets_, at, kRndisPacket);
        put_le32(octets_, at + kRndisLength, size_ - at);
        put_le32(octets_, at + kRndisDataOffset, kRndisPacketBytes + odd - kRndisBase);
        put_le32(octets_, at + kRndisDataLength, static_cast<uint32_t>(frame.size()));
        break;
      }
    }
    ++frames_;
    return true;
  }

  std::span<const uint8_t> whole() noexcept {
    if (make_.framing != Framing::kNcm) return std::span(octets_).first(size_);
    while (size_ % make_.alignment != 0) octets_[size_++] = 0;
    const uint32_t table = size_, width = wide_ ? 4 : 2;
    size_ += wide_ ? 16 : 8;
    std::fill(octets_.begin() + table, octets_.begin() + size_, uint8_t{0});
    for (uint32_t n = 0; n <= frames_; ++n, size_ += 2 * width) {
      put_le(octets_, size_, n < frames_ ? entries_[n].index : 0, width);
      put_le(octets_, size_ + width, n < frames_ ? entries_[n].length : 0, width);
    }
    put_le32(octets_, table, wide_ ? (crc_ ? kNdp32Crc : kNdp32) : (crc_ ? kNdp16Crc : kNdp16));
    put_le16(octets_, table + 4, size_ - table);
    put_le32(octets_, 0, wide_ ? kNth32 : kNth16);
    put_le16(octets_, 4, wide_ ? 16 : 12);
    put_le(octets_, 8, size_, width);
    put_le(octets_, 8 + width, table, width);
    return std::span(octets_).first(size_);
  }

 private:
  static constexpr uint32_t kEntries = 32, kTableRoom = 512;
  struct Entry {
    uint32_t index, length;
  };
  void put(std::span<const uint8_t> frame) noexcept {
    std::ranges::copy(frame, octets_.begin() + size_);
    size_ += static_cast<uint32_t>(frame.size());
  }

  const Make& make_;
  const bool wide_, crc_;
  uint32_t size_ = 0, frames_ = 0;
  std::array<Entry, kEntries> entries_{};
  std::array<uint8_t, kBlockMax> octets_;
};

bool Model::receive(std::span<const uint8_t> frame) noexcept {
  return receive_together(std::span(&frame, 1));
}

bool Model::receive_together(std::span<const std::span<const uint8_t>> frames) noexcept {
  uint64_t deaf = 0, filtered = 0, passed = 0;
  bool wide = false, crc = false;
  {
    SpinGuard guard(lock_);
    wide = wide_;
    crc = crc_;
  }
  Block block(make_, wide, crc);
  for (const std::span<const uint8_t> frame : frames) {
    if (frame.size() < kHeaderBytes || frame.size() > make_.segment + kVlanTagBytes) continue;
    {
      SpinGuard guard(lock_);
      const bool hears = link_ && data_on_ && pass_ != 0;
      deaf += !hears;
      if (!hears) continue;
      if (!accepts_locked(MacAddress::from_bytes(frame.data()))) {
        ++filtered;
        continue;
      }
    }
    passed += block.add(frame);
  }
  counters_.deaf.fetch_add(deaf);
  counters_.filtered.fetch_add(filtered);
  if (passed == 0) return false;
  const bool taken = to_host_ != nullptr && to_host_->deliver(kBulkIn, block.whole());
  (taken ? counters_.received : counters_.overrun).fetch_add(passed);
  return taken;
}

// --- From the host ---

Result<> Model::out(uint8_t endpoint, std::span<const uint8_t> octets) {
  if (endpoint != kBulkOut) return fail(std::errc::broken_pipe);
  usb::Cable* cable = nullptr;
  {
    SpinGuard guard(lock_);
    if (link_) cable = cable_;
  }
  std::vector<std::span<const uint8_t>> frames;
  if (!take_frames(octets, frames)) {
    counters_.bad.fetch_add(1);
    return {};
  }
  counters_.transfers.fetch_add(1);
  (cable != nullptr ? counters_.sent : counters_.not_sent).fetch_add(frames.size());
  if (cable == nullptr) return {};
  for (const std::span<const uint8_t> frame : frames) {
    // On an Ethernet no frame is shorter; the host may leave that to us.
    std::array<uint8_t, kFrameMin> padded{};
    if (frame.size() < kFrameMin) std::ranges::copy(frame, padded.begin());
    cable->hear(frame.size() < kFrameMin ? std::span<const uint8_t>(padded) : frame);
  }
  return {};
}

// False: a rule was broken.
bool Model::take_frames(std::span<const uint8_t> octets, std::vector<std::span<const uint8_t>>& frames) const {
  if (make_.framing == Framing::kNcm && !take_datagrams(octets, frames)) return false;
  if (make_.framing == Framing::kRndis && !take_packets(octets, frames)) return false;
  if (make_.framing == Framing::kEcm) frames.push_back(octets);
  return std::ranges::all_of(frames, [this](std::span<const uint8_t> frame) {
    return frame.size() >= kHeaderBytes && frame.size() <= make_.segment + kVlanTagBytes;
  });
}

// One header, one table, each datagram where the parameters want it.
bool Model::take_datagrams(std::span<const uint8_t> block, std::vector<std::span<const uint8_t>>& frames) const {
  bool wide = false;
  {
    SpinGuard guard(lock_);
    wide = wide_;
  }
  const size_t width = wide ? 4 : 2, header = wide ? 16 : 12, before = wide ? 16 : 8;
  if (le32(block, 0) != (wide ? kNth32 : kNth16) || le16(block, 4) != header) return false;
  if (block.size() > kBlockMax || le(block, 8, width) != block.size()) return false;
  const size_t table = le(block, 8 + width, width), length = le16(block, table + 4);
  if (table < header || table % make_.alignment != 0 || le32(block, table) != (wide ? kNdp32 : kNdp16)) return false;
  if (length < before + 4 * width || length % 4 != 0 || table + length > block.size()) return false;
  if (le(block, table + (wide ? 8 : 6), width) != 0) return false;
  for (size_t entry = table + before; entry < table + length; entry += 2 * width) {
    const size_t index = le(block, entry, width), size = le(block, entry + width, width);
    if (index == 0 && size == 0) return entry + 2 * width == table + length && !frames.empty();
    if (index < table + length || index + size > block.size()) return false;
    if ((index + kHeaderBytes) % make_.divisor != make_.remainder) return false;
    frames.push_back(block.subspan(index, size));
    if (make_.datagrams != 0 && frames.size() > make_.datagrams) return false;
  }
  return false;  // the end of the table is not marked
}

bool Model::take_packets(std::span<const uint8_t> octets, std::vector<std::span<const uint8_t>>& frames) const {
  const size_t all = octets.size(), alignment = size_t{1} << make_.alignment_bits;
  while (!octets.empty()) {
    const size_t length = le32(octets, kRndisLength);
    if ((all - octets.size()) % alignment != 0 || length > octets.size() || length < kRndisPacketBytes) return false;
    const size_t data = kRndisBase + le32(octets, kRndisDataOffset), size = le32(octets, kRndisDataLength);
    if (le32(octets, 0) != kRndisPacket || data < kRndisPacketBytes || data + size > length) return false;
    frames.push_back(octets.subspan(data, size));
    octets = octets.subspan(length);
  }
  return !frames.empty() && frames.size() <= make_.packets;
}

}  // namespace usernic::cdc
