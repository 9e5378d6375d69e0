// SPDX-License-Identifier: Apache-2.0 OR MIT
// The interface as people see it: frames, up/down, MTU, address, carrier, and its end.
#include "host/host_port.h"

#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#include <algorithm>

#include "host/host_port_fixture.h"
#include "usernic/address_list.h"
#include "usernic/long_wait.h"
#include "usernic/rx_mode.h"

namespace usernic {
namespace {

using std::chrono::milliseconds;

Frame frame_to(const char* destination, uint8_t number = 0, size_t size = 60) {
  Frame frame(size);
  const MacAddress to = *MacAddress::parse(destination);
  std::copy(to.octets.begin(), to.octets.end(), frame.begin());
  frame[6] = 2, frame[11] = 9;
  frame[12] = 0x88, frame[13] = 0xb5;  // local experimental
  frame[14] = number;
  return frame;
}

class HostPortFrames : public HostPortTest {
 protected:
  // A packet socket on the interface.
  UniqueFd packet_socket() {
    UniqueFd fd = socket_there(AF_PACKET, SOCK_RAW, htons(0x88b5));
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_protocol = htons(0x88b5);
    to.sll_ifindex = port_->ifindex();
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
  }
};

TEST_F(HostPortTest, ShowsTheDeviceAsItIs) {
  show({"10.9.0.1/24"});
  const HostLink shown = link();
  EXPECT_TRUE(shown.up);
  EXPECT_EQ(shown.mtu, 1500u);
  EXPECT_EQ(shown.address, mac(kOwn));
  EXPECT_NE(shell("ip -o address show nic0").find("10.9.0.1/24"), std::string::npos);
}

TEST_F(HostPortFrames, WhatTheKernelSendsIsSentByTheDevice) {
  show();
  const UniqueFd socket = packet_socket();
  for (uint8_t i = 0; i < 100; ++i) {
    const auto frame = frame_to("02:00:00:00:00:09", i);
    ASSERT_EQ(::send(socket.get(), frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()));
  }
  for (uint8_t i = 0; i < 100; ++i) {
    EXPECT_TRUE(eventually([&] { return nic().sent.contains(frame_to("02:00:00:00:00:09", i)); })) << int(i);
  }
}

TEST_F(HostPortFrames, WhatTheDeviceReceivesIsReceivedByTheKernel) {
  show();
  const UniqueFd socket = packet_socket();
  ASSERT_TRUE(eventually([&] { return link().up; }));
  for (uint8_t i = 0; i < 100; ++i) nic().inject(frame_to(kOwn, i));
  for (uint8_t i = 0; i < 100; ++i) {
    Frame received(2000);
    const ssize_t size = ::recv(socket.get(), received.data(), received.size(), 0);
    ASSERT_EQ(size, 60) << std::strerror(errno);
    received.resize(60);
    EXPECT_EQ(received, frame_to(kOwn, i)) << "in order";
  }
}

TEST_F(HostPortFrames, AStoppedQueueHoldsFramesBackAndLosesNone) {
  show();
  const UniqueFd socket = packet_socket();
  nic().tx_full.store(true);
  for (uint8_t i = 0; i < 200; ++i) {
    const auto frame = frame_to("02:00:00:00:00:09", i);
    ASSERT_EQ(::send(socket.get(), frame.data(), frame.size(), 0), 60);
  }
  ASSERT_TRUE(eventually([&] { return dev_->tx_queue(0).stopped(); }));
  nic().tx_full.store(false);
  dev_->tx_queue(0).wake();
  for (uint8_t i = 0; i < 200; ++i) {
    EXPECT_TRUE(eventually([&] { return nic().sent.contains(frame_to("02:00:00:00:00:09", i)); })) << int(i);
  }
}

// Two TX queues; the number of a frame says which, and the first has all datagrams.
struct TwoQueues {
  explicit TwoQueues(NetDevice& dev) : dev_(dev) {}
  Result<> open() {
    dev_.tx_queue(0).start();
    dev_.tx_queue(1).start();
    return {};
  }
  void stop() {}
  uint16_t select_queue(const Skb& skb, uint16_t) noexcept USERNIC_NONBLOCKING {
    return has_type(skb, 0x88b5) ? skb.data()[14] % 2 : 0;
  }
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool) noexcept USERNIC_NONBLOCKING {
    if (has_type(skb, 0x88b5)) sent[queue.index()].note(skb);
    if (has_type(skb, ETH_P_IP)) datagrams.set();
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  Frames sent[2];
  Event datagrams;

 private:
  static bool has_type(const Skb& skb, uint16_t type) noexcept USERNIC_NONBLOCKING {
    return skb.data()[12] == type >> 8 && skb.data()[13] == (type & 0xff);
  }
  NetDevice& dev_;
};

TEST_F(HostPortFrames, AStoppedQueueHoldsBackItsOwnFramesAlone) {
  dev_ = *net_.alloc_netdev<TwoQueues>({.name = "two", .address = mac(kOwn), .tx_queues = 2});
  ASSERT_TRUE(dev_->register_netdev());
  show();
  auto& sent = static_cast<TwoQueues*>(dev_->driver())->sent;
  const UniqueFd socket = packet_socket();
  dev_->tx_queue(0).stop();
  for (uint8_t i = 0; i < 100; ++i) {
    const auto frame = frame_to("02:00:00:00:00:09", i);
    ASSERT_EQ(::send(socket.get(), frame.data(), frame.size(), 0), 60);
  }
  EXPECT_EQ(sent[1].wait(50).size(), 50u);
  EXPECT_EQ(sent[0].now().size(), 0u);
  dev_->tx_queue(0).wake();
  const All held_back = sent[0].wait(50);
  ASSERT_EQ(held_back.size(), 50u);
  for (uint8_t i = 0; i < 50; ++i) EXPECT_EQ(held_back[i], frame_to("02:00:00:00:00:09", 2 * i)) << "in order";
  port_.reset();
}

// There are fewer buffers for superframes than a queue may have left: the reader is not to look for one again and
// again.
TEST_F(HostPortFrames, SuperframesThatAStoppedQueueHoldsBackLetTheReaderSleep) {
  dev_ = *net_.alloc_netdev<TwoQueues>({.name = "two", .address = mac(kOwn), .tx_queues = 2});
  ASSERT_TRUE(dev_->register_netdev());
  show({"10.9.0.1/24"});
  shell("ip neigh replace 10.9.0.2 lladdr 02:00:00:00:00:09 dev nic0");
  const UniqueFd socket = socket_there(AF_INET, SOCK_DGRAM, 0);
  constexpr int kSegment = 100, kSegments = 10, kSuperframes = 40;
  ASSERT_EQ(::setsockopt(socket.get(), IPPROTO_UDP, UDP_SEGMENT, &kSegment, sizeof kSegment), 0);
  sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(10 << 24 | 9 << 16 | 2)}};
  dev_->tx_queue(0).stop();
  const std::vector<uint8_t> payload(kSegment * kSegments);
  for (int n = 0; n < kSuperframes; ++n) {
    ASSERT_EQ(::sendto(socket.get(), payload.data(), payload.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to),
              static_cast<ssize_t>(payload.size()));
  }
  EXPECT_TRUE(comes_to_rest("usernic-read"));
  dev_->tx_queue(0).wake();
  EXPECT_TRUE(static_cast<TwoQueues*>(dev_->driver())->datagrams.wait(kSegments * kSuperframes));
  port_.reset();
}

