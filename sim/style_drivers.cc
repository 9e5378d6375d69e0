// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "sim/style_drivers.h"

#include <fmt/format.h>

#include <cerrno>

#include "sim/scheduler.h"
#include "usernic/rx_mode.h"
#include "usernic/work.h"

namespace usernic::sim {
namespace {

ImageDriver::RxModeImage condense(const RxLists& lists) noexcept {
  ImageDriver::RxModeImage image{
      .promisc = lists.promisc(), .allmulti = lists.allmulti(), .vlan_open = !lists.vlan_filter()};
  const auto take = [&image](RxLists::Range addresses) {
    for (const MacAddress address : addresses) image.addresses[image.count++] = address;
  };
  take(lists.unicast());
  if (!image.allmulti) take(lists.multicast());
  for (uint16_t id = 0; id < 8 && !image.vlan_open; ++id) image.vlans |= static_cast<uint16_t>(lists.vlan(id) << id);
  return image;
}

void write_all(Card& card, const ImageDriver::RxModeImage& image) {
  for (auto& each : card.exact) each.clear();
  card.vlans.clear();
  for (uint32_t i = 0; i < image.count; ++i) {
    card.exact[image.addresses[i].is_multicast()].insert(image.addresses[i]);
  }
  for (uint16_t id = 0; id < 8; ++id) {
    if ((image.vlans >> id & 1) != 0) card.vlans.insert(id);
  }
  card.promisc = image.promisc;
  card.allmulti = image.allmulti;
  card.vlan_open = image.vlan_open;
  ++card.version;
}

void note_image(const ImageDriver::RxModeImage& image, const char* how) {
  note([&] {
    return fmt::format("card: an image of {}, promisc {}, allmulti {}: {}", image.count, image.promisc, image.allmulti,
                       how);
  });
}

}  // namespace

Result<> ImageDriver::prepare_rx_mode(const RxLists& lists, RxModeImage& image) noexcept {
  check_callable("prepare_rx_mode");
  expect(current_context() == Context::kBhDisabled, "context", "prepare_rx_mode is called where it may sleep");
  point("prepare");
  image = condense(lists);
  image.addresses[image.count++] = lists.own_address();
  bool applied;
  if (card_.losses == 0 && card_.fails(applied)) {
    image.count /= 2;  // as far as it got
    return fail(std::errc::not_enough_memory);
  }
  if (image.promisc) {
    image.count = 0;  // everything passes
  } else if (image.count > card_.room() + 1 || card_.refuses()) {
    note_image(image, "no room");
    return fail(std::errc::no_space_on_device);
  }
  note_image(image, "prepared");
  return {};
}

Result<> ImageDriver::write_rx_mode(const RxModeImage& image) {
  might_sleep();
  const CardCall call(*this, "write_rx_mode");
  if (take_time(current_stop_token())) return fail(std::errc::operation_canceled);
  check_usable();
  point("bus");
  bool applied;
  const bool failed = card_.fails(applied);
  if (applied) write_all(card_, image);
  note_image(image, !failed ? "ok" : applied ? "done, but fails" : "fails");
  point("bus");
  return failed ? fail(std::errc::io_error) : Result<>();
}

void LegacyDriver::set_rx_mode(const RxLists& lists) noexcept {
  expect(current_context() == Context::kBhDisabled, "context", "set_rx_mode is called where it may sleep");
  const CardCall call(*this, "set_rx_mode");
  point("bus");
  const ImageDriver::RxModeImage image = condense(lists);
  write_all(card_, image);
  note_image(image, "ok");
  point("bus");
}

int KernelDriver::push(NetDevice* dev, const unsigned char* octets) {
  Card& card = card_of(dev);
  const MacAddress address = MacAddress::from_bytes(octets);
  point("bus");
  bool applied;
  if (card.fails(applied)) return -EIO;
  if (card.never_takes(address)) return -EOPNOTSUPP;
  if (card.exact[0].size() + card.exact[1].size() >= card.room() || card.refuses()) return -ENOSPC;
  card.exact[address.is_multicast()].insert(address);
  ++card.version;
  note([&] { return "card: +" + address.to_string(); });
  point("bus");
  return 0;
}

int KernelDriver::take_back(NetDevice* dev, const unsigned char* octets) {
  Card& card = card_of(dev);
  const MacAddress address = MacAddress::from_bytes(octets);
  point("bus");
  bool applied;
  if (card.fails(applied)) return -EIO;
  card.exact[address.is_multicast()].erase(address);
  ++card.version;
  note([&] { return "card: -" + address.to_string(); });
  point("bus");
  return 0;
}

int KernelDriver::set_rx_mode_async(NetDevice* dev, HwAddrList* uc, HwAddrList* mc) {
  might_sleep();
  const CardCall call(*this, "set_rx_mode_async");
  (void)take_time(current_stop_token());
  check_usable();
  const bool promisc = dev->rx_mode().promisc(), allmulti = dev->rx_mode().allmulti();
  point("bus");
  bool applied;
  if (card_.fails(applied)) return -EIO;
  card_.promisc = promisc;
  card_.allmulti = allmulti;
  ++card_.version;
  note([&] { return fmt::format("card: promisc {}, allmulti {}", promisc, allmulti); });
  const int uc_error = uc->sync_dev(dev, push, take_back);
  const int mc_error = mc->sync_dev(dev, push, take_back);
  return card_.one_in(2) ? 0 : uc_error != 0 ? uc_error : mc_error;  // many drivers drop it
}

}  // namespace usernic::sim
