// SPDX-License-Identifier: Apache-2.0 OR MIT
// The transport by libusb on a usbfs that umockdev pretends: what it asks the kernel for, and in which order. A model
// answers what is transferred. Run with umockdev's preload library.
#include <errno.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <linux/usbdevice_fs.h>
#include <sys/ioctl.h>
#include <umockdev.h>

#include <cstring>
#include <list>
#include <string>
#include <vector>

#include "bus/usb/echo_model.h"
#include "bus/usb/emulated.h"
#include "bus/usb/libusb_port.h"
#include "bus/usb/octets.h"
#include "bus/usb/transport_test.h"
#include "testing/watch.h"

namespace usernic::usb {

// It pulls plugs, of which usbfs tells by an event on its file that umockdev's has not.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(UsbTransportTest);

namespace {

constexpr char kNode[] = "/dev/bus/usb/001/002";
constexpr char kKernels[] = "cdc_ether", kUsbfs[] = "usbfs";

// The kernel of a device whose one interface has a driver. Its calls are carried out by umockdev's thread.
class MockUsbfs {
 public:
  MockUsbfs() : testbed_(umockdev_testbed_new()), handler_(umockdev_ioctl_base_new()), device_(*port_.open(soon())) {
    EXPECT_TRUE(device_->set_configuration(1, soon()));
    constexpr uint8_t kHub[] = {18, 1, 0, 2, 9, 0, 1, 64,   0x6b, 0x1d, 2, 0, 0, 0, 0, 0, 0, 1,  //
                                9,  2, 9, 0, 0, 1, 0, 0xe0, 0};
    add("usb1", 1, 9, kHub);
    std::vector<uint8_t> descriptors(model_.device_descriptor().begin(), model_.device_descriptor().end());
    const auto configuration = model_.configuration_descriptor();
    descriptors.insert(descriptors.end(), configuration.begin(), configuration.end());
    add("usb1/1-1", 2, 0, descriptors);
    g_signal_connect(handler_, "handle-ioctl", G_CALLBACK(&MockUsbfs::called), this);
    EXPECT_TRUE(umockdev_testbed_attach_ioctl(testbed_, kNode, handler_, nullptr));
  }
  ~MockUsbfs() {
    umockdev_testbed_detach_ioctl(testbed_, kNode, nullptr);
    g_object_unref(handler_);
    g_object_unref(testbed_);
  }

  // What was asked for besides transfers, since the last time.
  std::vector<std::string> calls() {
    MutexGuard guard(lock_);
    return std::exchange(calls_, {});
  }
  Event submitted;  // a transfer
  void give_to_the_kernel() { driver_ = kKernels; }
  void give_to_another_program() { driver_ = kUsbfs; }

 private:
  struct Urb {
    Urb(MockUsbfs& usbfs, UMockdevIoctlData* data) : usbfs(usbfs), data(data) {}
    MockUsbfs& usbfs;
    UMockdevIoctlData* data;
    std::vector<uint8_t> octets;
    Atomic<bool> done{false};
    Transfer transfer{
        [](void* urb, Transfer&) noexcept USERNIC_NONBLOCKING { static_cast<Urb*>(urb)->done.store(true); }, this};
  };

  // In the words of umockdev-record: path, node with its content, environment, attributes.
  void add(std::string_view path, int number, int device_class, std::span<const uint8_t> descriptors) {
    const std::string node = fmt::format("bus/usb/001/{:03}", number);
    const std::string octets = fmt::format("{:02X}", fmt::join(descriptors, ""));
    const std::string device = fmt::format(
        "P: /devices/{}\nN: {}={}\nE: DEVNAME=/dev/{}\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\nE: MAJOR=189\n"
        "E: MINOR={}\nA: busnum=1\nA: devnum={}\nA: speed=480\nA: bConfigurationValue=1\nA: bNumConfigurations=1\n"
        "A: bDeviceClass={}\nH: descriptors={}\n",
        path, node, octets, node, number - 1, number, device_class, octets);
    EXPECT_TRUE(umockdev_testbed_add_from_string(testbed_, device.c_str(), nullptr));
  }

