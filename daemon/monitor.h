// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: what `usernic monitor` shows: links and rx modes as they change.
//
// While somebody watches, the nics are looked at every kPeriod and what differs from the last look is told; between
// looks the newest state wins. Frames that come and go are no change of a link, but what is told of a link has its
// counters of that moment. The end of an interface is told once, and then nothing more of its link. A new watcher
// first hears the present state of every nic, and what is going wrong from then on. Without watchers nothing is looked
// at.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ctl/server.h"
#include "daemon/notes.h"
#include "daemon/topology.h"

namespace usernic::daemon {

// Is what a look shows of a link news to who saw the look before?
bool link_changed(const ctl::Event& before, const ctl::Event& now);

class Monitor {
 public:
  static constexpr Duration kPeriod = std::chrono::milliseconds(50);

  // Everything on the loop's thread. Requires: all outlive it.
  Monitor(const Topology& topology, Notes& notes, ctl::EventLoop& loop)
      : topology_(topology), notes_(notes), loop_(loop) {}
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  // Answers, and opens a stream.
  void watch(const ctl::Responder& to);

 private:
  struct Seen {
    ctl::Event link;
    ctl::Event rx_mode;
  };
  Seen look_at(const Nic& nic) const;
  bool look();  // false: for nobody
  void tell_changes();

  const Topology& topology_;
  Notes& notes_;
  ctl::EventLoop& loop_;
  std::map<uint64_t, ctl::Responder> watchers_;
  uint64_t next_watcher_ = 1;
  std::map<std::string, Seen> seen_;
  bool looking_ = false;  // a `look` is due: one, however watchers come and go
};

}  // namespace usernic::daemon
// Explained best by: daemon/monitor_test.cc, tests/e2e
