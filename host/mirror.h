// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: what the kernel's stack wants received from the TAP, worked out from what the kernel lets us see.
//
// A pure state machine: no clock, no socket, no thread; time is an argument. One owner calls it:
//
//   events (hints) ----on_event---->  Mirror  ----take_wishes---->  only the difference since the last take
//   pictures --------on_picture---->          ----next_picture--->  when to look again, at the latest
//
// A picture is LINK, neighbour dump, LINK. The kernel announces some changes (IP groups, fdb entries, links), keeps
// silent about others (SIOCADDMULTI, AF_PACKET memberships, macvlan), and its dump is not atomic once it needs more
// than one message: an entry deleted meanwhile shifts the rest, and the one at the seam is missed. So:
//
//  - An address that anybody mentions is wanted at once: an event, or any picture.
//  - It goes only when pictures begun after its last mention lack it: one, if a DEL event came before it and it was
//    read whole; two in a row, read whole; three in a row, if they have seams (the reader moves the seams).
//    A DEL event alone takes nothing away: somebody else may still hold the address, and then the picture shows it.
//  - Promiscuity is IFLA_PROMISCUITY less the one that the kernel adds while the TAP's uc list is not empty, whatever
//    the class of what is in there. It is judged only while IFF_UP, and only by a picture whose LINK answers agree; it
//    goes after two of them.
//  - Absences count only if the LINK answers agree. Kernels without join notifications live on the audit alone.
//
// An address is wished for in the list of its class, by which a card's filter takes it, whichever of the kernel's two
// lists it is in. The own address and broadcast always pass a NIC and are never wished for. Locks: none, one owner.
// Errors: none.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "usernic/env.h"
#include "usernic/mac_address.h"

namespace usernic {

// What one LINK answer says.
struct HostLink {
  bool up = false;  // IFF_UP
  uint32_t promiscuity = 0;
  uint32_t allmulti = 0;
  uint32_t mtu = 0;
  MacAddress address;
  std::optional<bool> carrier = std::nullopt;  // means something only while it is up
  bool operator==(const HostLink&) const = default;
};

struct HostPicture {
  Time begun{};
  Time ended{};
  HostLink before;
  HostLink after;
  std::vector<MacAddress> addresses;  // the TAP's uc list, then its mc list, as the kernel gave them
  bool whole = true;                  // no seams: read under one hold of the kernel's lock on the lists
  // Is the uc list empty? nullopt: it changed under the reader's eyes. It means something where the TAP's promiscuity
  // is 1, which is the kernel's own while the list is not empty.
  std::optional<bool> uc_empty = std::nullopt;
};

struct HostEvent {
  enum class Kind : uint8_t { kLinkChanged, kLinkGone, kAddressAdded, kAddressDeleted, kEventsLost };
  Kind kind = Kind::kLinkChanged;
  MacAddress address;  // of kAddressAdded, kAddressDeleted
};

// Addresses: what changed since the last take, sorted. The rest: as it is now.
struct HostWishes {
  std::vector<MacAddress> add_unicast, del_unicast, add_multicast, del_multicast;
  bool promiscuous = false;  // one reference, or none
  bool allmulti = false;
  bool known = false;  // there was a picture; before, nothing else here says anything
  bool gone = false;   // the TAP was deleted, or moved away
  HostLink link;       // the newest: up, MTU, own address, carrier

  bool addresses_changed() const noexcept {
    return !(add_unicast.empty() && del_unicast.empty() && add_multicast.empty() && del_multicast.empty());
  }
};

class Mirror {
 public:
  static constexpr Duration kAuditMin = std::chrono::milliseconds(250);
  static constexpr Duration kAuditMax = std::chrono::milliseconds(950);  // a look and its cost stay within 1 s
  static constexpr size_t kAuditMaxAddresses = 10'000;                   // above, only the cost counts
  static constexpr int kAuditCostFactor = 20;
  // A picture that an event asks for keeps this distance from the one before: 8 times its cost, but at least:
  static constexpr Duration kHintMin = std::chrono::milliseconds(5);
  static constexpr int kHintCostFactor = 8;
  static constexpr Duration kRetryAfterFailure = std::chrono::milliseconds(50);

