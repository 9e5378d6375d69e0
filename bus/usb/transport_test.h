// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: what every transport does the same, as tests of an EchoModel behind a port.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "bus/usb/echo_model.h"
#include "usernic/env.h"
#include "usernic/lock.h"
#include "usernic/thread.h"

namespace usernic::usb {

// A far guard: who waits for it has failed.
inline Wait soon() {
  return {.deadline = Clock::now() + std::chrono::seconds(30)};
}

inline std::vector<uint8_t> octets(size_t size) {
  std::vector<uint8_t> data(size);
  for (size_t i = 0; i < size; ++i) data[i] = static_cast<uint8_t>(i * 7 + size);
  return data;
}

// A transfer, and how often it was completed.
struct Counted {
  explicit Counted(uint8_t endpoint, size_t size) : data(size) {
    transfer.endpoint = endpoint;
    transfer.data = data;
  }
  bool wait(uint32_t count) const {
    for (uint32_t seen; (seen = completed.load()) < count;) {
      if (!wait_on(completed, seen, soon().deadline)) return completed.load() >= count;
    }
    return true;
  }
  std::vector<uint8_t> data;
  Atomic<uint32_t> completed{0};
  Transfer transfer{[](void* self, Transfer&) noexcept USERNIC_NONBLOCKING {
                      Atomic<uint32_t>& completed = static_cast<Counted*>(self)->completed;
                      completed.fetch_add(1);
                      wake_all(completed);
                    },
                    this};
};

inline Result<uint32_t> write_memory(Device& device, std::vector<uint8_t> data, const Wait& wait = soon()) {
  return device.control({.request_type = 0x40, .request = 5}, data, wait);
}
inline Result<std::vector<uint8_t>> read_memory(Device& device, size_t size, const Wait& wait = soon()) {
  std::vector<uint8_t> data(size);
  const Result<uint32_t> got = device.control({.request_type = 0xc0, .request = 5}, data, wait);
  if (!got) return fail(got.error());
  data.resize(*got);
  return data;
}

// `World` has: EchoModel model; EmulatedPort device_port; Port& port(), through which the transport opens it.
template <class World>
class UsbTransportTest : public ::testing::Test {
 public:
  std::unique_ptr<Device> open() {
    Result<std::unique_ptr<Device>> opened = world.port().open(soon());
    EXPECT_TRUE(opened) << errno_name(opened.error());
    if (!opened) return nullptr;
    EXPECT_TRUE((*opened)->set_configuration(1, soon()));
    return *std::move(opened);
  }
  World world;
};
TYPED_TEST_SUITE_P(UsbTransportTest);

TYPED_TEST_P(UsbTransportTest, AnOpenedDeviceHasSaidWhatItIs) {
  const auto device = this->open();
  EXPECT_EQ(device->descriptors().vendor, EchoModel::kVendorId);
  EXPECT_EQ(device->descriptors().find(EndpointType::kBulk, true)->address, EchoModel::kBulkIn);
  EXPECT_EQ(device->speed(), Speed::kHigh);
}

TYPED_TEST_P(UsbTransportTest, ControlTransfersGoBothWays) {
  const auto device = this->open();
  EXPECT_EQ(write_memory(*device, octets(20)), 20u);
  EXPECT_EQ(read_memory(*device, 20), octets(20));
  EXPECT_EQ(write_memory(*device, {}), 0u);
  EXPECT_EQ(read_memory(*device, 65).error(), std::errc::broken_pipe);
  EXPECT_EQ(read_memory(*device, 20), octets(20)) << "a stall of endpoint 0 is over with the next request";
}

TYPED_TEST_P(UsbTransportTest, BulkDataOfEveryLengthComesBack) {
  const auto device = this->open();
  for (const size_t size : {1, 0, 63, 64, 65, 128, 512, 1514, 2048}) {
    std::vector<uint8_t> out = octets(size), in(2100);
    EXPECT_EQ(device->transfer(EchoModel::kBulkOut, out, soon()), size);
    EXPECT_EQ(device->transfer(EchoModel::kBulkIn, in, soon()), size);
    in.resize(size);
    EXPECT_EQ(in, octets(size));
  }
}

TYPED_TEST_P(UsbTransportTest, AMessageThatFillsTransfersIsEndedByAnEmptyOne) {
  const auto device = this->open();
  std::vector<uint8_t> out = octets(128), in(64);
  EXPECT_EQ(device->transfer(EchoModel::kBulkOut, out, soon()), 128u);
  for (const uint32_t size : {64u, 64u, 0u}) EXPECT_EQ(device->transfer(EchoModel::kBulkIn, in, soon()), size);
}

TYPED_TEST_P(UsbTransportTest, MoreThanFitsIsAnError) {
  const auto device = this->open();
  std::vector<uint8_t> out = octets(100), in(50);
  EXPECT_EQ(device->transfer(EchoModel::kBulkOut, out, soon()), 100u);
  EXPECT_EQ(device->transfer(EchoModel::kBulkIn, in, soon()).error(), std::errc::value_too_large);
}

TYPED_TEST_P(UsbTransportTest, AStalledEndpointGoesOnWhenItIsCleared) {
  const auto device = this->open();
  std::vector<uint8_t> data = octets(10);
  this->world.device_port.halt(EchoModel::kBulkOut);
  EXPECT_EQ(device->transfer(EchoModel::kBulkOut, data, soon()).error(), std::errc::broken_pipe);
  EXPECT_TRUE(device->clear_halt(EchoModel::kBulkOut, soon()));
  EXPECT_EQ(device->transfer(EchoModel::kBulkOut, data, soon()), 10u);
}

TYPED_TEST_P(UsbTransportTest, AnotherAlternateSettingIsTaken) {
  const auto device = this->open();
  EXPECT_TRUE(device->set_interface(0, 1, soon()));
  EXPECT_FALSE(device->set_interface(0, 2, soon()));
  EXPECT_FALSE(device->set_configuration(7, soon()));
}

TYPED_TEST_P(UsbTransportTest, TransfersInFlightAreServedInOrder) {
  const auto device = this->open();
  Counted first(EchoModel::kBulkIn, 64), second(EchoModel::kBulkIn, 64);
  ASSERT_TRUE(device->submit(first.transfer));
  ASSERT_TRUE(device->submit(second.transfer));
  for (const size_t size : {10, 20}) {
    std::vector<uint8_t> out = octets(size);
    EXPECT_EQ(device->transfer(EchoModel::kBulkOut, out, soon()), size);
  }
  ASSERT_TRUE(first.wait(1) && second.wait(1));
  device->kill(first.transfer);
  device->kill(second.transfer);
  EXPECT_EQ(first.transfer.result, 10u);
  EXPECT_EQ(second.transfer.result, 20u);
}

TYPED_TEST_P(UsbTransportTest, ACancelledTransferEndsAndTheOthersDoNot) {
  const auto device = this->open();
  Counted cancelled(EchoModel::kBulkIn, 64), other(EchoModel::kInterruptIn, 8);
  ASSERT_TRUE(device->submit(cancelled.transfer));
  ASSERT_TRUE(device->submit(other.transfer));
  device->cancel(cancelled.transfer);
  ASSERT_TRUE(cancelled.wait(1));
  device->kill(cancelled.transfer);
  EXPECT_EQ(cancelled.transfer.result.error(), std::errc::operation_canceled);
  EXPECT_EQ(other.completed.load(), 0u);
  EXPECT_TRUE(this->world.model.interrupt(octets(8)));
  ASSERT_TRUE(other.wait(1));
  device->kill(other.transfer);
  EXPECT_EQ(other.transfer.result, 8u);
  EXPECT_EQ(other.data, octets(8));
}

TYPED_TEST_P(UsbTransportTest, AStopEndsATransferThatSleeps) {
  const auto device = this->open();
  StopSource stop;
  std::vector<uint8_t> in(64);
  Thread stopper("stopper", [&] {
    while (device->gone()) spin_pause();
    stop.request_stop();
  });
  const Result<uint32_t> got = device->transfer(EchoModel::kBulkIn, in, {.stop = stop.token()});
  EXPECT_EQ(got.error(), std::errc::operation_canceled);
  EXPECT_EQ(read_memory(*device, 4, {.stop = stop.token()}).error(), std::errc::operation_canceled);
}

TYPED_TEST_P(UsbTransportTest, ADeadlineEndsATransferThatSleeps) {
  const auto device = this->open();
  std::vector<uint8_t> in(64);
  const Wait passed{.deadline = Clock::now() + std::chrono::milliseconds(1)};
  EXPECT_EQ(device->transfer(EchoModel::kBulkIn, in, passed).error(), std::errc::timed_out);
  EXPECT_EQ(write_memory(*device, octets(4)), 4u) << "the device goes on";
}

TYPED_TEST_P(UsbTransportTest, ASlowDeviceAnswersOneControlTransferAfterTheOther) {
  const auto device = this->open();
  this->world.device_port.faults().control_ns.store(5'000'000);
  const Time before = Clock::now();
  for (int n = 0; n < 3; ++n) EXPECT_EQ(write_memory(*device, octets(4)), 4u);
  EXPECT_GE(Clock::now() - before, std::chrono::milliseconds(15));
}

TYPED_TEST_P(UsbTransportTest, EachNthControlTransferFails) {
  const auto device = this->open();
  this->world.device_port.faults().fail_every.store(2);
  int failed = 0;
  for (int n = 0; n < 10; ++n) failed += !write_memory(*device, octets(4));
  EXPECT_EQ(failed, 5);
}

TYPED_TEST_P(UsbTransportTest, UnpluggedEverythingInFlightEndsAndTheWatcherHears) {
  const auto device = this->open();
  Counted in(EchoModel::kBulkIn, 64), interrupt(EchoModel::kInterruptIn, 8);
  ASSERT_TRUE(device->submit(in.transfer));
  ASSERT_TRUE(device->submit(interrupt.transfer));
  Atomic<uint32_t> heard{0};
  const auto hear = [](void* heard) noexcept USERNIC_NONBLOCKING {
    static_cast<Atomic<uint32_t>*>(heard)->fetch_add(1);
    wake_all(*static_cast<Atomic<uint32_t>*>(heard));
  };
  device->watch(hear, &heard);
  this->world.device_port.unplug();
  while (heard.load() == 0) ASSERT_TRUE(wait_on(heard, 0, soon().deadline));
  device->kill(in.transfer);
  device->kill(interrupt.transfer);
  EXPECT_EQ(in.transfer.result.error(), std::errc::no_such_device);
  EXPECT_EQ(interrupt.transfer.result.error(), std::errc::no_such_device);
  EXPECT_EQ(heard.load(), 1u);
  EXPECT_EQ(write_memory(*device, octets(4)).error(), std::errc::no_such_device);
  EXPECT_EQ(device->submit(in.transfer).error(), std::errc::no_such_device);
  device->watch(hear, &heard);
  EXPECT_EQ(heard.load(), 2u) << "who asks later is told at once";
}

TYPED_TEST_P(UsbTransportTest, PluggedInAgainItIsOpenedAgain) {
  auto device = this->open();
  EXPECT_EQ(write_memory(*device, octets(4)), 4u);
  this->world.device_port.unplug();
  EXPECT_FALSE(this->world.port().open(soon()));
  this->world.device_port.plug();
  device = nullptr;
  device = this->open();
  EXPECT_EQ(read_memory(*device, 4), std::vector<uint8_t>(4)) << "as after power on";
}

TYPED_TEST_P(UsbTransportTest, CutAtEachTransferNothingHangs) {
  uint64_t n = this->world.device_port.counts().transfers.load();
  int failures = 0;
  do {
    const uint64_t begun = this->world.device_port.counts().transfers.load();
    this->world.device_port.faults().unplug_at.store(begun + ++n);
    failures = 0;
    Result<std::unique_ptr<Device>> device = this->world.port().open(soon());
    if (!device) {
      ++failures;
    } else {
      std::vector<uint8_t> data = octets(100);
      failures += !(*device)->set_configuration(1, soon());
      failures += !write_memory(**device, octets(4));
      failures += !(*device)->transfer(EchoModel::kBulkOut, data, soon());
      failures += !(*device)->transfer(EchoModel::kBulkIn, data, soon());
    }
    if (!this->world.device_port.plugged()) this->world.device_port.plug();
  } while (failures != 0);
  EXPECT_GE(n, 8u);
}

REGISTER_TYPED_TEST_SUITE_P(UsbTransportTest, AnOpenedDeviceHasSaidWhatItIs, ControlTransfersGoBothWays,
                            BulkDataOfEveryLengthComesBack, AMessageThatFillsTransfersIsEndedByAnEmptyOne,
                            MoreThanFitsIsAnError, AStalledEndpointGoesOnWhenItIsCleared,
                            AnotherAlternateSettingIsTaken, TransfersInFlightAreServedInOrder,
                            ACancelledTransferEndsAndTheOthersDoNot, AStopEndsATransferThatSleeps,
                            ADeadlineEndsATransferThatSleeps, ASlowDeviceAnswersOneControlTransferAfterTheOther,
                            EachNthControlTransferFails, UnpluggedEverythingInFlightEndsAndTheWatcherHears,
                            PluggedInAgainItIsOpenedAgain, CutAtEachTransferNothingHangs);

}  // namespace usernic::usb
