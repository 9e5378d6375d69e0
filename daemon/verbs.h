// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: what each verb of the control protocol does. ctl/README.md describes them for callers.
#pragma once

#include "ctl/server.h"
#include "daemon/captures.h"
#include "daemon/monitor.h"
#include "daemon/topology.h"
#include "daemon/waits.h"

namespace usernic::daemon {

class Verbs {
 public:
  // Everything on the loop's thread. Requires: all outlive it.
  Verbs(Topology& topology, Notes& notes, ctl::EventLoop& loop)
      : topology_(topology), captures_(loop), waits_(topology.net(), loop), monitor_(topology, notes, loop) {}
  Verbs(const Verbs&) = delete;
  Verbs& operator=(const Verbs&) = delete;

  void handle(const ctl::Request& request, ctl::Responder to);

 private:
  void hello(ctl::Responder to) const;
  void link(ctl::Responder to) const;
  void namespaces(const ctl::Request& request, ctl::Responder to) const;
  void start_wait(const ctl::Request& request, Nic& nic, ctl::Responder to);

  Topology& topology_;
  Captures captures_;
  Waits waits_;
  Monitor monitor_;
};

}  // namespace usernic::daemon
// Explained best by: tests/e2e