  static gboolean called(UMockdevIoctlBase*, UMockdevIoctlClient* client, gpointer self) {
    UMockdevIoctlData* const argument = umockdev_ioctl_client_get_arg(client);
    const auto request = static_cast<unsigned>(umockdev_ioctl_client_get_request(client));
    const int error = static_cast<MockUsbfs*>(self)->call(request, argument);
    umockdev_ioctl_client_complete(client, error == 0 ? 0 : -1, error);
    return TRUE;
  }

  // The errno.
  int call(unsigned request, UMockdevIoctlData* argument) {
    switch (request) {
      case USBDEVFS_GET_CAPABILITIES:
        return tell(argument, uint32_t{USBDEVFS_CAP_ZERO_PACKET | USBDEVFS_CAP_NO_PACKET_SIZE_LIM});
      case USBDEVFS_GETDRIVER:
        return get_driver(argument);
      case USBDEVFS_IOCTL:
        return ask_driver(of<usbdevfs_ioctl>(argument));
      case USBDEVFS_CLAIMINTERFACE:
        note("claim", of<unsigned>(argument));
        if (!driver_.empty()) return EBUSY;
        driver_ = kUsbfs;
        return 0;
      case USBDEVFS_RELEASEINTERFACE:
        note("release", of<unsigned>(argument));
        driver_.clear();
        return 0;
      case USBDEVFS_SETCONFIGURATION:
        note("configuration", of<unsigned>(argument));
        return 0;
      case USBDEVFS_CLEAR_HALT:
        note("clear", of<unsigned>(argument));
        return device_->clear_halt(static_cast<uint8_t>(of<unsigned>(argument)), soon()) ? 0 : EPIPE;
      case USBDEVFS_SUBMITURB:
        return submit(argument);
      case USBDEVFS_DISCARDURB:
        for (Urb& urb : urbs_) {
          if (urb.data->client_addr != address_in(argument)) continue;
          note("discard", urb.transfer.endpoint);
          device_->cancel(urb.transfer);
        }
        return 0;
      case USBDEVFS_REAPURBNDELAY:
        return reap(argument);
      default:
        return ENOTTY;
    }
  }

  int get_driver(UMockdevIoctlData* argument) {
    if (driver_.empty()) return ENODATA;
    auto asked = of<usbdevfs_getdriver>(argument);
    std::strcpy(asked.driver, driver_.c_str());
    return tell(argument, asked);
  }
  int ask_driver(const usbdevfs_ioctl& asked) {
    const bool connects = asked.ioctl_code == static_cast<int>(USBDEVFS_CONNECT);
    note(connects ? "connect" : "disconnect", static_cast<unsigned>(asked.ifno));
    if (driver_.empty() != connects) return connects ? EBUSY : ENODATA;
    driver_ = connects ? kKernels : "";
    return 0;
  }

  int submit(UMockdevIoctlData* argument) {
    UMockdevIoctlData* const data = resolve(argument, sizeof(usbdevfs_urb));
    const auto asked = *reinterpret_cast<const usbdevfs_urb*>(data->data);
    UMockdevIoctlData* const buffer = umockdev_ioctl_data_resolve(data, offsetof(usbdevfs_urb, buffer),
                                                                  static_cast<gsize>(asked.buffer_length), nullptr);
    Urb& urb = urbs_.emplace_back(*this, data);
    Transfer& transfer = urb.transfer;
    if (buffer != nullptr) urb.octets.assign(buffer->data, buffer->data + asked.buffer_length);
    if (buffer != nullptr) g_object_unref(buffer);
    transfer.endpoint = asked.endpoint;
    transfer.data = urb.octets;
    if (asked.type == USBDEVFS_URB_TYPE_CONTROL) {
      transfer.endpoint = 0;
      transfer.setup = {.request_type = urb.octets[0],
                        .request = urb.octets[1],
                        .value = le16(urb.octets, 2),
                        .index = le16(urb.octets, 4)};
      transfer.data = transfer.data.subspan(8);
    }
    if (!device_->submit(transfer)) return ENODEV;
    submitted.set();
    return 0;
  }

