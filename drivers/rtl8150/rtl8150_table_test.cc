// SPDX-License-Identifier: Apache-2.0 OR MIT
// What comes up, for every kind of address in every mode: one cell a test, by frames through the adapter's cable.
#include "drivers/rtl8150/adapter_fixture.h"

namespace usernic::rtl8150 {
namespace {

enum class Mode { kPlain, kWithUnicast, kPromisc, kAllmulti, kAfterReset, kAfterReplug };

struct Cell {
  Mode mode;
  const char* mode_name;
  const char* address_name;
  MacAddress address;
  bool comes;
};

constexpr MacAddress kWantedGroup = multicast(1), kForeignGroup = multicast(2);
static_assert(bucket_of(kWantedGroup) != bucket_of(kForeignGroup));

std::vector<Cell> cells() {
  struct Row {
    Mode mode;
    const char* name;
    bool foreign_unicast, foreign_group;
  };
  constexpr Row kRows[] = {{Mode::kPlain, "Plain", false, false},
                           {Mode::kWithUnicast, "WithUnicast", true, true},  // no slot for one: promiscuity
                           {Mode::kPromisc, "Promisc", true, true},
                           {Mode::kAllmulti, "Allmulti", false, true},
                           {Mode::kAfterReset, "AfterReset", false, false},
                           {Mode::kAfterReplug, "AfterReplug", false, false}};
  std::vector<Cell> cells;
  for (const Row& row : kRows) {
    cells.push_back({row.mode, row.name, "Own", kPermanent, true});
    cells.push_back({row.mode, row.name, "Broadcast", kBroadcast, true});
    cells.push_back({row.mode, row.name, "WantedGroup", kWantedGroup, true});
    cells.push_back({row.mode, row.name, "ForeignGroup", kForeignGroup, row.foreign_group});
    cells.push_back({row.mode, row.name, "ForeignUnicast", unicast(2), row.foreign_unicast});
    if (row.mode == Mode::kWithUnicast) cells.push_back({row.mode, row.name, "WantedUnicast", unicast(1), true});
  }
  return cells;
}

class Reception : public ::testing::TestWithParam<Cell> {
 public:
  void bring_about(Mode mode) {
    switch (mode) {
      case Mode::kPlain:
        break;
      case Mode::kWithUnicast:
        ASSERT_TRUE(adapter.dev->uc().add(unicast(1)));
        break;
      case Mode::kPromisc:
        ASSERT_TRUE(adapter.dev->rx_mode().set_promiscuity(1));
        break;
      case Mode::kAllmulti:
        ASSERT_TRUE(adapter.dev->rx_mode().set_allmulti(1));
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
  Adapter adapter;
};

TEST_P(Reception, IsAsWanted) {
  ASSERT_TRUE(adapter.probe());
  ASSERT_TRUE(adapter.dev->open());
  ASSERT_TRUE(adapter.dev->mc().add(kWantedGroup));
  ASSERT_NO_FATAL_FAILURE(bring_about(GetParam().mode));
  ASSERT_TRUE(adapter.settled());
  EXPECT_EQ(adapter.hears(GetParam().address), GetParam().comes);
}

INSTANTIATE_TEST_SUITE_P(Rtl8150, Reception, ::testing::ValuesIn(cells()), [](const auto& info) {
  return std::string(info.param.mode_name) + "_" + info.param.address_name;
});

}  // namespace
}  // namespace usernic::rtl8150
