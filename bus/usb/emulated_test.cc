// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usb/emulated.h"

#include "bus/usb/transport_test.h"

namespace usernic::usb {
namespace {

struct InProcess {
  EchoModel model;
  EmulatedPort device_port{model, "emulated:echo"};
  Port& port() { return device_port; }
};
INSTANTIATE_TYPED_TEST_SUITE_P(Emulated, UsbTransportTest, InProcess);

TEST(EmulatedPortTest, IsOpenedByOneAtATime) {
  InProcess world;
  auto first = world.port().open(soon());
  ASSERT_TRUE(first);
  EXPECT_EQ(world.port().open(soon()).error(), std::errc::device_or_resource_busy);
  first->reset();
  EXPECT_TRUE(world.port().open(soon()));
}

TEST(EmulatedPortTest, BeforeItIsConfiguredADeviceStallsAndSendsNothing) {
  InProcess world;
  const auto device = world.port().open(soon());
  ASSERT_TRUE(device);
  std::vector<uint8_t> data(8);
  EXPECT_EQ((*device)->transfer(EchoModel::kBulkOut, data, soon()).error(), std::errc::broken_pipe);
  EXPECT_FALSE(world.model.interrupt(data));
}

TEST(EmulatedPortTest, ASubmitFromACompletionGoesOn) {
  InProcess world;
  const auto device = world.port().open(soon());
  ASSERT_TRUE(device && (*device)->set_configuration(1, soon()));
  struct Again {
    Device& device;
    std::vector<uint8_t> data = std::vector<uint8_t>(8);
    Atomic<uint32_t> count{0};
    Transfer transfer{[](void* self, Transfer& transfer) noexcept USERNIC_NONBLOCKING {
                        auto& again = *static_cast<Again*>(self);
                        if (transfer.result) (void)again.device.submit(transfer);
                        again.count.fetch_add(1);
                        wake_all(again.count);
                      },
                      this};
  } again{**device};
  again.transfer.endpoint = EchoModel::kInterruptIn;
  again.transfer.data = again.data;
  ASSERT_TRUE((*device)->submit(again.transfer));
  for (uint32_t n = 0; n < 100; ++n) {
    ASSERT_TRUE(world.model.interrupt(octets(8)));
    while (again.count.load() == n) ASSERT_TRUE(wait_on(again.count, n, soon().deadline));
  }
  (*device)->kill(again.transfer);
  EXPECT_EQ(again.transfer.result.error(), std::errc::operation_canceled);
}

}  // namespace
}  // namespace usernic::usb