  int reap(UMockdevIoctlData* argument) {
    const auto urb = std::ranges::find_if(urbs_, [](const Urb& each) { return each.done.load(); });
    if (urb == urbs_.end()) return EAGAIN;
    device_->kill(urb->transfer);  // its `complete` is over
    auto told = *reinterpret_cast<const usbdevfs_urb*>(urb->data->data);
    const Result<uint32_t>& result = urb->transfer.result;
    told.actual_length = static_cast<int>(result.value_or(0));
    told.status = result                                            ? 0
                  : result.error() == std::errc::operation_canceled ? -ENOENT
                  : result.error() == std::errc::broken_pipe        ? -EPIPE
                                                                    : -EPROTO;
    if (UMockdevIoctlData* const buffer = umockdev_ioctl_data_resolve(
            urb->data, offsetof(usbdevfs_urb, buffer), static_cast<gsize>(told.buffer_length), nullptr)) {
      umockdev_ioctl_data_update(buffer, 0, urb->octets.data(), told.buffer_length);
      g_object_unref(buffer);
    }
    umockdev_ioctl_data_update(urb->data, 0, reinterpret_cast<guint8*>(&told), sizeof told);
    UMockdevIoctlData* const which = resolve(argument, sizeof(void*));
    umockdev_ioctl_data_set_ptr(which, 0, urb->data);
    g_object_unref(which);
    g_object_unref(urb->data);
    urbs_.erase(urb);
    return 0;
  }

  // What the caller's pointer leads to.
  static UMockdevIoctlData* resolve(UMockdevIoctlData* argument, size_t bytes) {
    return umockdev_ioctl_data_resolve(argument, 0, bytes, nullptr);
  }
  template <class T>
  static T of(UMockdevIoctlData* argument) {
    UMockdevIoctlData* const data = resolve(argument, sizeof(T));
    T value;
    std::memcpy(&value, data->data, sizeof value);
    g_object_unref(data);
    return value;
  }
  template <class T>
  static int tell(UMockdevIoctlData* argument, T value) {
    UMockdevIoctlData* const data = resolve(argument, sizeof(T));
    umockdev_ioctl_data_update(data, 0, reinterpret_cast<guint8*>(&value), sizeof value);
    g_object_unref(data);
    return 0;
  }
  static gulong address_in(UMockdevIoctlData* argument) {
    gulong address = 0;
    std::memcpy(&address, argument->data, sizeof address);
    return address;
  }
  void note(std::string_view what, unsigned number) {
    MutexGuard guard(lock_);
    calls_.push_back(fmt::format("{} {}", what, number));
  }

