// SPDX-License-Identifier: Apache-2.0 OR MIT
// Devices come and go under traffic, again and again, and nothing is left. USERNIC_LONG: 10,000 times.
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/device/net_device_fixture.h"
#include "testing/addresses.h"
#include "testing/traffic.h"
#include "usernic/address_list.h"
#include "usernic/bh_work.h"
#include "usernic/napi.h"
#include "usernic/port.h"

namespace usernic {
namespace {

// Receives what it sends.
class LoopNic {
 public:
  explicit LoopNic(NetDevice& dev) : napi_(dev, *this, 8), tick_(dev, &LoopNic::tick, this), dev_(dev) {}
  ~LoopNic() { tick_.cancel_sync(); }
  Result<> open() {
    napi_.enable();
    for (uint16_t i = 0; i < dev_.tx_queue_count(); ++i) dev_.tx_queue(i).start();
    return {};
  }
  void stop() {
    napi_.disable();
    tick_.cancel_sync();
    SpinGuardBh guard(lock_);
    SkbPool::free(looped_);
  }
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool more) noexcept USERNIC_NONBLOCKING {
    {
      SpinGuardBh guard(lock_);
      looped_.push_back(skb);
    }
    if (!more) tick_.schedule();
    return NetdevTx::kOk;
  }
  int poll(Napi& napi, int budget) noexcept USERNIC_NONBLOCKING {
    SkbBatch frames;
    {
      SpinGuardBh guard(lock_);
      while (static_cast<int>(frames.size()) < budget && !looped_.empty()) frames.push_back(*looped_.pop_front());
    }
    const int work = static_cast<int>(frames.size());
    napi.receive(frames);
    if (work < budget) (void)napi.complete_done(work);
    return work;
  }
  RxFilterCaps rx_filter_caps() const { return {.unicast_slots = 4, .multicast_slots = 4}; }
  void set_rx_mode_async(RxPlan& plan) {
    while (RxCommand* command = plan.next()) plan.answer(*command, {});
  }

 private:
  static void tick(void* of) noexcept USERNIC_NONBLOCKING { static_cast<LoopNic*>(of)->napi_.schedule(); }

  static constexpr LockClass kClass{"loop_nic"};
  SpinLock lock_{kClass};
  SkbBatch looped_ USERNIC_GUARDED_BY(lock_);
  Napi napi_;
  BhWork tick_;
  NetDevice& dev_;
};

struct CountingPort final : DevicePort {
  Event came;
  void receive(SkbBatch& frames) noexcept override {
    while (Skb* const skb = frames.pop_front()) {
      SkbPool::free(*skb);
      came.set();
    }
  }
  void tx_wake(TxQueue&) noexcept override {}
  void carrier_changed(bool) noexcept override {}
};

// Sends on whatever device is there, and on some that are not any more.
class Sender {
 public:
  explicit Sender(SkbPool& pool) : pool_(pool), thread_("sender", [this] { loop(); }) {}
  ~Sender() {
    stop_.store(true);
    thread_.join();
  }
  void aim(DeviceHandle dev) {
    MutexGuard guard(lock_);
    dev_ = std::move(dev);
  }

 private:
  void loop() {
    while (!stop_.load()) {
      DeviceHandle to;
      {
        MutexGuard guard(lock_);
        to = dev_;
      }
      if (!to) continue;
      SkbBatch frames;
      for (int i = 0; i < 4; ++i) put(frames, pool_, Frame(60));
      to->xmit(frames);
      (void)to->mc().add(mc(1));
      (void)to->mc().del(mc(1));
    }
  }
  SkbPool& pool_;
  static constexpr LockClass kClass{"sender"};
  Mutex lock_{kClass};
  DeviceHandle dev_ USERNIC_GUARDED_BY(lock_);
  Atomic<bool> stop_{false};
  Thread thread_;
};

TEST(RegisterCycles, DevicesComeAndGoUnderTraffic) {
  const uint32_t cycles = std::getenv("USERNIC_LONG") != nullptr ? 10'000 : 500;
  SkbPool pool(256, 256);
  {
    Net net({.poll_threads = 2});
    CountingPort port;
    Sender sender(pool);
    for (uint32_t i = 0; i < cycles; ++i) {
      NetdevPtr dev = *net.alloc_netdev<LoopNic>({.name = "loop%d", .tx_queues = static_cast<uint16_t>(1 + i % 2)});
      ASSERT_TRUE(dev->register_netdev()) << i;
      ASSERT_EQ(dev->name(), "loop0") << "nothing is left of the one before";
      ASSERT_TRUE(dev->attach_port(port));
      ASSERT_TRUE(dev->mc().add(mc(2)));
      sender.aim(DeviceHandle(*dev));
      ASSERT_TRUE(dev->open());
      ASSERT_TRUE(port.came.wait(port.came.count() + 4)) << "frames come round";
      switch (i % 4) {
        case 0:
          ASSERT_TRUE(dev->close());
          break;
        case 1:
          dev->detach_soon();
          break;
        case 2:
          dev->queue_work(1);
          break;
        default:
          break;
      }
      if (i % 3 == 0) {
        dev->detach_port();
        dev->unregister_netdev();
      } else {
        dev->unregister_netdev();
        dev->detach_port();
      }
      EXPECT_TRUE(net.devices().empty());
    }
    sender.aim({});
  }
  EXPECT_EQ(pool.available(), 256u);
}

}  // namespace
}  // namespace usernic
