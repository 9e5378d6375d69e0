// SPDX-License-Identifier: Apache-2.0 OR MIT
// A device of several queues: its flows keep one each, both ways, and their order.
#include <arpa/inet.h>
#include <poll.h>

#include <array>
#include <deque>
#include <map>

#include "host/host_port_fixture.h"
#include "testing/inet_frames.h"
#include "testing/unseen_by_clang.h"
#include "usernic/poll_here.h"
#include "usernic/thread.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wfunction-effects")
namespace usernic {
namespace {

constexpr uint16_t kQueues = 4;
constexpr uint16_t kFlows = 16;
constexpr uint16_t kServer = 5000, kFirstPort = 4000;  // the kernel's port, and the first of those beyond the wire
constexpr size_t kPortAt = 36, kNumberAt = 42;         // in a frame that the kernel sends

void write_number(uint8_t* at, uint32_t number) {
  for (int i = 0; i < 4; ++i) at[i] = static_cast<uint8_t>(number >> (24 - 8 * i));
}
uint32_t number_at(const uint8_t* at) {
  return uint32_t{at[0]} << 24 | uint32_t{at[1]} << 16 | uint32_t{at[2]} << 8 | at[3];
}

// Datagrams of flows come by RX queues and go by TX queues; of each flow it is noted by which, and in what order.
class ManyQueues {
 public:
  struct Flow {
    Atomic<int32_t> queue{-1};
    Atomic<uint32_t> next{0};
    Atomic<uint32_t> moved{0}, overtaken{0}, missing{0};
  };

  explicit ManyQueues(NetDevice& dev) : dev_(dev) {
    for (uint16_t i = 0; i < dev.tx_queue_count(); ++i) queues_.emplace_back(*this, i);
  }
  static ManyQueues& of(NetDevice& dev) { return *static_cast<ManyQueues*>(dev.driver()); }

  Result<> open() {
    for (Queue& each : queues_) {
      each.napi.enable();
      dev_.tx_queue(each.napi.queue()).start();
    }
    return {};
  }
  void stop() {
    for (Queue& each : queues_) each.napi.disable();
  }
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool) noexcept USERNIC_NONBLOCKING {
    const uint8_t* const at = skb.data();
    const uint16_t port = static_cast<uint16_t>(at[kPortAt] << 8 | at[kPortAt + 1]);
    if (skb.size() >= 60 && at[12] == 8 && at[23] == 17 && port >= kFirstPort && port < kFirstPort + kFlows) {
      Flow& flow = flows[port - kFirstPort];
      const int32_t before = flow.queue.exchange(queue.index());
      if (before >= 0 && before != queue.index()) flow.moved.fetch_add(1);
      const uint32_t number = number_at(at + kNumberAt), next = flow.next.exchange(number + 1);
      if (number < next) flow.overtaken.fetch_add(1);
      if (number > next) flow.missing.fetch_add(number - next);
      sent.set();
    }
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }
  int poll(Napi& napi, int budget) noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    Queue& queue = queues_[napi.queue()];
    SkbBatch frames;
    {
      SpinGuard guard(queue.lock);
      while (!queue.waiting.empty() && static_cast<int>(frames.size()) < budget) {
        Skb* const skb = queue.pool.alloc();
        if (skb == nullptr) break;
        std::ranges::copy(queue.waiting.front(), skb->put(static_cast<uint32_t>(queue.waiting.front().size())));
        queue.waiting.pop_front();
        frames.push_back(*skb);
      }
    }
    const int work = static_cast<int>(frames.size());
    napi.receive(frames);
    if (work < budget) napi.complete_done(work);
    return work;
  }
  // The wire brings a datagram by that RX queue.
  void bring(uint16_t queue, uint16_t flow, uint32_t number) {
    Packet packet{.udp = true,
                  .from_port = static_cast<uint16_t>(kFirstPort + flow),
                  .to_port = kServer,
                  .from_host = 2,
                  .to_host = 1,
                  .payload_bytes = 30,
                  .sum = false};
    Octets frame = packet.octets();
    std::ranges::copy(MacAddress::from_u64(0x0200'0000'0001).octets, frame.begin());
    write_number(&frame[kNumberAt], number);
    Queue& to = queues_[queue];
    {
      SpinGuardBh guard(to.lock);
      to.waiting.push_back(std::move(frame));
    }
    to.napi.schedule();
  }

  std::array<Flow, kFlows> flows;
  Event sent;

