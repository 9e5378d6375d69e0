// SPDX-License-Identifier: Apache-2.0 OR MIT
// Every row of the contract, broken on both sides: by the core that calls, and by the driver that is called.
#include "usernic/contract.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "core/contract/ndo.h"
#include "core/device/device.h"
#include "core/device/net_device_fixture.h"
#include "testing/unseen_by_clang.h"

USERNIC_UNSEEN_BY_CLANG_BEGIN("-Wthread-safety")
namespace usernic {
namespace {

const LockClass kOwnClass{"lock of the driver", LockUse::kAnyContext};

struct ContractTest : NetDeviceTest, testing::WithParamInterface<NdoRow> {
  ContractTest() : dev(registered()) {}

  const NdoRow& row() const { return GetParam(); }
  bool promises(uint8_t lock) const { return (row().locks & lock) != 0; }

  // Runs `body` as the core runs the op: with what the row promises, in its order.
  template <class Body>
  void as_the_core(Body body) USERNIC_NO_THREAD_SAFETY_ANALYSIS {
    Device& device = Device::of(*dev);
    std::optional<LaneGuard> lane;
    if (promises(ndo_locks::kLane)) lane.emplace(device.lane_queue);
    if (promises(ndo_locks::kRtnl)) net.rtnl().lock();
    if (promises(ndo_locks::kInstance)) device.instance_lock.lock();
    std::optional<BhScope> bh;
    if (row().context == NdoContext::kBhDisabled) bh.emplace();
    std::optional<HardIrqScope> irqs_off;
    if (row().context == NdoContext::kIrqsOff) irqs_off.emplace();
    SpinLock* spin = nullptr;
    if (promises(ndo_locks::kAddrList)) spin = &device.engine.wanted.lock;
    if (promises(ndo_locks::kXmit)) spin = &dev->tx_queue(0).xmit_lock();
    if (promises(ndo_locks::kTxFreeze)) spin = &device.tx_freeze_lock;
    if (spin != nullptr) spin->lock();
    {
      const NdoScope op(device, row().ndo, spin);
      body();
    }
    if (spin != nullptr) spin->unlock();
    bh.reset();
    irqs_off.reset();
    if (promises(ndo_locks::kInstance)) device.instance_lock.unlock();
    if (promises(ndo_locks::kRtnl)) net.rtnl().unlock();
  }