TEST_F(HostPortFrames, AQueueThatNobodyWakesIsSaid) {
  Atomic<bool> said{false};
  std::string device;
  const Patience patience = set_patience({std::chrono::milliseconds(1), std::chrono::hours(1)});
  LongWaitHandler before = set_long_wait_handler([&](const LongWaitNote& note) {
    if (note.over || said.load() || !note.what.contains("TX queue")) return;
    device = note.device;
    said.store(true);
  });
  show();
  const UniqueFd socket = packet_socket();
  nic().tx_full.store(true);
  const auto frame = frame_to("02:00:00:00:00:09", 1);
  ASSERT_EQ(::send(socket.get(), frame.data(), frame.size(), 0), 60);
  EXPECT_TRUE(eventually([&] { return said.load(); }));
  EXPECT_TRUE(device.starts_with("nic0 (driver ")) << device;
  nic().tx_full.store(false);
  dev_->tx_queue(0).wake();
  EXPECT_TRUE(eventually([&] { return nic().sent.contains(frame); }));
  (void)set_long_wait_handler(std::move(before));
  (void)set_patience(patience);
}

TEST_F(HostPortFrames, FramesHeldBackByAStoppedQueueAreDroppedWhenTheDeviceCloses) {
  show();
  const UniqueFd socket = packet_socket();
  nic().tx_full.store(true);
  for (uint8_t i = 0; i < 10; ++i) {
    const auto frame = frame_to("02:00:00:00:00:09", i);
    ASSERT_EQ(::send(socket.get(), frame.data(), frame.size(), 0), 60);
  }
  ASSERT_TRUE(eventually([&] { return dev_->tx_queue(0).stopped(); }));
  const uint64_t dropped = dev_->stats().tx_dropped;
  shell("ip link set nic0 down");
  EXPECT_TRUE(eventually([&] { return dev_->stats().tx_dropped > dropped; }));
}

