// SPDX-License-Identifier: Apache-2.0 OR MIT
// A nic that cannot be made: what is said, and that nothing of it is left. Interfaces need rights: see tests/e2e.
#include "daemon/nic.h"

#include <gtest/gtest.h>

#include "bus/usb/echo_model.h"
#include "bus/usb/emulated.h"
#include "bus/usb/usbip_port.h"
#include "bus/usb/usbip_server.h"
#include "daemon/drivers.h"
#include "daemon/log.h"
#include "daemon/log_writer.h"
#include "drivers/dummy/dummy.h"
#include "drivers/rtl8150/model.h"
#include "drivers/simnic/config.h"
#include "testing/nic.h"

namespace usernic::daemon {
namespace {

class NicTest : public testing::Test {
 protected:
  std::string refused(const NicConfig& config) {
    auto here = NetNamespace::current();
    EXPECT_TRUE(here) << here.error().sentence;
    const auto nic = Nic::create(site(*here), config);
    EXPECT_TRUE(net_.devices().empty()) << "what is registered is unregistered again";
    return nic ? "made" : nic.error().sentence;
  }
  Nic::Site site(const NetNamespace& here) {
    return {.net = net_, .loop = *loop_, .wires = wires_, .netns = &here, .host = "a"};
  }
  static NicConfig dummy(const std::string& name) { return {.name = name, .driver = find_driver("dummy")}; }
  static NicConfig simnic(const std::string& name) { return {.name = name, .driver = find_driver("simnic")}; }

  void SetUp() override {
    auto loop = HostLoop::create();
    ASSERT_TRUE(loop) << loop.error().sentence;
    loop_ = *std::move(loop);
  }

  std::unique_ptr<HostLoop> loop_;
  Net net_;
  simnic::Wires wires_{net_.system_workqueue()};
};

TEST_F(NicTest, AnImpossibleDeviceIsNotMade) {
  EXPECT_EQ(refused(dummy("a/b")), "nic 'a/b': cannot make the device: EINVAL");
  NicConfig jumbo = dummy("nic0");
  jumbo.mtu = kMtuMax + 1;
  EXPECT_EQ(refused(jumbo), "nic 'nic0': its 'mtu' must be at most 9000 with the driver dummy, not 9001");
  NicConfig card = simnic("nic0");
  card.mtu = kMtuMin - 1;
  EXPECT_EQ(refused(card), "nic 'nic0': cannot make the device: EINVAL");
}

TEST_F(NicTest, WhoeverTakesTheDeviceKeepsToItsMtu) {
  NicConfig card{.name = "nic0", .mtu = 1501, .usb = usb::Location::parse("emulated:rtl8150/w0").value()};
  EXPECT_EQ(refused(card), "nic 'nic0': its 'mtu' must be at most 1500 with the driver rtl8150, not 1501");
}

TEST_F(NicTest, ANameIsTakenOnce) {
  const NetdevPtr other = *Dummy::probe(net_, {.name = "nic0"});
  ASSERT_TRUE(other->register_netdev());
  auto here = NetNamespace::current();
  ASSERT_TRUE(here);
  const auto nic = Nic::create(site(*here), dummy("nic0"));
  ASSERT_FALSE(nic);
  EXPECT_EQ(nic.error().sentence, "nic 'nic0': cannot register the device: EEXIST");
  EXPECT_EQ(net_.devices().size(), 1u);
}

// One that only serves others opens without anybody asking, so nobody hears the answer but who reads the log.
TEST_F(NicTest, ADeviceWithoutAnInterfaceThatDoesNotOpenIsSaid) {
  static constexpr Driver kBroken{
      .name = "broken", .help = "", .mtu_max = kMtuMax, .probe = [](const ProbeSite& at, const NetdevConfig& config) {
        Result<NetdevPtr> dev = at.net.alloc_netdev<TestNic>(config);
        if (dev) TestNic::of(**dev).open_answer = fail(std::errc::io_error);
        return dev;
      }};
  Event said;
  const auto writer = std::make_shared<LogWriter>("test", [&](std::string_view lines) {
    if (lines.contains("nic 'nic0': cannot open the device: EIO")) said.set();
    return true;
  });
  writer->start();
  log_also_to(writer);
  {
    const auto nic = Nic::create({.net = net_, .loop = *loop_, .wires = wires_, .netns = nullptr, .host = ""},
                                 {.name = "nic0", .driver = &kBroken});
    ASSERT_TRUE(nic) << nic.error().sentence;
    EXPECT_TRUE(said.wait());
  }
  log_also_to(nullptr);
  writer->end();
}

TEST_F(NicTest, AVlanFilterThatTheDeviceDoesNotTakeIsRefused) {
  NicConfig card = simnic("nic0");
  card.section = SimnicConfig{.vlan_slots = 4};
  card.vlans = {10, 4095};
  EXPECT_EQ(refused(card), "nic 'nic0': cannot set the VLAN filter: EINVAL");
}

// A device on the network, and what is said of it.
class UsbNicTest : public NicTest {
 protected:
  static std::unique_ptr<usb::UsbipServer> serve(usb::Port& port) {
    return *usb::UsbipServer::create(port, "1-1", "127.0.0.1", 0);
  }
  // Without a driver it is whichever takes the device.
  std::string refused_at(const usb::UsbipServer& server, const std::string& bus_id, const Driver* driver) {
    return refused({.name = "nic0",
                    .driver = driver,
                    .usb = usb::Location{.host = "127.0.0.1", .tcp_port = server.tcp_port(), .bus_id = bus_id}});
  }
};

TEST_F(UsbNicTest, ADeviceThatIsNotThereIsSaid) {
  rtl8150::Model model(MacAddress::from_u64(0x0200'0000'0001));
  usb::EmulatedPort port(model, "port");
  const auto server = serve(port);
  for (const Driver* driver : {find_driver("rtl8150"), static_cast<const Driver*>(nullptr)}) {
    EXPECT_EQ(refused_at(*server, "1-2", driver),
              "nic 'nic0': cannot take the USB device at its 'bus': there is no such device there");
  }
}

TEST_F(UsbNicTest, ADeviceThatNoDriverTakesIsSaid) {
  usb::EchoModel model;
  usb::EmulatedPort port(model, "port");
  const auto server = serve(port);
  for (const Driver* driver : {find_driver("rtl8150"), static_cast<const Driver*>(nullptr)}) {
    EXPECT_EQ(refused_at(*server, "1-1", driver),
              "nic 'nic0': cannot take the USB device at its 'bus': no driver of ours takes what is there");
  }
}

TEST_F(UsbNicTest, ADeviceThatSomebodyElseHasIsSaid) {
  rtl8150::Model model(MacAddress::from_u64(0x0200'0000'0001));
  usb::EmulatedPort port(model, "port");
  const auto server = serve(port);
  usb::UsbipPort other("127.0.0.1", server->tcp_port(), "1-1");
  const auto taken = other.open({});
  ASSERT_TRUE(taken);
  EXPECT_EQ(refused_at(*server, "1-1", find_driver("rtl8150")),
            "nic 'nic0': cannot take the USB device at its 'bus': somebody else has the device");
}

}  // namespace
}  // namespace usernic::daemon
