// SPDX-License-Identifier: Apache-2.0 OR MIT
// usbnet: for tests of every driver: what comes up, for every kind of address in every mode, with and without a VLAN
// tag, by frames through the adapter's cable.
#pragma once

#include <cstdint>

#include "bus/usbnet/nic_fixture.h"

namespace usernic::usb {

enum class Reception : uint8_t { kPlain, kWithUnicast, kPromisc, kAllmulti, kOverflow, kAfterReset, kAfterReplug };
inline constexpr Reception kReceptions[] = {Reception::kPlain,      Reception::kWithUnicast, Reception::kPromisc,
                                            Reception::kAllmulti,   Reception::kOverflow,    Reception::kAfterReset,
                                            Reception::kAfterReplug};
constexpr const char* name_of(Reception mode) {
  constexpr const char* kNames[] = {"Plain",    "WithUnicast", "Promisc",    "Allmulti",
                                    "Overflow", "AfterReset",  "AfterReplug"};
  return kNames[static_cast<size_t>(mode)];
}
inline void PrintTo(Reception mode, std::ostream* out) {
  *out << name_of(mode);
}

template <class Fixture>
void bring_about(Fixture& adapter, Reception mode) {
  switch (mode) {
    case Reception::kPlain:
      return;
    case Reception::kWithUnicast:
      ASSERT_TRUE(adapter.dev->uc().add(unicast(1)));
      return;
    case Reception::kPromisc:
      ASSERT_TRUE(adapter.dev->rx_mode().set_promiscuity(1));
      return;
    case Reception::kAllmulti:
      ASSERT_TRUE(adapter.dev->rx_mode().set_allmulti(1));
      return;
    case Reception::kOverflow:
      for (uint64_t n = 2; n <= Fixture::kOverflow; ++n) ASSERT_TRUE(adapter.dev->mc().add(multicast(n)));
      return;
    case Reception::kAfterReset:
      ASSERT_TRUE(adapter.dev->close() && adapter.dev->open());
      return;
    case Reception::kAfterReplug:
      adapter.plug->unplug();
      ASSERT_TRUE(eventually([&] { return !adapter.dev->present(); }));
      adapter.plug->plug();
      ASSERT_TRUE(adapter.back());
      return;
  }
}

// Besides the own address.
enum class UnicastFilter : bool { kNone, kThere };

// `foreign`: a group that nobody wants and that is told apart from the wanted one, where groups are told apart.
// `allmulti_in(mode)`: are groups not told apart in a mode that is not promiscuous?
template <class Fixture, class AllmultiIn>
void receives_as_wanted(Fixture& adapter, Reception mode, const MacAddress& foreign, AllmultiIn&& allmulti_in,
                        UnicastFilter filter = UnicastFilter::kNone) {
  ASSERT_TRUE(adapter.probe());
  ASSERT_TRUE(adapter.dev->open());
  ASSERT_TRUE(adapter.dev->mc().add(multicast(1)));
  ASSERT_NO_FATAL_FAILURE(bring_about(adapter, mode));
  ASSERT_TRUE(adapter.settled());
  const bool wanted = mode == Reception::kWithUnicast;
  const bool promisc = mode == Reception::kPromisc || (wanted && filter == UnicastFilter::kNone);
  const struct {
    const char* name;
    MacAddress address;
    bool comes;
  } rows[] = {
      {"own", adapter.dev->address(), true},
      {"broadcast", kBroadcast, true},
      {"wanted unicast", unicast(1), promisc || wanted},
      {"foreign unicast", unicast(2), promisc},
      {"wanted group", multicast(1), true},
      {"foreign group", foreign, promisc || allmulti_in(mode)},
  };
  for (const auto& row : rows) {
    for (const bool tagged : {false, true}) {
      EXPECT_EQ(adapter.hears(row.address, tagged), row.comes) << row.name << (tagged ? ", tagged" : "");
    }
  }
}

}  // namespace usernic::usb
