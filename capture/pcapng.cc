// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "capture/pcapng.h"

#include <fmt/format.h>

#include <cstring>
#include <type_traits>

namespace usernic::pcapng {
namespace {

constexpr uint32_t kByteOrder = 0x1a2b'3c4d;
constexpr uint16_t kEthernet = 1;
constexpr size_t kFrameOfABlock = 12;  // type and length, and the length again at its end
constexpr uint32_t kBlockMax = 16u << 20;

namespace option {
constexpr uint16_t kEnd = 0, kComment = 1;
constexpr uint16_t kApplication = 4;                                                       // of a section
constexpr uint16_t kName = 2, kDescription = 3, kTimeResolution = 9;                       // of an interface
constexpr uint16_t kFlags = 2, kLost = 4;                                                  // of a packet
constexpr uint16_t kStart = 2, kEndTime = 3, kReceived = 4, kDropped = 5, kDelivered = 8;  // of statistics
}  // namespace option

template <class Number>
void put(std::string& to, Number number) {
  to.append(reinterpret_cast<const char*>(&number), sizeof number);
}

template <class Number>
Number get(std::string_view from, size_t at) noexcept {
  Number number;
  std::memcpy(&number, from.data() + at, sizeof number);
  return number;
}

constexpr size_t padded(size_t size) noexcept {
  return (size + 3) & ~size_t{3};
}

void pad(std::string& to, size_t size) {
  to.append(padded(size) - size, '\0');
}

void put_option(std::string& to, uint16_t code, std::string_view value) {
  value = value.substr(0, kTextMax);
  put(to, code);
  put(to, static_cast<uint16_t>(value.size()));
  to.append(value);
  pad(to, value.size());
}

template <class Number>
requires std::is_integral_v<Number>
void put_option(std::string& to, uint16_t code, Number number) {
  put_option(to, code, std::string_view(reinterpret_cast<const char*>(&number), sizeof number));
}

void put_time(std::string& to, uint64_t time_ns) {
  put(to, static_cast<uint32_t>(time_ns >> 32));
  put(to, static_cast<uint32_t>(time_ns));
}

void put_time_option(std::string& to, uint16_t code, uint64_t time_ns) {
  std::string halves;
  put_time(halves, time_ns);
  put_option(to, code, halves);
}

uint64_t time_of(std::string_view octets, size_t at) noexcept {
  return uint64_t{get<uint32_t>(octets, at)} << 32 | get<uint32_t>(octets, at + 4);
}

// Its length is known when it is whole.
class BlockFrame {
 public:
  BlockFrame(std::string& to, BlockType type) : to_(to), begin_(to.size()) {
    put(to_, static_cast<uint32_t>(type));
    put(to_, uint32_t{0});
  }
  void end() {
    const auto length = static_cast<uint32_t>(to_.size() - begin_ + sizeof(uint32_t));
    std::memcpy(to_.data() + begin_ + sizeof(uint32_t), &length, sizeof length);
    put(to_, length);
  }

