// SPDX-License-Identifier: Apache-2.0 OR MIT
// What somebody else does to the interface while it is being made, as udev's policies do, is a wish like any later one.
#include <gtest/gtest.h>

#include "host/host_port_fixture.h"
#include "host/kernel_asked.h"

namespace usernic {
namespace {

constexpr uint16_t kAnyQuestion = 0;
constexpr uint32_t kQuestions = 12;  // more than there are until the first picture

// A veth is asked for by one; before there is nothing to change.
uint32_t first_question(PortKind kind) {
  return kind == PortKind::kVeth ? 2 : 1;
}

class HostPortStart : public HostPortTest {
 protected:
  // Shows the device while `command` runs before the number-th question that the port asks the kernel.
  void show_meanwhile(uint32_t number, const std::string& command) {
    Atomic<uint32_t> asked{0};
    const KernelAsked before(kAnyQuestion, [&] {
      if (asked.fetch_add(1) + 1 == number) shell(command);
      return 0;
    });
    show();
    EXPECT_TRUE(eventually([&] { return asked.load() >= number; }));
  }
  // Both sides have it, and nothing is on its way.
  template <class T>
  bool both_have(T HostLink::*value, const T& wanted, const std::function<T()>& device) {
    return eventually([&] { return port_->wait_known(Clock::now(), kForever) && device() == wanted; }) &&
           link().*value == wanted;
  }
};

TEST_F(HostPortStart, AnAddressThatItWasGivenMeanwhileIsFollowed) {
  const MacAddress given = mac("02:00:00:00:00:77");
  for (uint32_t number = first_question(kind()); number <= kQuestions; ++number) {
    SCOPED_TRACE(number);
    ASSERT_TRUE(dev_->set_mac_address(mac(kOwn)));
    show_meanwhile(number, "ip link set nic0 address 02:00:00:00:00:77");
    EXPECT_TRUE(both_have<MacAddress>(&HostLink::address, given, [&] { return dev_->address(); }));
    port_.reset();
  }
}

TEST_F(HostPortStart, AnMtuThatItWasGivenMeanwhileIsFollowed) {
  for (uint32_t number = first_question(kind()); number <= kQuestions; ++number) {
    SCOPED_TRACE(number);
    ASSERT_TRUE(dev_->change_mtu(1450));
    show_meanwhile(number, "ip link set nic0 mtu 1400");
    EXPECT_TRUE(both_have<uint32_t>(&HostLink::mtu, 1400, [&] { return dev_->mtu(); }));
    port_.reset();
  }
}

TEST_F(HostPortStart, AKernelThatRefusesAnythingOfItIsASentence) {
  const auto loop = HostLoop::create();
  ASSERT_TRUE(loop);
  for (uint32_t number = 1;; ++number) {
    SCOPED_TRACE(number);
    Atomic<uint32_t> asked{0};
    const KernelAsked refuses(kAnyQuestion, [&] { return asked.fetch_add(1) + 1 == number ? EPERM : 0; });
    const auto port =
        HostPort::create(**loop, *dev_, *netns_, {.name = "nic0", .kind = kind(), .ip_addresses = {"10.9.0.1/24"}});
    // A veth that cannot be seen gives whole frames.
    if (port && kind() == PortKind::kVeth && number >= 4 && number <= 6) continue;
    if (port) {
      EXPECT_GT(number, 5u) << "its index, a look, the address, up, the IP address";
      return;
    }
    EXPECT_EQ(port.error().error, std::errc::operation_not_permitted);
    EXPECT_NE(port.error().sentence.find("cannot "), std::string::npos) << port.error().sentence;
    EXPECT_TRUE(eventually([&] { return shell("ip -o link").find("nic0") == std::string::npos; })) << "nothing is left";
    EXPECT_FALSE(dev_->running());
  }
}

}  // namespace
}  // namespace usernic
