// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/demo_frames.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

namespace usernic::cli {
namespace {

constexpr uint16_t kEtherType = 0x88b5;  // IEEE 802: for local experiments
constexpr size_t kHeaderBytes = 14;
constexpr size_t kFrameBytes = 60;
constexpr Duration kPace = std::chrono::milliseconds(1);
constexpr int kPollMs = 20;
constexpr Duration kUnderWayTime = std::chrono::seconds(10);
constexpr uint32_t kUnderWay = 64;  // fewer than any ring or queue on the way has room for

sockaddr_ll link_address(int ifindex) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(kEtherType);
  address.sll_ifindex = ifindex;
  return address;
}

}  // namespace

ctl::Outcome<std::unique_ptr<DemoFrames>> DemoFrames::start(UniqueFd sender, int sender_ifindex, UniqueFd receiver,
                                                            int receiver_ifindex) {
  const sockaddr_ll from = link_address(receiver_ifindex);
  if (::bind(receiver.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0) {
    return ctl::refuse("cannot listen for the demo's frames");
  }
  std::unique_ptr<DemoFrames> frames(new DemoFrames(std::move(sender), sender_ifindex, std::move(receiver)));
  frames->sending_ = Thread("demo-send", [f = frames.get()] { f->send_loop(); });
  frames->receiving_ = Thread("demo-receive", [f = frames.get()] { f->receive_loop(); });
  return frames;
}

DemoFrames::~DemoFrames() {
  finish();
}

void DemoFrames::send_to(const std::vector<MacAddress>& addresses) {
  uint32_t sent_before;
  {
    MutexGuard guard(lock_);
    addresses_ = addresses;
    sent_before = sent_.load();
  }
  wait_received(sent_before);
}

void DemoFrames::linger(uint32_t count) {
  wait_received(sent_.load() + count);
}

// Or until so much time has passed that they are lost.
void DemoFrames::wait_received(uint32_t count) {
  const Time deadline = Clock::now() + kUnderWayTime;
  for (uint32_t seen; (seen = received_.load()) < count;) {
    if (!wait_on(received_, seen, deadline)) return;
  }
}

DemoFrames::Count DemoFrames::finish() {
  stop_sending_.request_stop();
  if (sending_.joinable()) sending_.join();
  wait_received(sent_.load());
  stop_receiving_.request_stop();
  if (receiving_.joinable()) receiving_.join();
  return {.sent = sent_.load(), .lost = sent_.load() - received_.load()};
}

void DemoFrames::send_loop() {
  const StopToken stop = stop_sending_.token();
  for (uint32_t turn = 0; !stop.wait_until(Clock::now() + kPace); ++turn) {
    if (sent_.load() - received_.load() >= kUnderWay) continue;
    MutexGuard guard(lock_);  // so that `send_to` returns when nothing goes to the old addresses any more
    if (addresses_.empty()) continue;
    if (send_one(addresses_[turn % addresses_.size()], sent_.load())) sent_.fetch_add(1);
  }
}

bool DemoFrames::send_one(const MacAddress& to, uint32_t number) {
  std::array<uint8_t, kFrameBytes> frame{};
  std::memcpy(frame.data(), to.octets.data(), to.octets.size());
  frame[6] = 0x02;  // from a station of the demo's own
  const uint16_t type = htons(kEtherType);
  std::memcpy(frame.data() + 12, &type, sizeof type);
  std::memcpy(frame.data() + kHeaderBytes, &number, sizeof number);
  const sockaddr_ll address = link_address(ifindex_);
  return ::sendto(sender_.get(), frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&address),
                  sizeof address) == static_cast<ssize_t>(frame.size());
}

void DemoFrames::receive_loop() {
  const StopToken stop = stop_receiving_.token();
  std::vector<bool> seen;
  while (!stop.stop_requested()) {
    pollfd ready{.fd = receiver_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, kPollMs) <= 0) continue;
    std::array<uint8_t, kFrameBytes> frame;
    const ssize_t got = ::recv(receiver_.get(), frame.data(), frame.size(), MSG_DONTWAIT);
    if (got < static_cast<ssize_t>(kHeaderBytes + sizeof(uint32_t))) continue;
    uint32_t number;
    std::memcpy(&number, frame.data() + kHeaderBytes, sizeof number);
    if (number > sent_.load()) continue;  // not one of ours
    if (seen.size() <= number) seen.resize(number + 1);
    if (seen[number]) continue;
    seen[number] = true;
    received_.fetch_add(1);
    wake_all(received_);
  }
}

}  // namespace usernic::cli