  const NetdevPtr dev;
};

TEST_P(ContractTest, CalledAsTheRowSaysNothingIsReported) {
  const Reports reports;
  as_the_core([] {});
  EXPECT_EQ(reports.rules(), "");
}

TEST_P(ContractTest, CalledWithoutTheLocksOfTheRowItIsReported) {
  const Reports reports;
  { const NdoScope op(Device::of(*dev), row().ndo); }
  if (row().locks == ndo_locks::kNone) {
    EXPECT_EQ(reports.rules(), "");
    return;
  }
  ASSERT_EQ(reports.rules(), "ndo-locks");
  const std::string& text = reports.all[0].text;
  EXPECT_TRUE(text.contains(std::string(row().op) + " of 't0'")) << text;
  const std::pair<uint8_t, const char*> names[] = {{ndo_locks::kLane, "lane"},
                                                   {ndo_locks::kRtnl, "rtnl"},
                                                   {ndo_locks::kInstance, "instance_lock"},
                                                   {ndo_locks::kAddrList, "addr_list_lock"},
                                                   {ndo_locks::kXmit, "xmit_lock"},
                                                   {ndo_locks::kTxFreeze, "tx_freeze_lock"}};
  for (const auto& [lock, name] : names) EXPECT_EQ(text.contains(name), promises(lock)) << text;
}

TEST_P(ContractTest, InTheWrongContextItIsReported) {
  const Reports reports;
  switch (row().context) {
    case NdoContext::kProcess: {
      as_the_core([] {});
      const BhScope bh;
      const NdoScope op(Device::of(*dev), row().ndo);
      break;
    }
    case NdoContext::kIrqsOff:
    case NdoContext::kBhDisabled:
      as_the_core([] { might_sleep(); });
      break;
    case NdoContext::kAny: {
      const BhScope bh;
      { const NdoScope op(Device::of(*dev), row().ndo); }
      EXPECT_EQ(reports.rules(), "");
      return;
    }
  }
  ASSERT_FALSE(reports.all.empty());
  EXPECT_EQ(reports.all.back().rule, "sleep-in-atomic");
}

TEST_P(ContractTest, ADriverThatKeepsALockIsReported) {
  SpinLock own{kOwnClass};
  const Reports reports;
  as_the_core([&]() USERNIC_NO_THREAD_SAFETY_ANALYSIS { own.lock(); });
  own.unlock();
  ASSERT_EQ(reports.rules(), "ndo-unbalanced");
  EXPECT_TRUE(reports.all[0].text.contains(std::string(row().op) + " of 't0'")) << reports.all[0].text;
  EXPECT_TRUE(reports.all[0].text.contains("lock of the driver")) << reports.all[0].text;
}

INSTANTIATE_TEST_SUITE_P(Rows, ContractTest, testing::ValuesIn(kContract), [](const auto& info) {
  std::string name(info.param.op.substr(0, info.param.op.find('(')));
  return name + (info.param.ndo == Ndo::kSetRxModeKernel ? "_kernel" : "");
});

struct AnswerTest : NetDeviceTest {};

TEST_F(AnswerTest, AnErrorThatIsNoneIsReported) {
  const NetdevPtr dev = registered();
  script.change_mtu = [] { return Result<>(fail(std::errc{})); };
  const Reports reports;
  EXPECT_FALSE(dev->change_mtu(1400));
  ASSERT_EQ(reports.rules(), "ndo-answer");
  EXPECT_TRUE(reports.all[0].text.contains("change_mtu of 't0' answers 0")) << reports.all[0].text;
}

TEST_F(AnswerTest, AnExceptionOutOfAnOpIsReportedAndTakenAsAnError) {
  const NetdevPtr dev = registered();
  const auto throws = []() -> Result<> { throw std::runtime_error("no such register"); };
  script.open = throws;
  const Reports reports;
  EXPECT_EQ(outcome(dev->open()), "EIO");
  EXPECT_FALSE(dev->running());
  ASSERT_EQ(reports.rules(), "ndo-throws");
  EXPECT_EQ(reports.all[0].text, "open of 't0' throws: no such register");
  EXPECT_EQ(reports.all[0].device, "t0 (driver ScriptDriver)");
  script.open = {};
  script.stop = [] { throw 7; };
  EXPECT_EQ(outcome(dev->open()), "ok");
  EXPECT_EQ(outcome(dev->close()), "ok");
  EXPECT_EQ(reports.rules(), "ndo-throws ndo-throws");
  script.stop = {};
  script.change_mtu = []() -> Result<> { throw std::bad_alloc(); };
  EXPECT_EQ(outcome(dev->change_mtu(1400)), "ENOMEM") << "a lack of memory is an answer";
  EXPECT_EQ(reports.all.size(), 2u);
}

// Transmits what no enumerator stands for.
struct OddXmit : PlainDriver {
  using PlainDriver::PlainDriver;
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    SkbPool::free(skb);
    return static_cast<NetdevTx>(7);
  }
};

TEST_F(AnswerTest, AnXmitThatAnswersSomethingElseIsReported) {
  const NetdevPtr dev = *net.alloc_netdev<OddXmit>({.name = "odd"});
  ASSERT_TRUE(dev->register_netdev());
  ASSERT_TRUE(dev->open());
  dev->tx_queue(0).start();
  SkbPool pool(1, 100);
  SkbBatch frames;
  Skb* const skb = pool.alloc();
  skb->put(60);
  frames.push_back(*skb);
  const Reports reports;
  dev->xmit(dev->tx_queue(0), frames);
  ASSERT_EQ(reports.rules(), "ndo-answer");
  EXPECT_TRUE(reports.all[0].text.contains("start_xmit of 'odd' answers 7")) << reports.all[0].text;
}

}  // namespace
}  // namespace usernic

USERNIC_UNSEEN_BY_CLANG_END
