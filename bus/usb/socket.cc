// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usb/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "usernic/context.h"

namespace usernic::usb {
namespace {

// poll(2) does not hear of a stop: it is looked at this often.
constexpr Duration kPollSlice = std::chrono::milliseconds(20);
// A peer that vanished without a word is given up after about this long.
constexpr int kDeadAfterMs = 10'000;
constexpr int kProbeSeconds = 3;

std::errc last_error() {
  return static_cast<std::errc>(errno);
}

void set_option(int fd, int level, int option, int value) {
  (void)::setsockopt(fd, level, option, &value, sizeof value);
}

// Small messages go at once, and a dead peer is noticed.
void tune(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, kProbeSeconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, kProbeSeconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kDeadAfterMs);
}

}  // namespace

Result<Socket> Socket::connect(const std::string& host, uint16_t port, const Wait& wait) {
  might_sleep();
  addrinfo hints{.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return fail(std::errc::host_unreachable);
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
  std::errc error = std::errc::host_unreachable;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    Socket socket(::socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return fail(last_error());
    if (::connect(socket.fd(), address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS) {
      error = last_error();
      continue;
    }
    if (const Result<> connected = socket.wait_for(POLLOUT, wait); !connected) return fail(connected.error());
    int failed = 0;
    socklen_t size = sizeof failed;
    ::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &failed, &size);
    if (failed == 0) {
      tune(socket.fd());
      return socket;
    }
    error = static_cast<std::errc>(failed);
  }
  return fail(error);
}

Result<Socket> Socket::listen(const std::string& address, uint16_t port) {
  sockaddr_in local{.sin_family = AF_INET, .sin_port = htons(port)};
  if (::inet_pton(AF_INET, address.c_str(), &local.sin_addr) != 1) return fail(std::errc::invalid_argument);
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail(last_error());
  set_option(socket.fd(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (::bind(socket.fd(), reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0) return fail(last_error());
  if (::listen(socket.fd(), 8) != 0) return fail(last_error());
  return socket;
}

Result<uint16_t> Socket::local_port() const {
  sockaddr_in local{};
  socklen_t size = sizeof local;
  if (::getsockname(fd(), reinterpret_cast<sockaddr*>(&local), &size) != 0) return fail(last_error());
  return ntohs(local.sin_port);
}

Result<Socket> Socket::accept() const {
  Socket socket(::accept4(fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) return fail(last_error());
  tune(socket.fd());
  return socket;
}

Result<> Socket::wait_for(short events, const Wait& wait) const {
  might_sleep();
  for (;;) {
    if (wait.stop.stop_requested()) return fail(std::errc::operation_canceled);
    const Time now = Clock::now();
    if (now >= wait.deadline) return fail(std::errc::timed_out);
    Duration most = wait.stop.word() != nullptr ? kPollSlice : std::chrono::hours(1);
    if (wait.deadline != kForever) most = std::min(most, Duration(wait.deadline - now));
    const timespec timeout{.tv_sec = most / std::chrono::seconds(1),
                           .tv_nsec = static_cast<long>((most % std::chrono::seconds(1)).count())};
    pollfd ready{.fd = fd(), .events = events};
    if (::ppoll(&ready, 1, &timeout, nullptr) > 0) return {};
  }
}

Result<> Socket::send(std::span<const uint8_t> octets, const Wait& wait) {
  while (!octets.empty()) {
    const Result<size_t> sent = send_some(octets);
    if (!sent) return fail(sent.error());
    octets = octets.subspan(*sent);
    if (*sent != 0) continue;
    if (const Result<> ready = wait_for(POLLOUT, wait); !ready) return ready;
  }
  return {};
}

Result<> Socket::receive(std::span<uint8_t> octets, const Wait& wait) {
  while (!octets.empty()) {
    const Result<size_t> received = receive_some(octets);
    if (!received) return fail(received.error());
    octets = octets.subspan(*received);
    if (*received != 0) continue;
    if (const Result<> ready = wait_for(POLLIN, wait); !ready) return ready;
  }
  return {};
}

Result<size_t> Socket::send_some(std::span<const uint8_t> octets) {
  const ssize_t sent = ::send(fd(), octets.data(), octets.size(), MSG_NOSIGNAL);
  if (sent >= 0) return static_cast<size_t>(sent);
  return errno == EAGAIN || errno == EINTR ? Result<size_t>(0) : fail(last_error());
}

Result<size_t> Socket::receive_some(std::span<uint8_t> octets) {
  const ssize_t received = ::recv(fd(), octets.data(), octets.size(), 0);
  if (received > 0) return static_cast<size_t>(received);
  if (received == 0) return fail(std::errc::connection_reset);
  return errno == EAGAIN || errno == EINTR ? Result<size_t>(0) : fail(last_error());
}

}  // namespace usernic::usb
