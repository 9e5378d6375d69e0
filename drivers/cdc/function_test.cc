// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "drivers/cdc/function.h"

#include <gtest/gtest.h>

#include <random>

#include "drivers/cdc/model.h"

namespace usernic::cdc {
namespace {

constexpr MacAddress kOwn = MacAddress::from_u64(0x02e0'4c0c'dcab);

usb::Descriptors descriptors_of(const usb::Model& model) {
  const auto octets = model.configuration_descriptor();
  return {.configurations = {usb::Configuration::parse(octets).value()}};
}

std::vector<uint8_t> mac_string(std::string_view text) {
  std::vector<uint8_t> octets{static_cast<uint8_t>(2 + 2 * text.size()), 3};
  for (const char letter : text) octets.insert(octets.end(), {static_cast<uint8_t>(letter), 0});
  return octets;
}

TEST(CdcFunctionTest, IsWhatTheDescriptorsSay) {
  const Model ecm({.framing = Framing::kEcm, .multicasts = 12, .segment = 2000}, kOwn);
  const auto function = find_function(descriptors_of(ecm));
  ASSERT_TRUE(function);
  EXPECT_EQ(function->framing, Framing::kEcm);
  EXPECT_EQ(function->configuration, 1);
  EXPECT_EQ(function->control, 0);
  EXPECT_EQ(function->data, 1);
  EXPECT_EQ(function->alternate, 1);
  EXPECT_EQ(function->bulk_in, 0x81);
  EXPECT_EQ(function->bulk_out, 0x02);
  EXPECT_EQ(function->interrupt_in, 0x83);
  EXPECT_EQ(function->mac_string, 3);
  EXPECT_EQ(function->frame_max, 2000u);
  EXPECT_EQ(function->multicasts, 12);
}

TEST(CdcFunctionTest, NcmIsChosenBeforeEcmBeforeRndis) {
  usb::Descriptors device;
  const auto add = [&](Framing framing) {
    const Model model({.framing = framing}, kOwn);
    auto configuration = descriptors_of(model).configurations.front();
    configuration.value = static_cast<uint8_t>(device.configurations.size() + 1);
    device.configurations.push_back(configuration);
  };
  add(Framing::kRndis);
  EXPECT_EQ(find_function(device)->framing, Framing::kRndis);
  add(Framing::kEcm);
  EXPECT_EQ(find_function(device)->framing, Framing::kEcm);
  EXPECT_EQ(find_function(device)->configuration, 2);
  add(Framing::kNcm);
  EXPECT_EQ(find_function(device)->framing, Framing::kNcm);
}

TEST(CdcFunctionTest, IsNoneWithoutEndpointsOrAnAddress) {
  const Model model({.framing = Framing::kEcm}, kOwn);
  usb::Descriptors device = descriptors_of(model);
  auto& interfaces = device.configurations.front().interfaces;
  const auto whole = interfaces;
  std::erase_if(interfaces, [](const usb::Interface& interface) { return interface.alternate == 1; });
  EXPECT_FALSE(find_function(device));
  interfaces = whole;
  interfaces.front().class_specific.clear();
  EXPECT_FALSE(find_function(device));
  interfaces = whole;
  interfaces.back().endpoints.pop_back();
  EXPECT_FALSE(find_function(device));
}

TEST(CdcFunctionTest, AnyOctetsOfADescriptorAreReadAndNotBeyond) {
  std::mt19937 dice(20261130);
  for (const Framing framing : {Framing::kEcm, Framing::kNcm, Framing::kRndis}) {
    const Model model({.framing = framing}, kOwn);
    const auto whole = model.configuration_descriptor();
    for (int n = 0; n < 20'000; ++n) {
      std::vector<uint8_t> octets(whole.begin(), whole.end());
      for (uint32_t changes = dice() % 4; changes-- > 0;) octets[dice() % octets.size()] = static_cast<uint8_t>(dice());
      octets.resize(dice() % 4 == 0 ? dice() % octets.size() : octets.size());
      octets.shrink_to_fit();
      const auto parsed = usb::Configuration::parse(octets);
      if (!parsed) continue;
      const auto function = find_function({.configurations = {*parsed}});
      EXPECT_TRUE(!function || (function->bulk_in > 0x80 && function->bulk_out < 0x80));
    }
  }
}

TEST(CdcFunctionTest, AnAddressIsTwelveDigits) {
  EXPECT_EQ(parse_mac_string(mac_string("02E04C0CDCab")), kOwn);
  EXPECT_FALSE(parse_mac_string(mac_string("02E04C0CDCa")));
  EXPECT_FALSE(parse_mac_string(mac_string("02E04C0CDCag")));
  EXPECT_FALSE(parse_mac_string(mac_string("02:E0:4C:0C:")));
  EXPECT_FALSE(parse_mac_string({}));
  std::vector<uint8_t> cut = mac_string("02E04C0CDCab");
  cut.resize(25);
  EXPECT_FALSE(parse_mac_string(cut));
  std::vector<uint8_t> wide = mac_string("02E04C0CDCab");
  wide[3] = 1;
  EXPECT_FALSE(parse_mac_string(wide));
}

TEST(CdcNotificationTest, SaysLinkAndSpeed) {
  const uint8_t up[] = {0xa1, 0x00, 1, 0, 0, 0, 0, 0};
  EXPECT_EQ(parse_notifications(Framing::kEcm, up).connected, true);
  const uint8_t down[] = {0xa1, 0x00, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(parse_notifications(Framing::kNcm, down).connected, false);
  const uint8_t speed_and_up[] = {0xa1, 0x2a, 0, 0, 0,    0,    8, 0, 0x80, 0x96, 0x98, 0,
                                  1,    0,    0, 0, 0xa1, 0x00, 1, 0, 0,    0,    0,    0};
  const News both = parse_notifications(Framing::kNcm, speed_and_up);
  EXPECT_EQ(both.bits_per_second, 10'000'000u);
  EXPECT_EQ(both.connected, true);
  for (size_t size = 0; size < 8; ++size) {
    EXPECT_FALSE(parse_notifications(Framing::kEcm, std::span(up).first(size)).connected);
  }
  EXPECT_FALSE(parse_notifications(Framing::kNcm, std::span(speed_and_up).first(15)).bits_per_second);
  const uint8_t unknown[] = {0xa1, 0x20, 1, 0, 0, 0, 0xff, 0xff, 0xa1, 0, 1, 0};
  EXPECT_FALSE(parse_notifications(Framing::kEcm, unknown).connected);
}

TEST(CdcNotificationTest, OfRndisSaysThatAMessageWaits) {
  const uint8_t waits[] = {1, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_TRUE(parse_notifications(Framing::kRndis, waits).message);
  EXPECT_FALSE(parse_notifications(Framing::kRndis, std::span(waits).first(7)).message);
  EXPECT_FALSE(parse_notifications(Framing::kEcm, waits).message);
}

}  // namespace
}  // namespace usernic::cdc