TEST_F(HostPortFrames, FramesAsLongAsTheMtuOfTheMomentAreSent) {
  // Its last words, before an MTU that is too small for it, would be too long for the device by then.
  shell("sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
  show();
  const UniqueFd socket = packet_socket();
  // Up and down again: buffers grow with the MTU, and frames of each size are out while it changes.
  nic().tx_full.store(true);
  std::vector<std::vector<uint8_t>> frames;
  for (const uint32_t mtu : {1400u, 9000u, 3000u, 8999u, 68u, 9000u}) {
    nic().tx_full.store(frames.size() % 2 == 0);
    shell("ip link set nic0 mtu " + std::to_string(mtu));
    ASSERT_TRUE(eventually([&] { return dev_->mtu() == mtu; }));
    frames.push_back(frame_to("02:00:00:00:00:09", static_cast<uint8_t>(mtu), mtu + 14));
    ASSERT_EQ(::send(socket.get(), frames.back().data(), frames.back().size(), 0), mtu + 14);
    nic().tx_full.store(false);
    dev_->tx_queue(0).wake();
    EXPECT_TRUE(eventually([&] { return nic().sent.contains(frames.back()); })) << mtu;
  }
  EXPECT_EQ(port_->status().oversized, 0u);
}

TEST_F(HostPortFrames, FramesTooLongForTheDeviceAreCountedNotSent) {
  show();
  nic().mtu_answer = fail(std::errc::invalid_argument);
  nic().mtu_stuck.set(true);  // the refusal takes a while
  const UniqueFd socket = packet_socket();
  shell("ip link set nic0 mtu 3000");
  const auto frame = frame_to("02:00:00:00:00:09", 0, 3000);
  ASSERT_EQ(::send(socket.get(), frame.data(), frame.size(), 0), 3000);
  EXPECT_TRUE(eventually([&] { return port_->status().oversized == 1; }));
}

TEST_F(HostPortFrames, WhileTheDriverHasEveryBufferFramesWait) {
  show();
  const UniqueFd socket = packet_socket();
  nic().keeps_frames.store(true);
  constexpr uint32_t kBuffers = 512, kMore = 100;
  const auto frame = [](uint32_t i) {
    auto frame = frame_to("02:00:00:00:00:09", static_cast<uint8_t>(i));
    frame[15] = static_cast<uint8_t>(i >> 8);
    return frame;
  };
  for (uint32_t i = 0; i < kBuffers + kMore; ++i) {
    const auto next = frame(i);
    ASSERT_EQ(::send(socket.get(), next.data(), next.size(), 0), 60);
    // No more at once than the TAP's queue takes.
    const bool taken = i >= kBuffers || eventually([&] { return nic().kept_count() > i; });
    ASSERT_TRUE(taken) << i;
  }
  EXPECT_EQ(nic().kept_count(), kBuffers);
  nic().give_back();
  EXPECT_TRUE(eventually([&] { return nic().sent.contains(frame(kBuffers + kMore - 1)); }));
  for (uint32_t i = kBuffers; i < kBuffers + kMore; ++i) EXPECT_TRUE(nic().sent.contains(frame(i))) << i;
}

// Takes five seconds: a driver may still be about to give them back.
TEST_F(HostPortFrames, FramesThatTheDriverKeepsForEverAreLeftToItAndSaid) {
  show();
  const UniqueFd socket = packet_socket();
  nic().keeps_frames.store(true);
  const auto frame = frame_to("02:00:00:00:00:09");
  ASSERT_EQ(::send(socket.get(), frame.data(), frame.size(), 0), 60);
  ASSERT_TRUE(eventually([&] { return nic().sent.contains(frame); }));
  port_.reset();
  EXPECT_TRUE(logged("nic0: the driver keeps "));
  nic().give_back();
}

TEST_F(HostPortFrames, WhatTheKernelDoesNotTakeIsCounted) {
  show();
  nic().mtu_stuck.set(true);  // the device does not hear yet that its interface goes down
  shell("ip link set nic0 mtu 1400");
  ASSERT_TRUE(eventually([&] { return nic().asked_mtu.count() != 0; }));
  shell("ip link set nic0 down");
  nic().inject(frame_to(kOwn));
  EXPECT_TRUE(eventually([&] { return port_->status().receive_dropped == 1; }));
  EXPECT_TRUE(shell("ip -s -j link show nic0").contains("\"dropped\":1,")) << "the TAP counts it, too";
}

TEST_F(HostPortTest, UpAndDownFollowInBothDirections) {
  show({}, false);
  EXPECT_FALSE(link().up);
  shell("ip link set nic0 up");
  EXPECT_TRUE(eventually([&] { return dev_->running(); }));
  shell("ip link set nic0 down");
  EXPECT_TRUE(eventually([&] { return !dev_->running(); }));
  ASSERT_TRUE(dev_->open());
  EXPECT_TRUE(eventually([&] { return link().up; }));
  ASSERT_TRUE(dev_->close());
  EXPECT_TRUE(eventually([&] { return !link().up; }));
}

TEST_F(HostPortTest, AnOpenThatTheDriverRefusesSetsTheInterfaceDownAgain) {
  nic().open_answer = fail(std::errc::io_error);
  show({}, false);
  shell("ip link set nic0 up");
  EXPECT_TRUE(eventually([&] { return logged("nic0: the device refused \"up\": EIO") && !link().up; }));
  EXPECT_EQ(nic().opens.load(), 1u) << "asked once";
}

TEST_F(HostPortTest, TheMtuFollowsInBothDirections) {
  show();
  shell("ip link set nic0 mtu 1400");
  EXPECT_TRUE(eventually([&] { return dev_->mtu() == 1400; }));
  ASSERT_TRUE(dev_->change_mtu(1300));
  EXPECT_TRUE(eventually([&] { return link().mtu == 1300; }));
  EXPECT_EQ(dev_->mtu(), 1300u);
}

TEST_F(HostPortTest, AnMtuThatTheDeviceRefusesIsPutBack) {
  show({}, true, kNever);  // at once
  shell("ip link set nic0 mtu 9500");
  EXPECT_TRUE(eventually([&] { return link().mtu == 1500; }));
  EXPECT_TRUE(logged("nic0: the device refused \"MTU 9500\": EINVAL"));
  EXPECT_EQ(dev_->mtu(), 1500u);
}

TEST_F(HostPortTest, TheAddressFollowsInBothDirections) {
  show();
  shell("ip link set nic0 address 02:00:00:00:00:0a");
  EXPECT_TRUE(eventually([&] { return dev_->address() == mac("02:00:00:00:00:0a"); }));
  ASSERT_TRUE(dev_->set_mac_address(mac("02:00:00:00:00:0b")));
  EXPECT_TRUE(eventually([&] { return link().address == mac("02:00:00:00:00:0b"); }));
}

TEST_F(HostPortTest, QuickChangesFromBothSidesSettle) {
  show();
  for (uint32_t i = 0; i < 20; ++i) {
    shell("ip link set nic0 mtu " + std::to_string(1400 + i));
    (void)dev_->change_mtu(1200 + i);
  }
  Time calm = Clock::now();
  std::pair<uint32_t, uint32_t> last;
  EXPECT_TRUE(eventually([&] {
    const std::pair now(dev_->mtu(), link().mtu);
    if (now != last || now.first != now.second) calm = Clock::now();
    last = now;
    return Clock::now() - calm > milliseconds(300);
  })) << last.first
      << " " << last.second;
}

TEST_F(HostPortTest, CarrierFollowsTheDevice) {
  show();
  const auto has_carrier = [&] { return shell("ip -o link show nic0").find("NO-CARRIER") == std::string::npos; };
  EXPECT_TRUE(has_carrier());
  dev_->carrier_off();
  EXPECT_TRUE(eventually([&] { return !has_carrier(); }));
  dev_->carrier_on();
  EXPECT_TRUE(eventually(has_carrier));
}

TEST_F(HostPortTest, TheKernelsWordOnTheCarrierReachesTheDevice) {
  show();
  shell("ip link set nic0 carrier off");
  EXPECT_TRUE(eventually([&] { return !dev_->carrier_ok(); }));
  EXPECT_EQ(link().carrier, false);
  shell("ip link set nic0 carrier on");
  EXPECT_TRUE(eventually([&] { return dev_->carrier_ok(); }));
  EXPECT_EQ(link().carrier, true);
  EXPECT_EQ(nic().carrier_changes.load(), 2u);
}

TEST_F(HostPortTest, ACarrierThatTheDeviceRefusesToChangeIsPutBack) {
  nic().carrier_answer = fail(std::errc::operation_not_supported);
  show();
  shell("ip link set nic0 carrier off");
  EXPECT_TRUE(eventually([&] { return logged("nic0: the device refused \"carrier off\": EOPNOTSUPP"); }));
  EXPECT_TRUE(eventually([&] { return link().carrier == true; }));
  EXPECT_TRUE(dev_->carrier_ok());
  const uint64_t pictures = port_->status().pictures;
  EXPECT_TRUE(eventually([&] { return port_->status().pictures >= pictures + 2; }));
  EXPECT_EQ(nic().carrier_changes.load(), 1u) << "asked once";
  EXPECT_EQ(link().carrier, true);
}

TEST_F(HostPortTest, ACarrierThatTheWireHasNotIsTakenBackAtTheKernel) {
  show();
  nic().wire_up.store(false);
  dev_->carrier_off();
  ASSERT_TRUE(eventually([&] { return link().carrier == false; }));
  shell("ip link set nic0 carrier on");
  EXPECT_TRUE(eventually([&] { return nic().carrier_changes.load() == 1 && link().carrier == false; }));
  EXPECT_FALSE(dev_->carrier_ok());
  nic().wire_up.store(true);
  dev_->carrier_on();
  EXPECT_TRUE(eventually([&] { return link().carrier == true; }));
  EXPECT_EQ(nic().carrier_changes.load(), 1u);
}

TEST_F(HostPortTest, TheDevicesOwnChangesOfTheCarrierAreNobodysWish) {
  show();
  for (int i = 0; i < 50; ++i) {
    const bool on = i % 2 != 0;
    on ? dev_->carrier_on() : dev_->carrier_off();
    if (i % 5 == 0) shell(i % 2 == 0 ? "ip link set nic0 mtu 1400" : "ip link set nic0 down; ip link set nic0 up");
    const bool shown = i % 7 != 0 || eventually([&] { return link().carrier == on; });
    EXPECT_TRUE(shown) << i;
  }
  EXPECT_TRUE(eventually([&] { return link().carrier == true && dev_->mtu() == 1400 && dev_->running(); }));
  const uint64_t pictures = port_->status().pictures;
  EXPECT_TRUE(eventually([&] { return port_->status().pictures >= pictures + 2; }));
  EXPECT_EQ(nic().carrier_changes.load(), 0u);
  EXPECT_TRUE(dev_->carrier_ok());
  EXPECT_EQ(link().carrier, true);
}

TEST_F(HostPortTest, NoKernelCallerWaitsForTheDriver) {
  show();
  nic().call_time_ns.store(Duration(std::chrono::hours(1)).count());
  shell("bridge fdb add 02:00:00:00:00:77 dev nic0 self");
  ASSERT_TRUE(eventually([&] { return nic().filter_calls.load() >= 1; }));
  ASSERT_TRUE(rtnetlink_->set_mtu(port_->ifindex(), 1400));
  ASSERT_TRUE(rtnetlink_->set_up(port_->ifindex(), false));
  ASSERT_TRUE(rtnetlink_->set_up(port_->ifindex(), true));
  port_.reset();  // asks the driver to stop
}

TEST_F(HostPortTest, ItsEndUndoesEverything) {
  show();
  shell("bridge fdb add 02:00:00:00:00:77 dev nic0 self; ip link set nic0 promisc on allmulticast on");
  ASSERT_TRUE(eventually([&] {
    const RxModeStatus status = dev_->rx_mode().status();
    return dev_->uc().size() == 1 && dev_->mc().size() > 0 && status.promiscuity == 1 && status.allmulti == 1;
  }));
  port_.reset();
  const RxModeStatus status = dev_->rx_mode().status();
  EXPECT_EQ(dev_->uc().size(), 0u);
  EXPECT_EQ(dev_->mc().size(), 0u);
  EXPECT_EQ(status.promiscuity, 0u);
  EXPECT_EQ(status.allmulti, 0u);
  EXPECT_FALSE(dev_->running()) << "the kernel had opened it";
  EXPECT_TRUE(eventually([&] { return shell("ip -o link").find("nic0") == std::string::npos; }));
  show();
  EXPECT_TRUE(link().up) << "and again";
}

TEST_F(HostPortTest, ADeviceThatWasOpenBeforeStaysOpen) {
  ASSERT_TRUE(dev_->open());
  show({}, false);
  EXPECT_TRUE(link().up);
  port_.reset();
  EXPECT_TRUE(dev_->running());
}

TEST_F(HostPortTest, UnregisteringTheDeviceMeanwhileEndsCleanly) {
  show();
  shell("bridge fdb add 02:00:00:00:00:77 dev nic0 self");
  ASSERT_TRUE(eventually([&] { return dev_->uc().size() == 1; }));
  dev_->unregister_netdev();
  EXPECT_TRUE(eventually([&] { return !link().up; }));
  shell("ip link set nic0 mtu 1400 up; bridge fdb add 02:00:00:00:00:78 dev nic0 self");
  EXPECT_TRUE(eventually([&] { return !link().up; })) << "nobody opens a device that is gone";
  port_.reset();
}

TEST_F(HostPortTest, ADeletedInterfaceLetsTheDeviceGo) {
  show({}, true, kNever);
  shell("bridge fdb add 02:00:00:00:00:77 dev nic0 self");
  ASSERT_TRUE(eventually([&] { return dev_->uc().size() == 1; }));
  shell("ip link del nic0");
  EXPECT_TRUE(eventually([&] { return port_->status().whereabouts == Whereabouts::kGone && !dev_->running(); }));
  EXPECT_EQ(dev_->uc().size(), 0u);
  EXPECT_EQ(dev_->mc().size(), 0u);
  EXPECT_TRUE(logged("nic0: the interface was deleted"));
}

TEST_F(HostPortTest, WithNothingToDoNobodyRuns) {
  show({}, true, kNever);
  dev_->carrier_off();
  ASSERT_TRUE(eventually([&] { return link().carrier == false; }));
  EXPECT_TRUE(comes_to_rest("usernic-read"));
  EXPECT_TRUE(comes_to_rest("usernic-host"));
  shell("ip link del nic0");
  ASSERT_TRUE(eventually([&] { return port_->status().whereabouts == Whereabouts::kGone; }));
  EXPECT_TRUE(comes_to_rest("usernic-read"));
  EXPECT_TRUE(comes_to_rest("usernic-host"));
}

TEST_F(HostPortTest, ADeviceThatIsNotRegisteredIsNotShown) {
  const NetdevPtr other = *net_.alloc_netdev<TestNic>({.name = "nic1"});
  const auto loop = HostLoop::create();
  ASSERT_TRUE(loop);
  const auto port = HostPort::create(**loop, *other, *netns_, {.name = "nic1"});
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().error, std::errc::no_such_device);
  EXPECT_EQ(port.error().sentence, "nic1 cannot be shown: it is not registered");
}

