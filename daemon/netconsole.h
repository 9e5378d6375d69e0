// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: usernic's own log as UDP, from one of its nics, past the kernel [kernel: netconsole].
//
// A thread of its own sends, so that whoever logs may hold a lock that the driver's start_xmit or poll takes; by
// netpoll, so that a line is out though polls hang, or queues are stopped, or the main thread is stuck. What that
// thread itself has to say, of a rule that the driver breaks while it sends a line, is not sent. Lines before the nic
// is up are not sent. A line that is too long for the MTU goes in several datagrams.
#pragma once

#include <memory>
#include <string_view>

#include "daemon/config_netconsole.h"
#include "daemon/log_writer.h"
#include "usernic/net.h"
#include "usernic/netpoll.h"

namespace usernic::daemon {

class Netconsole {
 public:
  // Hears of each line from now on. Requires: the config is settled. Throws ThreadRefused. Context: process.
  // `last_words`: so long its end waits for the device to take what it has heard.
  Netconsole(NetDevice& dev, const NetconsoleConfig& config, Duration last_words = kPrintWait);
  ~Netconsole();
  Netconsole(const Netconsole&) = delete;
  Netconsole& operator=(const Netconsole&) = delete;

 private:
  void send(std::string_view line) noexcept;
  void send_datagram(std::string_view payload) noexcept;

  NetDevice& dev_;
  const NetconsoleConfig config_;
  const Duration last_words_;
  SkbPool& pool_;  // the Net's, as frames may be out when we are gone
  Netpoll netpoll_;
  const std::shared_ptr<LogWriter> lines_;
};

}  // namespace usernic::daemon
// Explained best by: daemon/netconsole_test.cc
