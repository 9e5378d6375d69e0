// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usb/descriptors.h"

#include <gtest/gtest.h>

#include "bus/usb/echo_model.h"

namespace usernic::usb {
namespace {

std::vector<uint8_t> echo() {
  const auto octets = EchoModel().configuration_descriptor();
  return {octets.begin(), octets.end()};
}

TEST(UsbDescriptorsTest, SayWhatEndpointsThereAre) {
  const Result<Configuration> parsed = Configuration::parse(echo());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->value, 1);
  ASSERT_EQ(parsed->interfaces.size(), 2u);
  ASSERT_EQ(parsed->interfaces[0].endpoints.size(), 3u);
  EXPECT_EQ(parsed->interfaces[0].endpoints[2].address, 0x83);
  EXPECT_EQ(parsed->interfaces[0].endpoints[2].type, EndpointType::kInterrupt);
  EXPECT_EQ(parsed->interfaces[0].endpoints[1].packet_max, 64);
  EXPECT_EQ(parsed->interfaces[1].alternate, 1);
}

TEST(UsbDescriptorsTest, OfAnyLengthAreReadWithinTheirOctets) {
  const std::vector<uint8_t> whole = echo();
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::vector<uint8_t> part(whole.begin(), whole.begin() + size);  // on the heap, where sanitizers see the end
    (void)Configuration::parse(part);
  }
  std::vector<uint8_t> endless = whole;
  endless[9] = 0;  // a descriptor of no length would never end
  EXPECT_EQ(Configuration::parse(endless).error(), std::errc::bad_message);
  endless[9] = 200;
  EXPECT_EQ(Configuration::parse(endless).error(), std::errc::bad_message);
}

TEST(UsbDescriptorsTest, AnInterruptEndpointHasAPeriodOfItsSpeed) {
  EXPECT_EQ(Endpoint{.interval = 32}.period(Speed::kFull), 32);
  EXPECT_EQ(Endpoint{.interval = 9}.period(Speed::kHigh), 256);
  EXPECT_EQ(Endpoint{.interval = 255}.period(Speed::kSuper), 1 << 15);
  for (const Speed speed : {Speed::kLow, Speed::kHigh}) EXPECT_EQ(Endpoint{.interval = 0}.period(speed), 1);
}

TEST(UsbDescriptorsTest, KeepWhatBelongsToAClass) {
  std::vector<uint8_t> octets = echo();
  const std::vector<uint8_t> ethernet = {13, 0x24, 0x0f, 3, 0, 0, 0, 0, 0xea, 5, 0, 0, 0};
  octets.insert(octets.begin() + 18, ethernet.begin(), ethernet.end());
  octets[2] = static_cast<uint8_t>(octets.size());
  const Result<Configuration> parsed = Configuration::parse(octets);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->interfaces[0].class_specific, ethernet);
  EXPECT_EQ(parsed->interfaces[0].endpoints.size(), 3u);
}

TEST(UsbDescriptorsTest, AreAskedOfTheDeviceAsLongAsTheySayTheyAre) {
  EchoModel model;
  std::vector<uint16_t> asked;
  const auto read = Descriptors::read([&](const usb::Setup& setup, std::span<uint8_t> data) -> Result<uint32_t> {
    asked.push_back(static_cast<uint16_t>(data.size()));
    const auto from = setup.value >> 8 == 1 ? model.device_descriptor() : model.configuration_descriptor();
    const size_t size = std::min(from.size(), data.size());
    std::copy_n(from.begin(), size, data.begin());
    return static_cast<uint32_t>(size);
  });
  ASSERT_TRUE(read);
  EXPECT_EQ(asked, (std::vector<uint16_t>{18, 9, 48}));
  EXPECT_EQ(read->vendor, EchoModel::kVendorId);
  EXPECT_EQ(read->find(EndpointType::kBulk, false)->address, 0x02);
  EXPECT_FALSE(read->find(EndpointType::kIsochronous, true));
}

}  // namespace
}  // namespace usernic::usb
