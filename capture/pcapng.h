// SPDX-License-Identifier: Apache-2.0 OR MIT
// capture: pcapng, the file format that Wireshark and tcpdump read, one block after the other
// [draft-ietf-opsawg-pcapng]. In this machine's byte order, as the format allows.
//
// A section begins with add_section and add_interface; then packets, journal entries and statistics of that interface,
// which is number 0, in any order. A longer text than kTextMax is cut.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace usernic::pcapng {

inline constexpr uint32_t kSnapMax = 262'144;  // octets of a packet [tcpdump: MAXIMUM_SNAPLEN]
inline constexpr size_t kTextMax = 4096;

void add_section(std::string& to, std::string_view application);

struct Interface {
  std::string_view name, description;
  uint32_t snap_bytes = kSnapMax;
};
void add_interface(std::string& to, const Interface& interface);

enum class Direction : uint8_t { kUnknown, kIn, kOut };

// Times are nanoseconds since 1970, UTC.
struct Packet {
  uint64_t time_ns = 0;
  Direction direction = Direction::kUnknown;
  std::span<const uint8_t> octets;  // of those on the wire, the first
  uint32_t wire_bytes = 0;
  uint64_t lost_before = 0;  // packets between the one before and this one that are missing
  std::span<const std::string> comments;
};
void add_packet(std::string& to, const Packet& packet);

// Something that happened, as an entry of systemd's journal, which Wireshark shows in its list at its time. Readers
// that do not know these pass over it.
void add_journal(std::string& to, uint64_t time_ns, std::string_view message);

struct Statistics {
  uint64_t from_ns = 0, to_ns = 0;
  uint64_t delivered = 0, lost = 0;
  std::string_view comment;
  bool operator==(const Statistics&) const = default;
};
void add_statistics(std::string& to, const Statistics& statistics);

// Blocks, taken out of a stream that comes in pieces. What is returned is valid until the next call.
enum class BlockType : uint32_t { kSection = 0x0a0d'0d0a, kInterface = 1, kStatistics = 5, kPacket = 6, kJournal = 9 };
struct Block {
  BlockType type;
  std::string_view octets;                                // all of it
  uint64_t time_ns() const noexcept;                      // of a packet
  uint64_t lost_before() const noexcept;                  // the same
  std::optional<Statistics> statistics() const noexcept;  // of such a block
};
class BlockReader {
 public:
  void feed(std::string_view octets);
  // The next whole block; none: there is none yet. Error: this is no pcapng of this machine's byte order.
  std::expected<std::optional<Block>, std::string> next();
  bool has_part_of_a_block() const noexcept { return begin_ != octets_.size(); }

 private:
  std::string octets_;
  size_t begin_ = 0;
};

}  // namespace usernic::pcapng
// Explained best by: capture/pcapng_test.cc