TEST_F(HostPortTest, ADeviceIsShownOnceAndANameIsUsedOnce) {
  show();
  auto again = HostPort::create(*loop_, *dev_, *netns_, {.name = "nic1"});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().error, std::errc::device_or_resource_busy);
  EXPECT_EQ(again.error().sentence, "nic0 cannot be shown: something sits on it already");
  auto same_name = HostPort::create(*loop_, *dev_, *netns_, {.name = "nic0", .kind = kind()});
  ASSERT_FALSE(same_name);
  EXPECT_EQ(same_name.error().sentence,
            std::string("cannot make interface \"nic0\": the name is in use in that network namespace, by a ") +
                (by_veth() ? "veth" : "TAP that another program has open"));
}

TEST_F(HostPortTest, AWrongAddressIsSaidInASentenceAndNothingIsLeftBehind) {
  auto loop = HostLoop::create();
  ASSERT_TRUE(loop);
  auto port = HostPort::create(**loop, *dev_, *netns_,
                               {.name = "nic0", .kind = kind(), .ip_addresses = {"10.9.0.1/24", "10.9.0.300/24"}});
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().sentence,
            "interface \"nic0\": \"10.9.0.300/24\" is not an IP address with a prefix "
            "length, such as 10.9.0.1/24");
  EXPECT_TRUE(eventually([&] { return shell("ip -o link").find("nic0") == std::string::npos; }));
  EXPECT_FALSE(dev_->running());
}