 private:
  struct Queue {
    Queue(ManyQueues& nic, uint16_t index) : napi(nic.dev_, nic, Napi::kWeight, index) {}
    static constexpr LockClass kClass{"many_queues"};
    SpinLock lock{kClass};
    SkbPool pool{256, 2048};
    std::deque<Octets> waiting;
    Napi napi;
  };
  NetDevice& dev_;
  std::deque<Queue> queues_;
};

class HostPortQueues : public HostPortTest {
 protected:
  void make(uint16_t queues) {
    dev_ = *net_.alloc_netdev<ManyQueues>({.name = "many", .address = mac(kOwn), .tx_queues = queues});
    ASSERT_TRUE(dev_->register_netdev());
    show({"10.0.0.1/24"});
    shell("ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev nic0");
    listen(socket_there(AF_INET, SOCK_DGRAM, 0));
  }
  void listen(UniqueFd socket) {
    server_ = std::move(socket);
    const int octets = 4 << 20;
    (void)::setsockopt(server_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &octets, sizeof octets);
    const sockaddr_in own{.sin_family = AF_INET, .sin_port = htons(kServer), .sin_addr = {htonl(INADDR_ANY)}};
    ASSERT_EQ(::bind(server_.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own), 0);
  }
  void TearDown() override {
    port_.reset();
    dev_.reset();
  }
  ManyQueues& many() { return ManyQueues::of(*dev_); }
  // By which queue a flow is received: not the one that the kernel's hash would choose, but for one in kQueues.
  static uint16_t queue_of(uint16_t flow) { return static_cast<uint16_t>(flow * 7 / 3 % kQueues); }