  // `audit`: from one look to the next while nothing asks for one and a look costs little. kNoAudit: somebody else
  // looks for what nobody announces, and asks `is_news`.
  static constexpr Duration kNoAudit = Duration::max();
  explicit Mirror(Duration audit = kAuditMin) : audit_(audit) {}

  void on_event(const HostEvent& event, Time now);
  void on_picture(const HostPicture& picture);
  // The kernel did not answer, or not usefully.
  void on_picture_failed(Time begun, Time ended);

  // When the next picture is due: in the past when at once, kForever when the TAP is gone.
  Time next_picture() const noexcept;

  // Would a whole picture that shows this say anything that is not known and settled? [`uc_empty` as in a picture]
  bool is_news(const HostLink& link, const std::vector<MacAddress>& addresses,
               std::optional<bool> uc_empty) const noexcept;

  // The difference, which the caller promises to carry out; what it cannot, it reports with `refused`, and the next
  // take brings it again; so it does where there was no memory (std::bad_alloc).
  HostWishes take_wishes();
  void refused(const MacAddress& address);

  // The kernel's wishes as of this time are in the next take, or were in one before. It takes a picture begun since
  // then: one that was read whole and leaves nothing in doubt, two in a row that have seams, or three in a row.
  Time known_as_of() const noexcept { return known_as_of_; }

  // Wishes for nothing any more: the next take takes back all that was ever wished for.
  void let_go();

  size_t address_count() const noexcept { return present_; }

 private:
  struct Entry {
    Time mentioned = Time::min();  // the last event that named it
    Time deleted = kForever;       // the last DEL event that nothing contradicted
    uint64_t seen_in = 0;          // number of the last picture that shows it
    uint8_t missed = 0;            // pictures in a row that lack it
    bool present = false;          // the kernel has it, as far as we know
    bool told = false;             // wished for, by the wishes taken so far
  };

  void add(const MacAddress& address, Time mentioned);
  void remove(uint64_t key, Entry& entry);
  void see(const HostPicture& picture);
  void judge_absent(const HostPicture& picture);
  void judge_promiscuity(const HostPicture& picture);
  void note_known(const HostPicture& picture, bool agree);
  bool always_received(const MacAddress& address) const noexcept;
  void hint(Time now) noexcept { hinted_ = true, hint_time_ = now; }
  void note_link(const HostLink& link);

  Duration audit_;
  std::unordered_map<uint64_t, Entry> entries_;  // by MacAddress::to_u64; never iterated into an output
  std::vector<uint64_t> changed_;                // whose told and wished may differ; duplicates allowed
  size_t present_ = 0;
  std::vector<MacAddress> last_addresses_;  // of the picture before
  bool settled_ = false;                    // every present entry, and nothing else, is in last_addresses_

  HostLink link_;
  bool known_ = false;
  bool gone_ = false;
  bool promiscuous_ = false;
  uint8_t promiscuity_missed_ = 0;
  bool promiscuity_unclear_ = false;  // the last picture that could have told could not
  std::optional<bool> uc_empty_;      // in the last picture

  std::array<Time, 3> agreed_begun_{};  // of the last pictures in a row whose LINK answers agree, the newest first
  size_t agreed_ = 0;                   // how many of them there are
  Time known_as_of_ = Time::min();

  uint64_t picture_number_ = 0;
  bool pictured_ = false;
  Time last_begun_{};
  Time last_ended_{};
  Duration gap_ = kHintMin;
  bool hinted_ = false;
  Time hint_time_{};
};

}  // namespace usernic
// Explained best by: host/mirror_test.cc
