// SPDX-License-Identifier: Apache-2.0 OR MIT
// Waiting until what the kernel wanted at some moment is in the device's lists, also where the kernel said nothing.
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

#include "host/fresh_look.h"
#include "host/host_port_fixture.h"
#include "host/kernel_asked.h"
#include "usernic/address_list.h"

namespace usernic {
namespace {

using std::chrono::milliseconds;

class HostPortLook : public HostPortTest {
 protected:
  static MacAddress numbered(uint32_t n) { return MacAddress::from_u64(0x01'00'5e'40'00'00 + n); }

  void SetUp() override {
    HostPortTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) show({}, true, kNever);
  }
  Result<> wait_known(Duration time = std::chrono::minutes(2)) {
    return port_->wait_known(Clock::now(), Clock::now() + time);
  }
  // The kernel changes the MTU, and the device does not answer.
  void let_the_device_be_stuck() {
    nic().mtu_stuck.set(true);
    shell("ip link set nic0 mtu 1400");
  }
  // What `wait_known` without a deadline answers when `change` comes while it waits.
  template <class Change>
  std::errc error_of_wait_during(Change change) {
    let_the_device_be_stuck();
    HostPort& port = *port_;
    const uint64_t pictures = port.status().pictures;
    Atomic<bool> asked{false};
    Result<> result;
    Thread waiting("waiting", [&] {
      asked.store(true);
      result = port.wait_known(Clock::now(), kForever);
    });
    EXPECT_TRUE(eventually([&] { return asked.load() && port.status().pictures > pictures; }));
    Thread changing("changing", [&] { change(); });  // may have to wait for the device, too
    waiting.join();
    nic().mtu_stuck.set(false);
    changing.join();
    return result ? std::errc{} : result.error();
  }
};

TEST_F(HostPortLook, EachSilentJoinIsInTheListsAfterTheWait) {
  const UniqueFd control = socket_there(AF_INET, SOCK_DGRAM, 0);
  for (uint32_t i = 0; i < 200; ++i) {  // no audit would find them
    silent(control.get(), SIOCADDMULTI, numbered(i));
    ASSERT_TRUE(wait_known());
    ASSERT_TRUE(dev_->mc().contains(numbered(i))) << i;
  }
}

TEST_F(HostPortLook, EachSilentLeaveIsGoneFromTheListsAfterTheWait) {
  const UniqueFd control = socket_there(AF_INET, SOCK_DGRAM, 0);
  for (uint32_t i = 0; i < 50; ++i) {
    silent(control.get(), SIOCADDMULTI, numbered(i));
    ASSERT_TRUE(wait_known());
    silent(control.get(), SIOCDELMULTI, numbered(i));
    ASSERT_TRUE(wait_known());
    ASSERT_FALSE(dev_->mc().contains(numbered(i))) << i;
  }
}

TEST_F(HostPortLook, SoAreThousandsWhosePicturesHaveSeams) {
  constexpr uint32_t kCount = 4'000;
  const UniqueFd control = socket_there(AF_INET, SOCK_DGRAM, 0);
  for (uint32_t i = 0; i < kCount; ++i) silent(control.get(), SIOCADDMULTI, numbered(i));
  ASSERT_TRUE(wait_known());
  EXPECT_GE(dev_->mc().size(), kCount);
}

TEST_F(HostPortLook, ALookThatFailsIsCountedAndMadeAgain) {
  const UniqueFd control = socket_there(AF_INET, SOCK_DGRAM, 0);
  silent(control.get(), SIOCADDMULTI, numbered(1));
  EXPECT_EQ(port_->status().pictures_failed, 0u);
  Result<> known;
  Atomic<uint64_t> refused{0};
  const Time begun = Clock::now();
  std::optional<KernelAsked> refuses(std::in_place, RTM_GETNEIGH, [&] {
    refused.fetch_add(1);
    return ENOBUFS;
  });
  Thread waiting("waiting", [&] { known = wait_known(); });
  EXPECT_TRUE(eventually([&] { return port_->status().pictures_failed >= 3; })) << "one after the other";
  const auto pauses = static_cast<uint64_t>((Clock::now() - begun) / Mirror::kRetryAfterFailure);
  EXPECT_LE(port_->status().pictures_failed, pauses + 2) << "and not without a pause";
  EXPECT_FALSE(dev_->mc().contains(numbered(1)));
  refuses.reset();
  waiting.join();
  EXPECT_TRUE(known);
  EXPECT_TRUE(dev_->mc().contains(numbered(1)));
  EXPECT_EQ(port_->status().pictures_failed, refused.load());
}

TEST_F(HostPortLook, AMacvlanThatHasJustComeUp) {
  for (int i = 0; i < 20; ++i) {
    shell("ip link add mv0 link nic0 type macvlan mode private && ip link set mv0 address 02:00:00:00:00:99 up");
    ASSERT_TRUE(wait_known());
    ASSERT_TRUE(dev_->uc().contains(mac("02:00:00:00:00:99"))) << i;
    shell("ip link del mv0");
    ASSERT_TRUE(wait_known());
    ASSERT_FALSE(dev_->uc().contains(mac("02:00:00:00:00:99"))) << i;
  }
}

TEST_F(HostPortLook, TheDeviceHasFollowedTheKernel) {
  for (uint32_t i = 0; i < 10; ++i) {
    shell("ip link set nic0 down");
    ASSERT_TRUE(wait_known());
    ASSERT_FALSE(dev_->running());
    shell("ip link set nic0 up mtu " + std::to_string(1400 + i));
    ASSERT_TRUE(wait_known());
    ASSERT_TRUE(dev_->running());
    ASSERT_EQ(dev_->mtu(), 1400 + i);
  }
}

TEST_F(HostPortLook, NoStuckCardIsWaitedFor) {
  nic().call_time_ns.store(Duration(std::chrono::hours(1)).count());
  const uint32_t calls = nic().filter_calls.load();
  const UniqueFd control = socket_there(AF_INET, SOCK_DGRAM, 0);
  silent(control.get(), SIOCADDMULTI, numbered(1));
  ASSERT_TRUE(wait_known());
  ASSERT_TRUE(eventually([&] { return nic().filter_calls.load() > calls; }));
  silent(control.get(), SIOCADDMULTI, numbered(2));
  ASSERT_TRUE(wait_known());
  EXPECT_TRUE(dev_->mc().contains(numbered(2)));
}

TEST_F(HostPortLook, ADeviceThatHasNotAnsweredIsWaitedForUntilTheDeadline) {
  let_the_device_be_stuck();
  const Result<> timed_out = fail(std::errc::timed_out);
  EXPECT_EQ(wait_known(milliseconds(50)), timed_out);
  const uint64_t pictures = port_->status().pictures;
  const Time begun = Clock::now();
  EXPECT_EQ(wait_known(milliseconds(200)), timed_out);
  const auto audits = static_cast<uint64_t>((Clock::now() - begun) / HostLoopConfig().audit);
  EXPECT_LE(port_->status().pictures, pictures + 8 + audits) << "one look, not one after the other";
}

TEST_F(HostPortLook, WhoWaitsWhenTheInterfaceIsDeletedIsTold) {
  EXPECT_EQ(error_of_wait_during([&] { shell("ip link del nic0"); }), std::errc::no_such_device);
  EXPECT_EQ(wait_known().error(), std::errc::no_such_device) << "and later ones at once";
}

TEST_F(HostPortLook, WhoWaitsWhenThePortClosesIsTold) {
  EXPECT_EQ(error_of_wait_during([&] { port_.reset(); }), std::errc::no_such_device);
}

TEST_F(HostPortLook, ManyWhoWaitShareLooks) {
  constexpr int kThreads = 8, kWaits = 50;
  const uint64_t pictures = port_->status().pictures;
  const Time begun = Clock::now();
  {
    std::vector<std::unique_ptr<Thread>> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.push_back(std::make_unique<Thread>("waiting", [&] {
        for (int n = 0; n < kWaits; ++n) EXPECT_TRUE(wait_known());
      }));
    }
    for (auto& thread : threads) thread->join();
  }
  const auto looks = static_cast<uint64_t>((Clock::now() - begun) / Mirror::kHintMin);
  EXPECT_LE(port_->status().pictures, pictures + looks + 2) << "at the pace of hints, whoever asks";
}

}  // namespace
}  // namespace usernic
