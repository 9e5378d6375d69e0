// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: a glance at all interfaces of a network namespace at once: one LINK dump, one neighbour dump.
//
// What it shows of an interface is less than a picture: its LINK and its addresses are of different moments, and where
// a part of the dump ended within the interface's addresses, some may be missing (picture_reader.h): then it says so.
// It is good for one question: is anything new there?
//
// Locks: none, one owner. Context: process. Errors: anything, try again later.
#pragma once

#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "host/mc_lists.h"
#include "host/mirror.h"
#include "host/netlink_socket.h"

namespace usernic {

struct InterfaceView {
  HostLink link;
  std::vector<MacAddress> addresses;            // as in a picture
  bool whole = true;                            // they were read under one hold of the kernel's lock on them
  std::optional<bool> uc_empty = std::nullopt;  // as in a picture; asked where the promiscuity is 1
};

class NetnsAudit {
 public:
  static HostResult<NetnsAudit> open(const NetNamespace& netns);

  // `of_interest`: by ifindex; the others are only counted.
  HostResult<> read(const std::function<bool(int)>& of_interest);

  // Of the last one. Null: it did not see that interface.
  const InterfaceView* view(int ifindex) const;
  size_t address_count() const noexcept { return addresses_; }
  size_t foreign() const noexcept { return foreign_; }  // messages about interfaces that are of no interest

 private:
  struct Seen : InterfaceView {
    bool linked = false;
  };
  NetnsAudit(NetlinkSocket socket, McLists mc_lists) noexcept
      : socket_(std::move(socket)), mc_lists_(std::move(mc_lists)) {}
  HostResult<> read_links(const std::function<bool(int)>& of_interest);
  HostResult<> read_addresses(const std::function<bool(int)>& of_interest);
  void read_mc_lists();

  NetlinkSocket socket_;
  McLists mc_lists_;
  std::unordered_map<int, Seen> seen_;
  size_t addresses_ = 0;
  size_t foreign_ = 0;
};

}  // namespace usernic
// Explained best by: host/netns_audit_test.cc
