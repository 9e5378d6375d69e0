// SPDX-License-Identifier: Apache-2.0 OR MIT
// Packet sockets on both ends of a cable of the real kernel: what is sent at one is read at the other.
#include "bus/netif/packet_socket.h"

#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "bus/netif/old_kernel_fixture.h"
#include "bus/netif/packet_reader.h"
#include "bus/netif/packet_writer.h"
#include "bus/netif/veth_fixture.h"
#include "testing/inet_frames.h"
#include "usernic/refusal.h"
#include "usernic/thread.h"

namespace usernic {
namespace {

constexpr uint32_t kBufferBytes = 1 << 20;
constexpr uint32_t kFrameMax = 1518;
constexpr MacAddress kOwn = MacAddress::from_u64(0x0200'0000'0002);  // Packet's to_host 2
constexpr MacAddress kOther = MacAddress::from_u64(0x0200'0000'0003);
constexpr MacAddress kGroup = MacAddress::from_u64(0x0100'5e01'0203);

// One end: a socket, its reader and its writer, and buffers.
struct End {
  explicit End(const char* interface, uint32_t buffer_bytes = kBufferBytes)
      : of(*Interface::find(interface)), socket(*PacketSocket::open(buffer_bytes)) {
    EXPECT_TRUE(socket.bind(of.index()));
    EXPECT_TRUE(socket.pass_everything());
  }
  ~End() { reader->free_spare(); }

  bool send(const Octets& octets, const Offload& offload = {}) {
    SkbBatch one;
    Skb& skb = *(offload.superframe() ? superframes : frames).alloc();
    std::ranges::copy(octets, skb.put(static_cast<uint32_t>(octets.size())));
    skb.set_offload(offload);
    one.push_back(skb);
    return write(one);
  }

  bool write(SkbBatch& batch) {
    SkbBatch refused;
    const bool all = writer->write(batch, refused);
    SkbPool::free(refused);
    return all;
  }