 private:
  std::string& to_;
  const size_t begin_;
};

// The value of an option, of those that begin at `at`; none: it is not there.
std::optional<std::string_view> find_option(std::string_view block, size_t at, uint16_t code) noexcept {
  const size_t end = block.size() - sizeof(uint32_t);
  while (at + 4 <= end) {
    const auto found = get<uint16_t>(block, at);
    const size_t length = get<uint16_t>(block, at + 2);
    if (found == option::kEnd || at + 4 + length > end) return std::nullopt;
    if (found == code) return block.substr(at + 4, length);
    at += 4 + padded(length);
  }
  return std::nullopt;
}

std::optional<uint64_t> find_number(std::string_view block, size_t at, uint16_t code) noexcept {
  const auto value = find_option(block, at, code);
  if (!value || value->size() != sizeof(uint64_t)) return std::nullopt;
  return get<uint64_t>(*value, 0);
}

}  // namespace

void add_section(std::string& to, std::string_view application) {
  BlockFrame block(to, BlockType::kSection);
  put(to, kByteOrder);
  put(to, uint16_t{1});  // version 1.0
  put(to, uint16_t{0});
  put(to, int64_t{-1});  // as long as it is
  put_option(to, option::kApplication, application);
  put_option(to, option::kEnd, "");
  block.end();
}

void add_interface(std::string& to, const Interface& interface) {
  BlockFrame block(to, BlockType::kInterface);
  put(to, kEthernet);
  put(to, uint16_t{0});
  put(to, interface.snap_bytes);
  put_option(to, option::kName, interface.name);
  if (!interface.description.empty()) put_option(to, option::kDescription, interface.description);
  put_option(to, option::kTimeResolution, uint8_t{9});  // a ns
  put_option(to, option::kEnd, "");
  block.end();
}

void add_packet(std::string& to, const Packet& packet) {
  BlockFrame block(to, BlockType::kPacket);
  put(to, uint32_t{0});  // the interface
  put_time(to, packet.time_ns);
  put(to, static_cast<uint32_t>(packet.octets.size()));
  put(to, packet.wire_bytes);
  to.append(reinterpret_cast<const char*>(packet.octets.data()), packet.octets.size());
  pad(to, packet.octets.size());
  put_option(to, option::kFlags, static_cast<uint32_t>(packet.direction));
  if (packet.lost_before != 0) put_option(to, option::kLost, packet.lost_before);
  for (const std::string& comment : packet.comments) put_option(to, option::kComment, comment);
  put_option(to, option::kEnd, "");
  block.end();
}

// Its fields are lines.
void add_journal(std::string& to, uint64_t time_ns, std::string_view message) {
  BlockFrame block(to, BlockType::kJournal);
  const size_t begin = to.size();
  to += fmt::format("__REALTIME_TIMESTAMP={}\nPRIORITY=6\nSYSLOG_IDENTIFIER=usernic\nMESSAGE=", time_ns / 1000);
  for (const char octet : message.substr(0, kTextMax)) to += octet == '\n' ? ' ' : octet;
  to += '\n';
  pad(to, to.size() - begin);
  block.end();
}

void add_statistics(std::string& to, const Statistics& statistics) {
  BlockFrame block(to, BlockType::kStatistics);
  put(to, uint32_t{0});  // the interface
  put_time(to, statistics.to_ns);
  put_time_option(to, option::kStart, statistics.from_ns);
  put_time_option(to, option::kEndTime, statistics.to_ns);
  put_option(to, option::kReceived, statistics.delivered + statistics.lost);
  put_option(to, option::kDropped, statistics.lost);
  put_option(to, option::kDelivered, statistics.delivered);
  if (!statistics.comment.empty()) put_option(to, option::kComment, statistics.comment);
  put_option(to, option::kEnd, "");
  block.end();
}

uint64_t Block::time_ns() const noexcept {
  constexpr size_t kHead = 28;
  return type == BlockType::kPacket && octets.size() >= kHead ? time_of(octets, 12) : 0;
}

uint64_t Block::lost_before() const noexcept {
  constexpr size_t kHead = 28;
  if (type != BlockType::kPacket || octets.size() < kHead + sizeof(uint32_t)) return 0;
  return find_number(octets, kHead + padded(get<uint32_t>(octets, 20)), option::kLost).value_or(0);
}

std::optional<Statistics> Block::statistics() const noexcept {
  constexpr size_t kHead = 20;
  if (type != BlockType::kStatistics || octets.size() < kHead + sizeof(uint32_t)) return std::nullopt;
  Statistics found{.to_ns = time_of(octets, 12)};
  if (const auto from = find_option(octets, kHead, option::kStart); from && from->size() == 8) {
    found.from_ns = time_of(*from, 0);
  }
  found.delivered = find_number(octets, kHead, option::kDelivered).value_or(0);
  found.lost = find_number(octets, kHead, option::kDropped).value_or(0);
  found.comment = find_option(octets, kHead, option::kComment).value_or("");
  return found;
}

void BlockReader::feed(std::string_view octets) {
  octets_.erase(0, std::exchange(begin_, 0));
  octets_.append(octets);
}

std::expected<std::optional<Block>, std::string> BlockReader::next() {
  const std::string_view left = std::string_view(octets_).substr(begin_);
  if (left.size() < kFrameOfABlock) return std::nullopt;
  const Block block{static_cast<BlockType>(get<uint32_t>(left, 0)), {}};
  const auto length = get<uint32_t>(left, 4);
  if (length < kFrameOfABlock || length > kBlockMax || length % 4 != 0) {
    return std::unexpected(fmt::format("a block of {} octets is no pcapng of this machine", length));
  }
  if (block.type == BlockType::kSection && get<uint32_t>(left, 8) != kByteOrder) {
    return std::unexpected("a section in another byte order than this machine's");
  }
  if (left.size() < length) return std::nullopt;
  if (get<uint32_t>(left, length - sizeof(uint32_t)) != length) {
    return std::unexpected(fmt::format("a block of {} octets that ends otherwise is no pcapng", length));
  }
  begin_ += length;
  return Block{block.type, left.substr(0, length)};
}

}  // namespace usernic::pcapng
