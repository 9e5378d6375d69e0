// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: usernic's own log as UDP, from one of its nics, past the kernel [kernel: netconsole].
//
// A line is out before whoever logs it goes on, unless the card has no room: also while a poll hangs, or the main
// thread does. Lines before the nic is up are not sent. A line that is too long for the MTU goes in several datagrams.
#pragma once

#include <string_view>

#include "daemon/config_netconsole.h"
#include "usernic/net.h"
#include "usernic/netpoll.h"

namespace usernic::daemon {

class Netconsole {
 public:
  // Hears of each line from now on. Requires: the config is settled. Context: process.
  Netconsole(NetDevice& dev, const NetconsoleConfig& config);
  ~Netconsole();
  Netconsole(const Netconsole&) = delete;
  Netconsole& operator=(const Netconsole&) = delete;

 private:
  void send(std::string_view line) noexcept;
  void send_datagram(std::string_view payload) noexcept;

  NetDevice& dev_;
  const NetconsoleConfig config_;
  SkbPool& pool_;  // the Net's, as frames may be out when we are gone
  Netpoll netpoll_;
};

}  // namespace usernic::daemon
// Explained best by: daemon/netconsole_test.cc
