// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: captures that clients asked for, each until its client closes or the nic is gone.
//
// A client gets one end of a socket and reads pcapng from it; who shuts it down for writing gets what is left, and the
// statistics. A slow client loses frames, and keeps nobody waiting. The connection that the request came by is not
// needed any more.
#pragma once

#include <map>
#include <memory>

#include "capture/capture.h"
#include "ctl/messages.h"
#include "ctl/server.h"
#include "daemon/nic.h"

namespace usernic::daemon {

class Captures {
 public:
  static constexpr size_t kMax = 64;
  static constexpr size_t kBuffersMax = ctl::kBufferBytesMax;  // of all

  // Everything on the loop's thread. Requires: `loop` and the nics outlive it.
  explicit Captures(ctl::EventLoop& loop) : loop_(loop) {}
  // Ends all, within Capture::kEndMax; their clients are told why.
  ~Captures();
  Captures(const Captures&) = delete;
  Captures& operator=(const Captures&) = delete;

  // Answers with the descriptor.
  void start(const ctl::Request& request, const Nic& nic, const ctl::Responder& to);

 private:
  ctl::EventLoop& loop_;
  std::map<uint64_t, std::unique_ptr<Capture>> running_;
  uint64_t next_ = 1;
};

}  // namespace usernic::daemon
// Explained best by: tests/e2e/capture_test.py
