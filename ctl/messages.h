// SPDX-License-Identifier: Apache-2.0 OR MIT
// ctl: what is said over the control socket, as plain structs.
//
// A request names a verb and its arguments; the daemon answers with one of the reports below, or with a sentence.
// `to_json` and `from_json` are the only code that knows the field names; their order is the documented one, and
// `usernic VERB --json` prints exactly the report's JSON. `from_json` of a text from outside answers nullopt when a
// field is missing, of another type or out of range; fields it does not know are skipped, so that a newer daemon can
// say more. The protocol itself: ctl/README.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ctl/json.h"
#include "ctl/outcome.h"
#include "usernic/mac_address.h"

namespace usernic::ctl {

inline constexpr int64_t kProtocolVersion = 1;
inline constexpr uint64_t kTimeoutMaxMs = 3'600'000;
inline constexpr uint64_t kBurstChangesMax = 1'000'000;
inline constexpr uint64_t kSnapBytesMax = 262'144;
inline constexpr uint64_t kBufferBytesMax = 256 << 20;

// A feature by a name that ethtool has for it, and how it is to be.
struct FeatureWish {
  std::string name;
  bool on = false;
  bool operator==(const FeatureWish&) const = default;
};

struct Request {
  std::string verb;
  std::string dev;   // "": not given
  std::string host;  // "": not given
  std::optional<MacAddress> address;
  uint64_t timeout_ms = 0;
  uint64_t changes = 0;
  std::vector<FeatureWish> features;
  uint64_t snap_bytes = 0, buffer_bytes = 0;  // 0: not given
};

// A change that the kernel wished for and the device did not make. `at_us` is of CLOCK_MONOTONIC.
struct RefusedWish {
  std::string wish, answer;  // "MTU 9001", "EINVAL"
  uint64_t at_us = 0;
  bool operator==(const RefusedWish&) const = default;
};

// Frames that went no further, both ways, by reason.
struct Drops {
  uint64_t filter = 0;      // kept away by the RX filter: no loss
  uint64_t ring_full = 0;   // the card had no descriptor
  uint64_t too_long = 0;    // for the MTU, or for the card
  uint64_t no_carrier = 0;  // down, absent or without carrier
  uint64_t refused = 0;     // the kernel did not take them
  uint64_t overrun = 0;     // the kernel sent them, and they found no room before they were read, where it says so
  bool operator==(const Drops&) const = default;
};

struct LinkRow {
  std::string name;  // what the kernel calls it
  std::string nic;   // what the config calls it
  std::string driver;
  MacAddress address;
  uint64_t mtu = 0;
  bool up = false, carrier = false;
  std::string host;  // "": where usernic was started
  // Or "gone", "out-of-reach", the namespace it was moved to: "net:[4026532345]", or "none": it is to have no
  // interface.
  std::string where = "home";
  std::string port;  // what its interface is: "tap", "veth"; "" without one
  std::string
      io;  // how its frames get to the kernel: "io_uring"; "calls" so far; or why each is a call: "EPERM"; "mmsg"
  uint64_t rx_queues = 1, tx_queues = 1;
  std::optional<RefusedWish> refused;  // the last one
  uint64_t rx_packets = 0, tx_packets = 0, rx_dropped = 0, tx_dropped = 0, rx_filtered = 0;
  Drops drops;
  bool operator==(const LinkRow&) const = default;
};

struct RxModeReport {
  std::string dev;
  MacAddress address;
  bool up = false;
  std::string where = "home";  // as of a LinkRow
  struct Generation {
    uint64_t wanted = 0, programmed = 0;
    bool operator==(const Generation&) const = default;
  } generation;
  struct Mode {
    std::string unicast, multicast, reason;
    bool operator==(const Mode&) const = default;
  } mode;
  struct Wanted {
    std::vector<MacAddress> unicast, multicast;
    uint64_t promiscuity = 0, allmulti = 0;
    std::vector<uint64_t> vlans;
  } wanted;
  struct Programmed {
    std::vector<MacAddress> unicast, multicast;
    bool promisc = false, allmulti = false;
    std::vector<uint64_t> vlans;
  } programmed;
  struct Failed {
    MacAddress address;
    std::string error;
    uint64_t attempts = 0, next_retry_ms = 0;
  };
  std::vector<Failed> failed;
  struct Lag {
    uint64_t p50 = 0, p99 = 0, max = 0;  // 0, 0, 0: no change is in effect yet
  };
  struct Stats {
    uint64_t changes = 0, runs = 0, driver_calls = 0, coalesced = 0, retries = 0, failures = 0;
    Lag lag_us;
  } stats;
};

struct StatsReport {
  std::string dev;
  struct Rx {
    uint64_t packets = 0, bytes = 0, dropped = 0, errors = 0, filtered = 0, off = 0, pause = 0;
    uint64_t refused = 0;  // of the packets: the kernel did not take them
  } rx;
  struct Tx {
    uint64_t packets = 0, bytes = 0, dropped = 0, errors = 0, pause = 0;
    uint64_t oversized = 0;  // besides the packets and the dropped
    uint64_t timeouts = 0;   // times that a queue was stopped for too long
  } tx;
  struct Queue {
    uint64_t packets = 0, bytes = 0, dropped = 0;
  };
  std::vector<Queue> rx_queues, tx_queues;  // of those what went through each
  Drops drops;
  RxModeReport::Stats rx_mode;
};

// The answer to `ethtool`: what a driver says of itself. Null: it does not say.
struct EthtoolReport {
  std::string dev, driver, version, firmware, bus;
  struct Link {
    uint64_t speed_mbps = 0;  // 0: unknown
    std::string duplex;       // "full", "half", "unknown"
    bool autoneg = false;
    std::string port;
  };
  struct Rings {
    uint64_t rx = 0, tx = 0, rx_max = 0, tx_max = 0;
  };
  struct Coalesce {
    uint64_t rx_usecs = 0, rx_frames = 0, tx_usecs = 0, tx_frames = 0;
  };
  struct Counter {
    std::string name;
    uint64_t value = 0;
  };
  struct Register {
    std::string name;
    uint64_t offset = 0, value = 0;
  };
  struct Feature {
    std::string name;
    bool on = false;
    bool fixed = false;  // the card has it not
  };
  std::vector<Feature> features;
  std::optional<Link> link;
  std::optional<Rings> rings;
  std::optional<Coalesce> coalesce;
  std::optional<std::vector<Counter>> counters;
  std::optional<std::vector<Register>> registers;
};

// The answer to `wait`.
struct WaitReport {
  bool covered = false;
  std::vector<MacAddress> missing;  // wanted, and not covered when the deadline came
  std::string reason;               // why not covered; "" when covered
};

// The answer to `wait-address`. Times are of CLOCK_MONOTONIC, so the caller can subtract its own.
struct AddressReport {
  bool covered = false;
  uint64_t wanted_at_us = 0, covered_at_us = 0;
  std::string mode;  // of the address' class, when it was covered
  std::string error;
};

// The answer to `burst`.
struct BurstReport {
  uint64_t changes = 0, driver_calls = 0;
  double change_p50_us = 0, change_p99_us = 0, change_max_us = 0;
  uint64_t settled_us = 0;  // from the first change until all were in effect, or until the deadline
  bool settled = false;     // all were in effect before the deadline
};

// One line of `monitor`.
struct Event {
  std::string what;  // "link", "link-gone", "rx-mode", "hang", "report", "notice"
  std::optional<LinkRow> link;
  std::string dev;
  RxModeReport::Generation generation;
  RxModeReport::Mode mode;
  std::string says;  // of a hang or a report: the log's line or lines; `dev` is "" where no nic is concerned
  bool operator==(const Event&) const = default;
};

struct HelloReport {
  std::string version;
  uint64_t protocol = 0, pid = 0;
  std::vector<std::string> hosts;
};

// Defined for every struct above.
template <class Message>
Json to_json(const Message& message);
template <class Message>
std::optional<Message> from_json(const Json& json);

// A line from a client as a request, or the sentence that it is answered with.
Outcome<Request> parse_request(std::string_view line);

// The lines of the protocol, with the newline.
std::string request_line(const Request& request);
std::string result_line(Json result);
std::string error_line(std::string_view sentence);
std::string event_line(const Event& event);

inline constexpr char kMakesNoSense[] = "the daemon's answer makes no sense; is it another version of usernic?";
// A line from the daemon: the result, the event, or the sentence it refused with.
Outcome<Json> parse_answer(std::string_view line);

}  // namespace usernic::ctl
// Explained best by: ctl/messages_test.cc
