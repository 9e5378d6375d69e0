// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: a TCP connection, and a kick for the thread that polls it.
//
// What sleeps takes a Wait. Locks: none; one thread a socket, any thread kicks.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "bus/usb/transfer.h"

namespace usernic::usb {

class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket();

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

  int fd() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  Result<> wait_for(short events, const Wait& wait) const;
  int fd_ = -1;
};

// Wakes a thread out of poll(2). A kick between its look and its sleep is not lost; many kicks are one.
class Kick {
 public:
  Kick();
  ~Kick();
  Kick(const Kick&) = delete;
  Kick& operator=(const Kick&) = delete;

  void kick() noexcept USERNIC_NONBLOCKING;  // context: any
  void clear() noexcept;
  int fd() const noexcept { return fd_; }

 private:
  const int fd_;
};

}  // namespace usernic::usb
