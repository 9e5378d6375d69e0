// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usb/usbip.h"

#include <sys/socket.h>

#include "bus/usb/emulated.h"
#include "bus/usb/transport_test.h"
#include "bus/usb/usbip_port.h"
#include "bus/usb/usbip_server.h"

namespace usernic::usb {
namespace {

// A model, served, and the client that takes it.
struct OverTcp {
  EchoModel model;
  EmulatedPort device_port{model, "emulated:echo"};
  std::unique_ptr<UsbipServer> server = *UsbipServer::create(device_port, "1-1", "127.0.0.1", 0);
  UsbipPort client{"127.0.0.1", server->tcp_port(), "1-1"};
  Port& port() { return client; }
};
INSTANTIATE_TYPED_TEST_SUITE_P(Usbip, UsbTransportTest, OverTcp);

TEST(UsbipTest, AHeaderIsAsTheProtocolPrintsIt) {
  std::vector<uint8_t> octets;
  usbip::encode(usbip::Header{.command = usbip::Command::kSubmit,
                              .sequence = 0x0d05,
                              .device_id = 0x0001000f,
                              .in = true,
                              .endpoint = 1,
                              .detail = 0x200,
                              .length = 0x40,
                              .interval = 4,
                              .setup = {0x80, 6, 0x0100, 0, 0x12}},
                octets);
  const std::vector<uint8_t> expected = {0, 0, 0, 1, 0, 0, 0x0d, 5, 0,    1, 0, 0x0f, 0, 0, 0,    1,
                                         0, 0, 0, 1, 0, 0, 2,    0, 0,    0, 0, 0x40, 0, 0, 0,    0,
                                         0, 0, 0, 0, 0, 0, 0,    4, 0x80, 6, 0, 1,    0, 0, 0x12, 0};
  EXPECT_EQ(octets, expected);
  const usbip::Header header = usbip::decode_header(octets);
  EXPECT_EQ(header.sequence, 0x0d05u);
  EXPECT_EQ(header.setup.value, 0x0100);
  EXPECT_EQ(header.setup.length, 0x12);
  EXPECT_TRUE(header.in);
}

TEST(UsbipTest, AnErrorKeepsItsNumberOnTheWay) {
  EXPECT_EQ(usbip::status_of(4u), 0u);
  EXPECT_EQ(usbip::status_of(fail(std::errc::broken_pipe)), static_cast<uint32_t>(-EPIPE));
  EXPECT_EQ(usbip::status_of(fail(std::errc::operation_canceled)), static_cast<uint32_t>(-ECONNRESET));
  EXPECT_EQ(usbip::error_of(static_cast<uint32_t>(-EPIPE)), std::errc::broken_pipe);
  EXPECT_EQ(usbip::error_of(static_cast<uint32_t>(-ECONNRESET)), std::errc::operation_canceled);
  EXPECT_EQ(usbip::error_of(7), std::errc::io_error) << "a positive status is no errno";
}

TEST(UsbipTest, AServerListsItsDeviceWhileItIsPluggedIn) {
  OverTcp world;
  const auto listed = usbip_list("127.0.0.1", world.server->tcp_port(), soon());
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(listed->front().record.bus_id, "1-1");
  EXPECT_EQ(listed->front().record.vendor, EchoModel::kVendorId);
  EXPECT_EQ(listed->front().interfaces, (std::vector<ClassCode>{{255, 0, 0}}));
  world.device_port.unplug();
  EXPECT_EQ(usbip_list("127.0.0.1", world.server->tcp_port(), soon())->size(), 0u);
}

TEST(UsbipTest, ADeviceIsImportedByOneAtATimeAndByItsBusId) {
  OverTcp world;
  UsbipPort stranger("127.0.0.1", world.server->tcp_port(), "1-2");
  EXPECT_EQ(stranger.open(soon()).error(), std::errc::no_such_device);
  auto first = world.port().open(soon());
  ASSERT_TRUE(first);
  EXPECT_EQ(world.port().open(soon()).error(), std::errc::device_or_resource_busy);
  EXPECT_EQ(usbip_list("127.0.0.1", world.server->tcp_port(), soon())->size(), 1u);
  first->reset();
  for (Result<std::unique_ptr<Device>> again = fail(std::errc::device_or_resource_busy); !again;) {
    again = world.port().open(soon());  // as soon as the server has seen the first hang up
    ASSERT_TRUE(again || again.error() == std::errc::device_or_resource_busy);
  }
}

TEST(UsbipTest, AServerThatEndsIsAnUnpluggedDevice) {
  OverTcp world;
  const auto device = world.port().open(soon());
  ASSERT_TRUE(device);
  Counted in(EchoModel::kBulkIn, 64);
  ASSERT_TRUE((*device)->set_configuration(1, soon()) && (*device)->submit(in.transfer));
  world.server = nullptr;
  ASSERT_TRUE(in.wait(1));
  (*device)->kill(in.transfer);
  EXPECT_EQ(in.transfer.result.error(), std::errc::no_such_device);
  EXPECT_EQ(world.port().open(soon()).error(), std::errc::connection_refused);
}

// The device's end of a connection that a test holds.
struct HostileServer {
  HostileServer() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    mine = Socket(ends[0]);
    theirs = Socket(ends[1]);
  }
  Socket mine, theirs;
};

TEST(UsbipTest, AReturnOfWhatWasNeverAskedEndsTheConnection) {
  HostileServer server;
  std::vector<uint8_t> octets;
  usbip::encode(usbip::Header{.command = usbip::Command::kReturnSubmit, .sequence = 99}, octets);
  ASSERT_TRUE(server.mine.send(octets, soon()));
  EXPECT_EQ(usbip_device(std::move(server.theirs), {}, soon()).error(), std::errc::no_such_device);
}

TEST(UsbipTest, AReturnLongerThanWhatWasAskedForEndsTheConnection) {
  HostileServer server;
  std::vector<uint8_t> octets;
  usbip::encode(usbip::Header{.command = usbip::Command::kReturnSubmit, .sequence = 1, .length = 19}, octets);
  octets.resize(octets.size() + 19);
  Thread answers("answers", [&] {
    std::vector<uint8_t> asked(usbip::kHeaderBytes);
    ASSERT_TRUE(server.mine.receive(asked, soon()));
    ASSERT_TRUE(server.mine.send(octets, soon()));
  });
  EXPECT_EQ(usbip_device(std::move(server.theirs), {}, soon()).error(), std::errc::no_such_device);
}

TEST(UsbipTest, AServerThatSaysNothingIsGivenUpAtTheDeadline) {
  HostileServer server;
  const Wait wait{.deadline = Clock::now() + std::chrono::milliseconds(20)};
  EXPECT_EQ(usbip_device(std::move(server.theirs), {}, wait).error(), std::errc::timed_out);
}

}  // namespace
}  // namespace usernic::usb
