// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: what listens and looks in one network namespace, for all ports that are shown there.
//
//   announcements -------------> the port whose interface it is about           (event_socket.h)
//   audit: one LINK dump, ----> each port: does this bring news? then a look    (netns_audit.h)
//          one neighbour dump
//   a port's look -------------> its own picture, bracketed by LINK answers     (picture_reader.h)
//
// Some changes are announced to nobody: the audit finds them. It says no more than "same" or "look", so what a port
// believes rests on its own pictures. The next one comes after 100 times its cost, at least `audit` and at most 950 ms
// later; where there are more than 10,000 addresses only its cost counts, 20 times. Where the namespace has much of
// other people's, say a bridge with 50,000 stations, looks at each port cost less than the dump: then it is that.
//
// Everything in the loop's thread. Locks: none. Errors: only opening fails.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "host/event_socket.h"
#include "host/host_loop.h"
#include "host/netns_audit.h"
#include "host/picture_reader.h"
#include "host/rtnetlink.h"

namespace usernic {

class NetnsWatch final : public HostLoop::Client {
 public:
  static constexpr int kCostFactor = 100;
  static constexpr Duration kAuditMax = std::chrono::milliseconds(950);  // with a look after it within 1 s
  static constexpr size_t kManyAddresses = 10'000;                       // above, only the cost counts
  static constexpr int kManyCostFactor = 20;

  // What a look takes: as the last one did.
  struct Cost {
    Duration time{};
    size_t addresses = 0;
    Cost& operator+=(const Cost& other) noexcept {
      time += other.time, addresses += other.addresses;
      return *this;
    }
  };

  // One interface of ours. Requires: nothing here joins or leaves.
  class Port {
   public:
    virtual void on_event(const HostEvent& event) noexcept = 0;
    virtual bool is_news(const InterfaceView& view) const noexcept = 0;
    // Returns what that will take.
    virtual Cost look_soon() noexcept = 0;

   protected:
    ~Port() = default;
  };

  static HostResult<std::shared_ptr<NetnsWatch>> open(HostLoop& loop, const NetNamespace& netns, Duration audit);
  ~NetnsWatch();

  // Whose interface has that index. The youngest counts: the kernel gives an index again when it is free.
  void join(int ifindex, Port& port);
  void leave(int ifindex, Port& port) noexcept;

  uint64_t netns() const noexcept { return netns_; }
  bool joins_are_announced() const noexcept { return events_.joins_are_announced(); }
  Rtnetlink& rtnetlink() noexcept { return rtnetlink_; }
  PictureSockets& pictures() noexcept { return pictures_; }

 private:
  NetnsWatch(HostLoop& loop, uint64_t netns, Duration audit, Rtnetlink rtnetlink, EventSocket events,
             PictureSockets pictures, NetnsAudit audit_sockets) noexcept;
  Time turn() noexcept override;
  bool hear();
  void audit();
  Cost look_at_each() noexcept;
  Cost look_where_something_is_new();

  HostLoop& loop_;
  const uint64_t netns_;
  const Duration audit_min_;
  Rtnetlink rtnetlink_;
  EventSocket events_;
  PictureSockets pictures_;
  NetnsAudit audit_;
  std::unordered_map<int, Port*> ports_;  // by ifindex
  std::vector<InterfaceEvent> heard_;
  Time next_audit_;
  uint64_t audits_ = 0;
  size_t foreign_ = 0;  // messages about others in the last dump
};

}  // namespace usernic
// Explained best by: host/netns_watch_test.cc