  // What has come, once at least one has.
  SkbBatch read(uint32_t most = 64, uint32_t frame_max = kFrameMax) {
    pollfd readable{.fd = socket.fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&readable, 1, 120'000), 1);
    SkbBatch came;
    end = reader->read(frames, superframes, frame_max, most, came, taken);
    return came;
  }

  Interface of;
  PacketSocket socket;
  SkbPool frames{128, 9018};
  SkbPool superframes{64, kSuperframeBytes, &frames};
  std::unique_ptr<PacketReader> reader = std::make_unique<PacketReader>(socket);
  std::unique_ptr<PacketWriter> writer = std::make_unique<PacketWriter>(socket);
  PacketReader::End end = PacketReader::End::kEnough;
  uint32_t taken = 0;
};

Octets frame_to(const MacAddress& to, uint32_t bytes = 60) {
  Octets octets(bytes);
  std::ranges::copy(to.octets, octets.begin());
  octets[6] = 2, octets[12] = 0x88, octets[13] = 0xb5;
  return octets;
}

std::string memberships(const char* interface) {
  std::ifstream file("/proc/net/dev_mcast");
  std::string all, line;
  while (std::getline(file, line)) {
    if (line.find(interface) != line.npos) all += line + "\n";
  }
  return all;
}

using PacketSocketTest = VethTest;

TEST_F(PacketSocketTest, AFrameWithoutASumAndASuperframeComeAsTheyWereSent) {
  End left("left"), right("right");
  const Packet plain{.payload_bytes = 100};
  const Offload needed{.sum = FrameSum::kNeeded, .sum_offset = 16, .sum_start = 34};
  ASSERT_TRUE(left.send(plain.octets(), needed));
  SkbBatch came = right.read();
  ASSERT_EQ(came.size(), 1u);
  EXPECT_EQ(came.front()->offload(), needed);
  EXPECT_EQ(octets_of(*came.front()), plain.octets());

  for (const bool v6 : {false, true}) {
    const Packet super{.v6 = v6, .payload_bytes = 40'000};
    const auto start = static_cast<uint16_t>(v6 ? 54 : 34);
    const Offload offload{.sum = FrameSum::kNeeded,
                          .gso = v6 ? Gso::kTcp6 : Gso::kTcp4,
                          .sum_offset = 16,
                          .sum_start = start,
                          .gso_size = 1400,
                          .header_bytes = static_cast<uint16_t>(start + 20)};
    ASSERT_TRUE(left.send(super.octets(), offload));
    SkbBatch whole = right.read();
    ASSERT_EQ(whole.size(), 1u);
    EXPECT_EQ(whole.front()->offload(), offload);
    EXPECT_EQ(octets_of(*whole.front()), super.octets());
  }
  EXPECT_EQ(right.reader->superframes(), 2u);
  EXPECT_EQ(left.writer->superframes(), 2u);
}

TEST_F(PacketSocketTest, AVlanTagIsWhereItWas) {
  End left("left"), right("right");
  for (const Octets& tags : {Octets{0x81, 0, 0x20, 5}, Octets{0x88, 0xa8, 0, 7, 0x81, 0, 0, 5}}) {
    const Packet tagged{.tags = tags, .payload_bytes = 100};
    const Offload needed{
        .sum = FrameSum::kNeeded, .sum_offset = 16, .sum_start = static_cast<uint16_t>(34 + tags.size())};
    ASSERT_TRUE(left.send(tagged.octets(), needed));
    SkbBatch came = right.read();
    ASSERT_EQ(came.size(), 1u);
    EXPECT_EQ(octets_of(*came.front()), tagged.octets());
    EXPECT_EQ(came.front()->offload().sum, FrameSum::kNeeded);
    EXPECT_EQ(came.front()->offload().sum_start, needed.sum_start);
  }
  const Packet super{.tags = {0x81, 0, 0, 5}, .payload_bytes = 40'000};
  const Offload offload{.sum = FrameSum::kNeeded,
                        .gso = Gso::kTcp4,
                        .sum_offset = 16,
                        .sum_start = 38,
                        .gso_size = 1400,
                        .header_bytes = 58};
  ASSERT_TRUE(left.send(super.octets(), offload));
  SkbBatch whole = right.read();
  ASSERT_EQ(whole.size(), 1u);
  EXPECT_EQ(octets_of(*whole.front()), super.octets());
  EXPECT_EQ(whole.front()->offload(), offload);
}

TEST(PutVlanTag, NeedsAHeaderAndRoomBeforeIt) {
  SkbPool pool(1, 100);
  Skb& skb = *pool.alloc();
  skb.put(13);
  EXPECT_FALSE(put_vlan_tag(skb, 0x8100, 5)) << "no whole header";
  skb.put(1);
  skb.push(skb.headroom() - 3);
  EXPECT_FALSE(put_vlan_tag(skb, 0x8100, 5)) << "no room";
  SkbPool::free(skb);
}

TEST_F(PacketSocketTest, ManyFramesKeepTheirOrder) {
  End left("left"), right("right");
  SkbBatch many;
  for (uint8_t n = 0; n < 100; ++n) {
    Skb& skb = *left.frames.alloc();
    std::ranges::copy(frame_to(kOwn), skb.put(60));
    skb.data()[20] = n;
    many.push_back(skb);
  }
  ASSERT_TRUE(left.write(many));
  EXPECT_TRUE(many.empty());
  EXPECT_EQ(left.writer->calls(), 2u);
  uint8_t next = 0;
  while (next < 100) {
    SkbBatch came = right.read(40);
    for (Skb* skb = came.front(); skb != nullptr; skb = SkbBatch::next(*skb)) ASSERT_EQ(skb->data()[20], next++);
  }
  EXPECT_EQ(right.taken, 100u);
}

TEST_F(PacketSocketTest, WhatIsTooLongForTheReaderIsCountedAndTheNextOneIsNot) {
  End left("left"), right("right");
  ASSERT_TRUE(left.send(frame_to(kOwn, kFrameMax + 1)));
  ASSERT_TRUE(left.send(frame_to(kOwn, kFrameMax)));
  SkbBatch came = right.read();
  EXPECT_EQ(came.size(), 1u);
  EXPECT_EQ(right.taken, 2u);
  EXPECT_EQ(right.reader->oversized(), 1u);
}

TEST_F(PacketSocketTest, ATagThatIsPutBackIsOfTheLength) {
  End left("left"), right("right");
  for (const uint32_t bytes : {kFrameMax + 4, kFrameMax}) {
    Octets tagged = frame_to(kOwn, bytes);
    const uint8_t tags[] = {0x88, 0xa8, 0, 7, 0x81, 0, 0, 5, 0x88, 0xb5};
    std::ranges::copy(tags, tagged.begin() + 12);
    ASSERT_TRUE(left.send(tagged));
  }
  SkbBatch came = right.read();
  ASSERT_EQ(came.size(), 1u);
  EXPECT_EQ(came.front()->size(), kFrameMax);
  EXPECT_EQ(right.taken, 2u);
  EXPECT_EQ(right.reader->oversized(), 1u);

  // Of a superframe, of what each segment will be.
  for (const uint16_t gso_size : {1461, 1460}) {
    const Packet packet{.tags = {0x81, 0, 0, 5}, .payload_bytes = 40'000};
    ASSERT_TRUE(left.send(packet.octets(), {.sum = FrameSum::kNeeded,
                                            .gso = Gso::kTcp4,
                                            .sum_offset = 16,
                                            .sum_start = 38,
                                            .gso_size = gso_size,
                                            .header_bytes = 58}));
  }
  SkbBatch super = right.read();
  ASSERT_EQ(super.size(), 1u);
  EXPECT_EQ(super.front()->offload().gso_size, 1460u);
  EXPECT_EQ(right.reader->oversized(), 2u);
}

TEST_F(PacketSocketTest, WithoutBuffersTheFramesWait) {
  End left("left"), right("right");
  SkbBatch held;
  right.frames.alloc(held, 128);
  ASSERT_TRUE(left.send(frame_to(kOwn)));
  EXPECT_TRUE(right.read().empty());
  EXPECT_EQ(right.end, PacketReader::End::kNoBuffers);
  SkbPool::free(held);
  EXPECT_EQ(right.read().size(), 1u);
}

TEST_F(PacketSocketTest, TheGateLetsThroughWhatItIsToldAndGroups) {
  End left("left"), right("right");
  const auto heard = [&](const Result<>& gate) {
    EXPECT_TRUE(gate);
    for (const MacAddress& to : {kOwn, kOther, kGroup, kBroadcast}) EXPECT_TRUE(left.send(frame_to(to)));
    EXPECT_TRUE(right.socket.pass_everything());
    EXPECT_TRUE(left.send(frame_to(MacAddress::from_u64(0x0200'0000'eeee))));  // and that is the last
    std::vector<MacAddress> all;
    while (all.empty() || all.back().octets[5] != 0xee) {
      SkbBatch came = right.read();
      for (Skb* skb = came.front(); skb != nullptr; skb = SkbBatch::next(*skb))
        all.push_back(MacAddress::from_bytes(skb->data()));
    }
    all.pop_back();
    return all;
  };
  using Addresses = std::vector<MacAddress>;
  const MacAddress two[] = {MacAddress::from_u64(0x0200'0000'0102), kOwn};
  EXPECT_EQ(heard(right.socket.pass_nothing()), Addresses());
  EXPECT_EQ(heard(right.socket.pass(two)), (Addresses{kOwn, kGroup, kBroadcast}));
  EXPECT_EQ(heard(right.socket.pass({})), (Addresses{kGroup, kBroadcast}));
  std::vector<MacAddress> many(PacketSocket::kGateMax, two[0]);
  many.back() = kOther;
  EXPECT_EQ(heard(right.socket.pass(many)), (Addresses{kOther, kGroup, kBroadcast}));
  many.push_back(two[0]);
  EXPECT_EQ(heard(right.socket.pass(many)), (Addresses{kOwn, kOther, kGroup, kBroadcast}));
}

TEST_F(PacketSocketTest, AMembershipIsTheInterfacesUntilItIsLeft) {
  End right("right");
  const int index = right.of.index();
  ASSERT_TRUE(right.socket.join(index, Membership::kMulticast, kGroup));
  EXPECT_NE(memberships("right").find("01005e010203"), std::string::npos) << memberships("right");
  ASSERT_TRUE(right.socket.leave(index, Membership::kMulticast, kGroup));
  EXPECT_EQ(memberships("right").find("01005e010203"), std::string::npos) << memberships("right");
  for (const Membership flag : {Membership::kPromisc, Membership::kAllmulti, Membership::kUnicast}) {
    EXPECT_TRUE(right.socket.join(index, flag, kOther));
    EXPECT_TRUE(right.socket.leave(index, flag, kOther));
  }
  EXPECT_FALSE(right.socket.join(index + 1000, Membership::kPromisc));
}

TEST_F(PacketSocketTest, WhatItsOwnInterfaceSendsIsNotReceived) {
  End left("left"), right("right"), also_left("left");
  ASSERT_TRUE(also_left.send(frame_to(kOwn)));
  ASSERT_EQ(right.read().size(), 1u);
  ASSERT_TRUE(right.send(frame_to(kOther)));
  SkbBatch came = left.read();
  ASSERT_EQ(came.size(), 1u);
  EXPECT_EQ(MacAddress::from_bytes(came.front()->data()), kOther);
}

TEST_F(PacketSocketTest, AFullSocketKeepsTheRestUntilItIsWritable) {
  End left("left", 4096), right("right");
  shell("tc qdisc add dev left root tbf rate 8mbit burst 3000 limit 10000000");
  SkbBatch many;
  for (int n = 0; n < 100; ++n) {
    Skb& skb = *left.frames.alloc();
    std::ranges::copy(frame_to(kOwn, 1000), skb.put(1000));
    many.push_back(skb);
  }
  uint32_t times_full = 0;
  while (!left.write(many)) {
    ++times_full;
    pollfd writable{.fd = left.socket.fd(), .events = POLLOUT, .revents = 0};
    ASSERT_EQ(::poll(&writable, 1, 120'000), 1);
  }
  EXPECT_GT(times_full, 0u);
  EXPECT_EQ(left.writer->refused(), 0u);
  for (uint32_t heard = 0; heard < 100;) heard += right.read().size();
}

TEST_F(PacketSocketTest, WhatTheKernelRefusesIsCountedAndTheRestGoesOn) {
  End left("left"), right("right");
  SkbBatch frames;
  for (const uint32_t bytes : {9018u, 9019u, 60u}) {  // of an MTU of 9000, with a tag and without
    Skb* const skb = (bytes > 9018 ? left.superframes : left.frames).alloc();
    std::ranges::copy(frame_to(kOwn, bytes), skb->put(bytes));
    frames.push_back(*skb);
  }
  EXPECT_TRUE(left.write(frames));
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(left.writer->refused(), 2u);
  EXPECT_EQ(right.read().size(), 1u);
}

// The answer is one that other mistakes have, too, and other frames.
TEST_F(PacketSocketTest, AKernelThatTakesNoSuperframesOfUdpIsKnownByItsAnswerToOne) {
  End left("left"), right("right");
  const Octets udp = Packet{.udp = true, .payload_bytes = 4'000}.octets();
  const Octets tcp = Packet{.payload_bytes = 4'000}.octets();
  const auto cut_to_1000 = [](Gso gso, uint8_t sum_offset, uint16_t header_bytes) {
    return Offload{.sum = FrameSum::kNeeded,
                   .gso = gso,
                   .sum_offset = sum_offset,
                   .sum_start = 34,
                   .gso_size = 1000,
                   .header_bytes = header_bytes};
  };
  const Offload of_udp = cut_to_1000(Gso::kUdp, 6, 42);
  Offload of_tcp = cut_to_1000(Gso::kTcp4, 16, 54);
  of_tcp.sum_start = 5000;  // is not in it: EINVAL
  EXPECT_TRUE(left.send(tcp, of_tcp));
  EXPECT_EQ(left.writer->refused(), 4u);
  EXPECT_FALSE(left.writer->refuses_udp_superframes());
  shell("ip link set left down");
  EXPECT_TRUE(left.send(udp, of_udp));  // ENETDOWN
  EXPECT_FALSE(left.writer->refuses_udp_superframes());
  shell("ip link set left up");
  until_open();

  const OldKernel kernel;
  of_tcp.sum_start = 34;
  EXPECT_TRUE(left.send(tcp, of_tcp));
  EXPECT_FALSE(left.writer->refuses_udp_superframes());
  EXPECT_TRUE(left.send(udp, of_udp));
  EXPECT_TRUE(left.writer->refuses_udp_superframes());
  EXPECT_TRUE(left.send(frame_to(kOwn)));
  EXPECT_EQ(left.writer->superframes(), 1u);
}

TEST_F(PacketSocketTest, AnErrorOfBeforeIsNotTheNextFrames) {
  End left("left"), right("right");
  shell("ip link set left down && ip link set left up");  // word of which waits in the socket
  ASSERT_TRUE(left.send(frame_to(kOwn)));
  EXPECT_EQ(left.writer->refused(), 0u);
  shell("ip link set left down && ip link set left up");
  ASSERT_TRUE(left.send(Packet{.payload_bytes = 4'000}.octets(), {.sum = FrameSum::kNeeded,
                                                                  .gso = Gso::kTcp4,
                                                                  .sum_offset = 16,
                                                                  .sum_start = 34,
                                                                  .gso_size = 1400,
                                                                  .header_bytes = 54}));
  EXPECT_EQ(left.writer->superframes(), 1u);
}

TEST_F(PacketSocketTest, AnInterfaceThatGoesIsSeenAndItsSocketServesTheNextOne) {
  End left("left"), right("right");
  InterfaceEvents events = *InterfaceEvents::open();
  shell("ip link del left");
  pollfd readable{.fd = events.fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&readable, 1, 120'000), 1);
  events.clear();
  EXPECT_EQ(right.of.state().error(), std::errc::no_such_device);
  EXPECT_EQ(Interface::find("right").error(), std::errc::no_such_device);
  EXPECT_TRUE(right.read().empty());
  EXPECT_EQ(right.end, PacketReader::End::kDown);
  EXPECT_TRUE(left.send(frame_to(kOwn)));
  EXPECT_EQ(left.writer->refused(), 1u);
  EXPECT_EQ(right.socket.bind(right.of.index()), fail(std::errc::no_such_device));

  shell("ip link add left type veth peer name right && ip link set left up && ip link set right up");
  until_open();
  ASSERT_TRUE(left.socket.bind(find("left").index()));
  ASSERT_TRUE(right.socket.bind(find("right").index()));
  ASSERT_TRUE(left.send(frame_to(kOwn)));
  bool heard = false;
  while (!heard) {  // the new ends' own stacks may speak first
    SkbBatch came = right.read();
    for (Skb* skb = came.front(); skb != nullptr; skb = SkbBatch::next(*skb))
      heard |= octets_of(*skb) == frame_to(kOwn);
  }
}

TEST_F(PacketSocketTest, OneThatIsRenamedAllTheWhileIsThere) {
  const Interface right = find("right");
  ASSERT_TRUE(right.set_mtu(1400));
  Atomic<bool> enough{false};
  uint32_t rounds = 0, failures = 0;
  shell("ip link set right down");
  auto renames = Thread::start("renames", [&] {
    const UniqueFd door(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto rename = [&](const char* from, const char* to) {
      ifreq wish{};
      std::strcpy(wish.ifr_name, from);
      std::strcpy(wish.ifr_newname, to);
      failures += ::ioctl(door.get(), SIOCSIFNAME, &wish) != 0;
    };
    for (; !enough.load(); ++rounds) {
      rename("right", "other");
      rename("other", "right");
    }
  });
  ASSERT_TRUE(renames);
  for (int look = 0; look < 20'000; ++look) {
    const Result<Interface::State> state = right.state();
    if (!state || state->mtu != 1400) {
      ADD_FAILURE() << "look " << look << ": " << (state ? std::to_string(state->mtu) : refusal(state.error()));
      break;
    }
  }
  enough.store(true);
  renames->join();
  EXPECT_GT(rounds, 0u);
  EXPECT_EQ(failures, 0u);
}

TEST_F(PacketSocketTest, AnotherIsLookedForWhereItIsItself) {
  const Interface right = find("right");
  const int left = find("left").index();
  ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
  EXPECT_EQ(Interface::find("left").error(), std::errc::no_such_device);
  const Result<Interface> found = right.find_beside("left");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->index(), left);
  EXPECT_EQ(found->state()->mtu, 9000u);
}

TEST_F(PacketSocketTest, AnInterfaceSaysWhatItIsAndTakesAnMtu) {
  const Interface right = find("right");
  EXPECT_TRUE(right.state()->up);
  EXPECT_TRUE(right.state()->carrier);
  EXPECT_TRUE(right.state()->ethernet);
  EXPECT_EQ(right.state()->mtu, 9000u);
  EXPECT_TRUE(right.set_mtu(1400));
  EXPECT_EQ(right.state()->mtu, 1400u);
  EXPECT_FALSE(right.set_mtu(10));
  shell("ip link set left down");
  EXPECT_FALSE(right.state()->carrier);
  shell("ip link set right down && ip link set right name other");
  EXPECT_FALSE(right.state()->up) << "known by its number";
  EXPECT_TRUE(right.set_up());
  EXPECT_TRUE(right.state()->up);
  EXPECT_FALSE(find("lo").state()->ethernet);
  EXPECT_NE(std::ranges::count(Interface::names(), "other"), 0);
}

}  // namespace
}  // namespace usernic
