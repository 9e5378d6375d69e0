// SPDX-License-Identifier: Apache-2.0 OR MIT
// The transport by libusb, on a real usbfs: run in a guest, by guest_test.py. A model is served to the guest's own
// vhci_hcd, by this process.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "bus/usb/emulated.h"
#include "bus/usb/libusb_port.h"
#include "bus/usb/transport_test.h"
#include "bus/usb/usbip_server.h"

namespace usernic::usb {
namespace {

// As libusb lists it; there may be other devices.
std::optional<LibusbEntry> listed_model() {
  const auto listed = libusb_list();
  if (!listed) return std::nullopt;
  const auto found = std::ranges::find(*listed, EchoModel::kVendorId, &LibusbEntry::vendor);
  return found == listed->end() ? std::nullopt : std::optional(*found);
}

// The device of the guest's kernel; whoever opens it has the kernel take it from the server before.
class AttachedPort final : public Port {
 public:
  AttachedPort(EmulatedPort& device, uint16_t tcp_port) : device_(device), tcp_port_(tcp_port) {}

  Result<std::unique_ptr<Device>> open(const Wait& wait) override {
    for (;;) {
      if (!is_there()) attach(wait);
      Result<std::unique_ptr<Device>> opened = real_.open(wait);
      // The one that was unplugged before may be there for a moment still.
      if (opened || !device_.plugged() || Clock::now() >= wait.deadline) return opened;
    }
  }
  std::string name() const override { return real_.name(); }
  Duration look_again() const override { return real_.look_again(); }

 private:
  // And configured.
  static bool is_there() {
    const auto listed = listed_model();
    return listed && !listed->interfaces.empty();
  }
  // What the kernel asks of it on the way pulls no plug.
  void attach(const Wait& wait) const {
    Atomic<uint64_t>& unplug_at = device_.faults().unplug_at;
    const uint64_t left = unplug_at.load() - std::min(unplug_at.load(), device_.counts().transfers.load());
    unplug_at.store(0);
    const std::string attach = fmt::format("usbip --tcp-port {} attach -r 127.0.0.1 -b 1-1 >/dev/null 2>&1", tcp_port_);
    bool attached = false;
    while (Clock::now() < wait.deadline && device_.plugged() && !is_there()) {
      attached = attached || std::system(attach.c_str()) == 0;  // refused while the one before is still being let go
      StopToken().wait_until(Clock::now() + std::chrono::milliseconds(5));
    }
    if (left != 0) unplug_at.store(device_.counts().transfers.load() + left);
  }

  EmulatedPort& device_;
  const uint16_t tcp_port_;
  LibusbPort real_{Location::parse("usb:1209:0001").value()};
};

struct OnUsbfs {
  EchoModel model;
  EmulatedPort device_port{model, "emulated:echo"};
  std::unique_ptr<UsbipServer> server = *UsbipServer::create(device_port, "1-1", "127.0.0.1", 0);
  AttachedPort attached{device_port, server->tcp_port()};
  Port& port() { return attached; }
};
INSTANTIATE_TYPED_TEST_SUITE_P(Libusb, UsbTransportTest, OnUsbfs);

TEST(LibusbPortTest, ListsWhatIsThereWithTheClassesOfItsInterfaces) {
  OnUsbfs world;
  const auto device = world.port().open(soon());
  ASSERT_TRUE(device);
  const auto listed = listed_model();
  ASSERT_TRUE(listed);
  EXPECT_EQ(listed->speed, Speed::kHigh);
  ASSERT_EQ(listed->interfaces.size(), 2u);
  EXPECT_EQ(listed->interfaces[0].interface_class, 255);
}

TEST(LibusbPortTest, AtItsPlaceItIsTheSameDevice) {
  OnUsbfs world;
  ASSERT_TRUE(world.port().open(soon()));
  const std::string place = listed_model()->place;
  LibusbPort port(Location::parse("usb:" + place).value());
  EXPECT_EQ(port.name(), "usb:" + place);
  const auto device = port.open(soon());
  ASSERT_TRUE(device);
  EXPECT_EQ((*device)->descriptors().vendor, EchoModel::kVendorId);
}

TEST(LibusbPortTest, WhoHasItKeepsIt) {
  OnUsbfs world;
  auto first = world.port().open(soon());
  ASSERT_TRUE(first);
  LibusbPort second(Location::parse("usb:1209:0001").value());
  EXPECT_EQ(second.open(soon()).error(), std::errc::device_or_resource_busy);
  first->reset();
  EXPECT_TRUE(second.open(soon()));
}

TEST(LibusbPortTest, WhereThereIsNoneThereIsNone) {
  EXPECT_EQ(LibusbPort(Location::parse("usb:ffff:ffff").value()).open(soon()).error(), std::errc::no_such_device);
}

TEST(LibusbPortTest, UnpluggedWhileNothingIsUnderWayTheWatcherHears) {
  OnUsbfs world;
  const auto device = world.port().open(soon());
  ASSERT_TRUE(device);
  Atomic<uint32_t> heard{0};
  (*device)->watch(
      [](void* heard) noexcept USERNIC_NONBLOCKING {
        static_cast<Atomic<uint32_t>*>(heard)->fetch_add(1);
        wake_all(*static_cast<Atomic<uint32_t>*>(heard));
      },
      &heard);
  world.device_port.unplug();
  while (heard.load() == 0) ASSERT_TRUE(wait_on(heard, 0, soon().deadline));
}

}  // namespace
}  // namespace usernic::usb