TEST_F(HostPortTest, ItIsFollowedToAnotherNamespaceAndHomeAgain) {
  show();
  auto elsewhere = NetNamespace::create();
  ASSERT_TRUE(elsewhere);
  const auto path = [](const NetNamespace& of) {
    return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(of.fd());
  };
  const std::string there = "nsenter --net=" + path(*elsewhere) + " ";
  shell("ip link set nic0 netns " + path(*elsewhere));
  EXPECT_TRUE(eventually([&] { return port_->status().whereabouts == Whereabouts::kElsewhere; }));
  EXPECT_EQ(port_->status().netns, elsewhere->id());
  EXPECT_TRUE(eventually([&] { return !dev_->running(); })) << "the kernel sets down what is moved";
  shell(there + "ip link set nic0 mtu 1400 up; " + there + "ip addr add 10.9.0.1/24 dev nic0; " + there +
        "ip neigh replace 10.9.0.2 lladdr 02:00:00:00:00:09 dev nic0");
  EXPECT_TRUE(eventually([&] { return dev_->mtu() == 1400 && dev_->running(); }));
  EXPECT_TRUE(eventually([&] {  // the kernel drops what is sent before it has opened its queue
    (void)elsewhere->run([] {
      const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      const sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(10 << 24 | 9 << 16 | 2)}};
      (void)::sendto(socket.get(), "here", 4, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    });
    return std::ranges::any_of(nic().sent.now(), [](const Frame& each) {
      return MacAddress::from_bytes(each.data()) == mac("02:00:00:00:00:09");
    });
  }));
  shell(there + "ip maddr add 33:33:00:00:12:34 dev nic0");
  EXPECT_TRUE(eventually([&] { return dev_->mc().contains(mac("33:33:00:00:12:34")); }));
  const auto received = [&] {
    return std::stoul(shell(there + "awk '$1 == \"nic0:\" { print $3 }' /proc/self/net/dev"));
  };
  const unsigned long before = received();
  nic().inject(Frame(60, 0xff));
  EXPECT_TRUE(eventually([&] { return received() > before; }));

  shell(there + "ip link set nic0 netns " + path(*netns_));
  EXPECT_TRUE(eventually([&] { return port_->status().whereabouts == Whereabouts::kHome; }));
  shell("ip link set nic0 up");
  EXPECT_TRUE(eventually([&] { return dev_->running(); }));
}

}  // namespace
}  // namespace usernic
