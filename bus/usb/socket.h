// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: a TCP connection.
//
// What sleeps takes a Wait. Locks: none; one thread a socket.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "bus/usb/transfer.h"
#include "usernic/unique_fd.h"

namespace usernic::usb {

class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}

  // Looking up a name of `host` cannot be stopped; an address needs none. Errors: those of connect(2);
  // host_unreachable: nobody knows the name. Context: process.
  static Result<Socket> connect(const std::string& host, uint16_t port, const Wait& wait);
  // 127.0.0.1 or another address of this machine; port 0: any that is free.
  static Result<Socket> listen(const std::string& address, uint16_t port);
  Result<uint16_t> local_port() const;
  // resource_unavailable_try_again: nobody waits.
  Result<Socket> accept() const;

  // All of it, or an error. connection_reset: the other end hung up. Context: process.
  Result<> send(std::span<const uint8_t> octets, const Wait& wait);
  Result<> receive(std::span<uint8_t> octets, const Wait& wait);
  // As much as goes at once; 0: none now.
  Result<size_t> send_some(std::span<const uint8_t> octets);
  Result<size_t> receive_some(std::span<uint8_t> octets);

  int fd() const noexcept { return fd_.get(); }
  explicit operator bool() const noexcept { return fd_.operator bool(); }

 private:
  Result<> wait_for(short events, const Wait& wait) const;
  UniqueFd fd_;
};

}  // namespace usernic::usb
