// SPDX-License-Identifier: Apache-2.0 OR MIT
// What comes up, for every kind of function and of address in every mode, with and without a VLAN tag, by frames
// through the function's cable.
#include "drivers/cdc/adapter_fixture.h"

namespace usernic::cdc {
namespace {

enum class Mode { kPlain, kWithUnicast, kPromisc, kAllmulti, kOverflow, kAfterReset, kAfterReplug };
constexpr const char* kModeNames[] = {"Plain",    "WithUnicast", "Promisc",    "Allmulti",
                                      "Overflow", "AfterReset",  "AfterReplug"};
constexpr Mode kModes[] = {Mode::kPlain,    Mode::kWithUnicast, Mode::kPromisc,    Mode::kAllmulti,
                           Mode::kOverflow, Mode::kAfterReset,  Mode::kAfterReplug};
constexpr MacAddress kWantedGroup = multicast(1), kForeignGroup = multicast(1000);
constexpr MacAddress kWantedUnicast = unicast(1), kForeignUnicast = unicast(2);

class CdcReception : public ::testing::TestWithParam<std::tuple<Kind, Mode>> {
 public:
  void bring_about(Mode mode) {
    switch (mode) {
      case Mode::kPlain:
        break;
      case Mode::kWithUnicast:
        ASSERT_TRUE(adapter.dev->uc().add(kWantedUnicast));
        break;
      case Mode::kPromisc:
        ASSERT_TRUE(adapter.dev->rx_mode().set_promiscuity(1));
        break;
      case Mode::kAllmulti:
        ASSERT_TRUE(adapter.dev->rx_mode().set_allmulti(1));
        break;
      case Mode::kOverflow:
        for (uint64_t n = 2; n <= 20; ++n) ASSERT_TRUE(adapter.dev->mc().add(multicast(n)));
        break;
      case Mode::kAfterReset:
        ASSERT_TRUE(adapter.dev->close() && adapter.dev->open());
        break;
      case Mode::kAfterReplug:
        adapter.plug->unplug();
        ASSERT_TRUE(eventually([&] { return !adapter.dev->present(); }));
        adapter.plug->plug();
        ASSERT_TRUE(adapter.back());
        break;
    }
  }
  Make make = std::get<Kind>(GetParam()).make;
  Adapter adapter{make};
};

TEST_P(CdcReception, IsAsWanted) {
  const Mode mode = std::get<Mode>(GetParam());
  ASSERT_TRUE(adapter.probe());
  ASSERT_TRUE(adapter.dev->open());
  ASSERT_TRUE(adapter.dev->mc().add(kWantedGroup));
  ASSERT_NO_FATAL_FAILURE(bring_about(mode));
  ASSERT_TRUE(adapter.settled());
  // There is no unicast filter but the own address, and a list that is too short is no list.
  const bool promisc = mode == Mode::kPromisc || mode == Mode::kWithUnicast;
  const bool allmulti = promisc || mode == Mode::kAllmulti || mode == Mode::kOverflow || make.multicasts == 0;
  struct Row {
    const char* address_name;
    MacAddress address;
    bool comes;
  };
  const Row rows[] = {
      {"own", kPermanent, true},
      {"broadcast", kBroadcast, true},
      {"wanted unicast", kWantedUnicast, promisc},
      {"foreign unicast", kForeignUnicast, promisc},
      {"wanted group", kWantedGroup, true},
      {"foreign group", kForeignGroup, allmulti},
  };
  for (const Row& row : rows) {
    for (const bool tagged : {false, true}) {
      EXPECT_EQ(adapter.hears(row.address, tagged), row.comes) << row.address_name << (tagged ? ", tagged" : "");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cdc, CdcReception,
                         ::testing::Combine(::testing::ValuesIn(kKinds), ::testing::ValuesIn(kModes)),
                         [](const auto& info) {
                           return std::string(std::get<Kind>(info.param).name) + "_" +
                                  kModeNames[static_cast<size_t>(std::get<Mode>(info.param))];
                         });

}  // namespace
}  // namespace usernic::cdc