  void answer(uint16_t flow, uint32_t number) {
    uint8_t payload[30] = {};
    write_number(payload, number);
    const sockaddr_in to{.sin_family = AF_INET,
                         .sin_port = htons(static_cast<uint16_t>(kFirstPort + flow)),
                         .sin_addr = {htonl(10u << 24 | 2)}};
    ASSERT_EQ(::sendto(server_.get(), payload, sizeof payload, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to),
              static_cast<ssize_t>(sizeof payload));
  }
  // Each has been received from. The first frame is with its socket before the kernel notes by which queue it came.
  void begin_flows() {
    for (uint16_t flow = 0; flow < kFlows; ++flow) {
      for (const uint32_t number : {0, 0}) {
        many().bring(queue_of(flow), flow, number);
        ASSERT_EQ(receive(), std::pair(flow, number));
      }
    }
  }
  // The next datagram that came: its flow and number.
  std::pair<uint16_t, uint32_t> receive() {
    uint8_t payload[64];
    sockaddr_in from{};
    socklen_t size = sizeof from;
    pollfd ready{server_.get(), POLLIN, 0};
    if (::poll(&ready, 1, 120'000) != 1) return {kFlows, 0};
    EXPECT_GE(::recvfrom(server_.get(), payload, sizeof payload, 0, reinterpret_cast<sockaddr*>(&from), &size), 4);
    return {static_cast<uint16_t>(ntohs(from.sin_port) - kFirstPort), number_at(payload)};
  }

  UniqueFd server_;
};

TEST_F(HostPortQueues, AFlowHasOneQueueBothWaysAndItsOrder) {
  make(kQueues);
  begin_flows();
  for (uint16_t flow = 0; flow < kFlows; ++flow) answer(flow, 0);
  ASSERT_TRUE(many().sent.wait(kFlows));
  for (uint16_t flow = 0; flow < kFlows; ++flow) EXPECT_EQ(many().flows[flow].queue, queue_of(flow)) << flow;

  // Rounds of all flows, whose frames are answered as they come: who sends and who receives are on their way at once.
  constexpr uint32_t kRounds = 200, kAtOnce = 8;
  std::array<uint32_t, kFlows> next{};
  next.fill(1);
  uint32_t brought = 1;
  for (uint32_t came = kFlows; came < kFlows * (kRounds + 1); ++came) {
    for (; brought <= kRounds && brought * kFlows <= came + kAtOnce * kFlows; ++brought) {
      for (uint16_t flow = 0; flow < kFlows; ++flow) many().bring(queue_of(flow), flow, brought);
    }
    const auto [flow, number] = receive();
    ASSERT_LT(flow, kFlows) << "lost";
    EXPECT_EQ(number, next[flow]++) << "flow " << flow;
    answer(flow, number);
  }
  ASSERT_TRUE(many().sent.wait(kFlows * (kRounds + 1)));
  std::map<int32_t, int> flows_of;
  for (const ManyQueues::Flow& each : many().flows) {
    EXPECT_EQ(each.moved, 0u);
    EXPECT_EQ(each.overtaken, 0u);
    EXPECT_EQ(each.missing, 0u);
    ++flows_of[each.queue];
  }
  EXPECT_EQ(flows_of.size(), kQueues);
}

// A stopped queue keeps the kernel's frames of its flows, and no other's.
TEST_F(HostPortQueues, AStoppedQueueHoldsBackItsOwnFlowsAlone) {
  make(kQueues);
  begin_flows();
  dev_->tx_queue(1).stop();
  uint32_t others = 0;
  for (uint32_t number = 0; number < 50; ++number) {
    for (uint16_t flow = 0; flow < kFlows; ++flow) {
      others += queue_of(flow) != 1;
      answer(flow, number);
    }
  }
  EXPECT_TRUE(many().sent.wait(others));
  for (uint16_t flow = 0; flow < kFlows; ++flow) {
    EXPECT_EQ(many().flows[flow].next, queue_of(flow) == 1 ? 0u : 50u) << flow;
  }
  dev_->tx_queue(1).wake();
  EXPECT_TRUE(many().sent.wait(50 * kFlows));
  for (const ManyQueues::Flow& each : many().flows) EXPECT_EQ(each.missing + each.overtaken + each.moved, 0u);
}

// What is read ahead of it would be neither in the kernel's queue nor in the card's, and nobody's limit would know it.
TEST_F(HostPortQueues, NothingIsReadAheadOfAStoppedQueue) {
  make(kQueues);
  begin_flows();
  uint16_t flow = 0;
  while (queue_of(flow) != 1) ++flow;
  const auto read = [this] {  // a TAP counts what its reader takes
    return std::stoul(shell("awk '$1 == \"nic0:\" { print $11 }' /proc/self/net/dev"));
  };
  dev_->tx_queue(1).stop();
  const unsigned long before = read();
  answer(flow, 0);
  ASSERT_TRUE(eventually([&] { return read() > before; }));
  ASSERT_TRUE(comes_to_rest("usernic-read"));
  for (uint32_t number = 1; number < 50; ++number) answer(flow, number);
  ASSERT_TRUE(comes_to_rest("usernic-read"));
  EXPECT_LT(read() - before, 25u) << "one, and what the kernel has to say by other queues";
  dev_->tx_queue(1).wake();
  EXPECT_TRUE(many().sent.wait(50));
}

TEST_F(HostPortQueues, ItFollowsTheInterfaceWithAllOfThem) {
  make(2);
  shell("ip link set nic0 down; ip link set nic0 name other; ip link set other mtu 1400 up");
  EXPECT_TRUE(eventually([&] { return dev_->mtu() == 1400 && port_->name_now() == "other" && dev_->running(); }));
  dev_->carrier_off();
  EXPECT_TRUE(eventually([&] { return shell("ip -o link show other").contains("NO-CARRIER"); }));
  dev_->carrier_on();
  EXPECT_TRUE(eventually([&] { return !shell("ip -o link show other").contains("NO-CARRIER"); }));
  many().bring(1, 3, 7);
  EXPECT_EQ(receive(), std::pair(uint16_t{3}, 7u));

  auto elsewhere = NetNamespace::create();
  ASSERT_TRUE(elsewhere);
  const std::string path = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(elsewhere->fd());
  const std::string there = "nsenter --net=" + path + " ip ";
  shell("ip link set other netns " + path);
  EXPECT_TRUE(eventually([&] { return port_->status().whereabouts == Whereabouts::kElsewhere; }));
  shell(there + "addr add 10.0.0.1/24 dev other; " + there + "link set other up; " + there +
        "neigh replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev other");
  EXPECT_TRUE(eventually([&] { return dev_->running() && dev_->carrier_ok(); }));
  ASSERT_TRUE(elsewhere->run([&] { listen(UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))); }));
  for (uint16_t queue = 0; queue < 2; ++queue) {
    const uint16_t flow = 5 + queue;
    for (const uint32_t number : {0, 0}) {
      many().bring(queue, flow, number);
      ASSERT_EQ(receive(), std::pair(flow, number));
    }
    answer(flow, 0);
    EXPECT_TRUE(many().sent.wait(queue + 1u));
    EXPECT_EQ(many().flows[flow].queue, queue);
  }

  shell(there + "link del other");
  EXPECT_TRUE(eventually([&] { return port_->status().whereabouts == Whereabouts::kGone; }));
  EXPECT_TRUE(comes_to_rest("usernic-read"));
}

}  // namespace
}  // namespace usernic

USERNIC_UNSEEN_BY_CLANG_END