  static constexpr LockClass kClass{"mock_usbfs"};
  UMockdevTestbed* const testbed_;
  UMockdevIoctlBase* const handler_;
  EchoModel model_;
  EmulatedPort port_{model_, "emulated:echo"};
  std::unique_ptr<Device> device_;
  std::string driver_ = kKernels;  // of the interface
  std::list<Urb> urbs_;
  Mutex lock_{kClass};
  std::vector<std::string> calls_ USERNIC_GUARDED_BY(lock_);
};

using Calls = std::vector<std::string>;

struct LibusbOnUmockdev : ::testing::Test {
  void SetUp() override { ASSERT_TRUE(umockdev_in_mock_environment()) << "LD_PRELOAD is missing"; }
  std::unique_ptr<Device> open() {
    auto opened = port.open(soon());
    EXPECT_TRUE(opened);
    return opened ? *std::move(opened) : nullptr;
  }
  MockUsbfs usbfs;
  LibusbPort port{Location::parse("usb:1209:0001").value()};
};

TEST_F(LibusbOnUmockdev, ItIsListedWithItsPlaceAndClasses) {
  const auto listed = libusb_list();
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 1u) << "hubs are none";
  const LibusbEntry& entry = listed->front();
  EXPECT_EQ(entry.place, "1-1");
  EXPECT_EQ(entry.vendor, EchoModel::kVendorId);
  EXPECT_EQ(entry.speed, Speed::kHigh);
  ASSERT_EQ(entry.interfaces.size(), 2u);
  EXPECT_EQ(entry.interfaces[0].interface_class, 255);
  EXPECT_EQ(usbfs.calls(), Calls{}) << "nothing is opened";
}

TEST_F(LibusbOnUmockdev, TheKernelsDriverIsDetachedAndGivenItBack) {
  auto device = open();
  ASSERT_TRUE(device);
  EXPECT_EQ(usbfs.calls(), (Calls{"disconnect 0", "claim 0"}));
  EXPECT_EQ(device->descriptors().vendor, EchoModel::kVendorId);
  device = nullptr;
  EXPECT_EQ(usbfs.calls(), (Calls{"release 0", "connect 0"}));
}

TEST_F(LibusbOnUmockdev, AConfigurationIsSetWhileNothingIsClaimed) {
  auto device = open();
  ASSERT_TRUE(device);
  (void)usbfs.calls();
  EXPECT_TRUE(device->set_configuration(1, soon()));
  EXPECT_EQ(usbfs.calls(), (Calls{"release 0", "configuration 1", "claim 0"}));
}

TEST_F(LibusbOnUmockdev, ControlTransfersAreAnsweredAndRefused) {
  const auto device = open();
  ASSERT_TRUE(device);
  std::array<uint8_t, 4> sent{1, 2, 3, 4}, got{};
  EXPECT_EQ(device->control({.request_type = 0x40, .index = 8}, sent, soon()), 4u);
  EXPECT_EQ(device->control({.request_type = 0xc0, .index = 8}, got, soon()), 4u);
  EXPECT_EQ(got, sent);
  EXPECT_EQ(device->control({.request_type = 0xc0, .index = 62}, got, soon()).error(), std::errc::broken_pipe);
}

TEST_F(LibusbOnUmockdev, BulkTransfersGoBothWaysAndAHaltIsCleared) {
  const auto device = open();
  ASSERT_TRUE(device);
  std::vector<uint8_t> sent = octets(100), got(512);
  EXPECT_EQ(device->transfer(EchoModel::kBulkOut, sent, soon()), 100u);
  EXPECT_EQ(device->transfer(EchoModel::kBulkIn, got, soon()), 100u);
  got.resize(100);
  EXPECT_EQ(got, sent);
  (void)usbfs.calls();
  EXPECT_TRUE(device->clear_halt(EchoModel::kBulkIn, soon()));
  EXPECT_EQ(usbfs.calls(), Calls{"clear 129"});
}

TEST_F(LibusbOnUmockdev, WhatIsCancelledIsDiscarded) {
  const auto device = open();
  ASSERT_TRUE(device);
  Counted waiting(EchoModel::kBulkIn, 64);
  (void)usbfs.calls();
  const uint32_t before = usbfs.submitted.count();
  ASSERT_TRUE(device->submit(waiting.transfer));
  ASSERT_TRUE(usbfs.submitted.wait(before + 1));
  device->kill(waiting.transfer);
  EXPECT_EQ(waiting.transfer.result.error(), std::errc::operation_canceled);
  EXPECT_EQ(usbfs.calls(), Calls{fmt::format("discard {}", EchoModel::kBulkIn)});
  EXPECT_EQ(device->transfer(EchoModel::kInterruptIn, waiting.data, {.deadline = Clock::now()}).error(),
            std::errc::timed_out);
}

TEST_F(LibusbOnUmockdev, AnotherProgramKeepsIt) {
  usbfs.give_to_another_program();
  EXPECT_EQ(port.open(soon()).error(), std::errc::device_or_resource_busy);
  EXPECT_EQ(usbfs.calls(), Calls{"claim 0"});
  usbfs.give_to_the_kernel();
  EXPECT_TRUE(open());
}

}  // namespace
}  // namespace usernic::usb
