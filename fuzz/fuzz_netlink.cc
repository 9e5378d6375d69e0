// SPDX-License-Identifier: Apache-2.0 OR MIT
// Netlink messages with whatever lengths they claim, read by the host's parsers up to a page that cannot be read, and
// their events and pictures given to a mirror: its wishes are orderly, and in the end those of the last picture.
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <set>

#include "fuzz/input.h"
#include "host/event_socket.h"
#include "host/picture_reader.h"
#include "host/rtnetlink.h"

namespace usernic::fuzz {
namespace {

constexpr int kIfindex = 3;
constexpr uint16_t kTypes[] = {RTM_NEWLINK, RTM_DELLINK, RTM_NEWNEIGH, RTM_DELNEIGH, 56, 57};

template <class T>
void append(std::vector<uint8_t>& to, const T& value) {
  const auto* octets = reinterpret_cast<const uint8_t*>(&value);
  to.insert(to.end(), octets, octets + sizeof value);
}

// One message: of a header that fits, attributes, and lengths that are true unless the input says otherwise.
void append_message(std::vector<uint8_t>& datagram, Input& input) {
  std::vector<uint8_t> body;
  nlmsghdr header{.nlmsg_type = kTypes[input.below(std::size(kTypes))]};
  const uint8_t liar = input.number();
  if (header.nlmsg_type <= RTM_DELLINK) {
    append(body, ifinfomsg{.ifi_index = kIfindex, .ifi_flags = input.number<uint16_t>()});
  } else if (header.nlmsg_type <= RTM_DELNEIGH) {
    append(body, ndmsg{.ndm_family = PF_BRIDGE, .ndm_ifindex = kIfindex, .ndm_flags = NTF_SELF});
  } else {
    append(body, ifaddrmsg{.ifa_family = AF_INET, .ifa_index = kIfindex});
  }
  for (int i = input.below(6); i > 0; --i) {
    nlattr attribute{.nla_type = input.number()};
    const auto value = input.take(input.below(24));
    attribute.nla_len = (liar & 1) != 0 ? input.number<uint16_t>() : static_cast<uint16_t>(NLA_HDRLEN + value.size());
    append(body, attribute);
    body.insert(body.end(), value.begin(), value.end());
    body.resize(NLMSG_ALIGN(body.size()));
  }
  if ((liar & 2) != 0) body.resize(std::min<size_t>(body.size(), input.number()));
  header.nlmsg_len = (liar & 4) != 0 ? input.number<uint32_t>() : static_cast<uint32_t>(sizeof header + body.size());
  append(datagram, header);
  datagram.insert(datagram.end(), body.begin(), body.end());
  datagram.resize(NLMSG_ALIGN(datagram.size()));
}

// The datagram at the end of its memory: who reads on, instrumented or not, faults.
std::span<const uint8_t> fenced(const std::vector<uint8_t>& datagram) {
  constexpr size_t kBytes = 1 << 16, kPage = 1 << 12;
  static uint8_t* const memory = [] {
    void* const at = ::mmap(nullptr, kBytes + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(at != MAP_FAILED && ::mprotect(static_cast<uint8_t*>(at) + kBytes, kPage, PROT_NONE) == 0, "no memory");
    return static_cast<uint8_t*>(at);
  }();
  must(datagram.size() <= kBytes, "a datagram is larger than the memory for it");
  std::copy(datagram.begin(), datagram.end(), memory + kBytes - datagram.size());
  return {memory + kBytes - datagram.size(), datagram.size()};
}

class Follower {
 public:
  void events(std::span<const uint8_t> datagram) {
    for_each_message(datagram, [this](const nlmsghdr& message) {
      if (const auto event = parse_event(message, kIfindex)) {
        mentioned_.insert(event->address);
        mirror_.on_event(*event, now_);
      }
    });
  }
  void picture(std::span<const uint8_t> datagram) {
    HostPicture picture{.begun = now_};
    bool linked = false;
    picture.whole = for_each_message(datagram, [&](const nlmsghdr& message) {
      if (const auto address = parse_list_entry(message, kIfindex)) picture.addresses.push_back(*address);
      const auto link = parse_link(message, kIfindex);
      if (!link) return;
      picture.after = *link;
      if (!std::exchange(linked, true)) picture.before = *link;
    });
    picture.ended = now_ + std::chrono::microseconds(50);
    picture.uc_empty = std::ranges::all_of(picture.addresses, &MacAddress::is_multicast);
    if (!linked) return mirror_.on_picture_failed(picture.begun, picture.ended);
    mentioned_.insert(picture.addresses.begin(), picture.addresses.end());
    mirror_.on_picture(last_ = picture);
  }
  void pass(Duration time) { now_ += time; }
  void lose() { mirror_.on_event({HostEvent::Kind::kEventsLost, {}}, now_); }

  void take() {
    const HostWishes wishes = mirror_.take_wishes();
    note(wishes.add_unicast, wishes.add_multicast, [this](const MacAddress& address) {
      must(!address.is_zero() && !address.is_broadcast(), "an address is wished for that always or never comes");
      must(mentioned_.contains(address), "an address is wished for that nobody mentioned");
      must(wished_.insert(address).second, "an address is wished for twice");
    });
    note(wishes.del_unicast, wishes.del_multicast, [this](const MacAddress& address) {
      must(wished_.erase(address) == 1, "an address is taken back that was not wished for");
    });
    must(!wishes.known || !wished_.contains(wishes.link.address), "the own address is wished for");
    must(!wishes.gone || wished_.empty(), "something is wished for of a link that is gone");
    must(mirror_.address_count() <= mentioned_.size(), "the mirror has more addresses than it heard of");
    gone_ = wishes.gone, promiscuous_ = wishes.promiscuous, carrier_ = wishes.link.carrier;
    must(wishes.link.up || !carrier_ || gone_, "a carrier is believed of an interface that is down");
  }

  // Nothing changes any more: the wishes are what the last picture shows.
  void settle() {
    last_.whole = last_.after.up = true;
    last_.before = last_.after;
    for (int i = 0; i < 4; ++i) {
      now_ = std::max(now_, mirror_.next_picture() == kForever ? now_ : mirror_.next_picture());
      last_.begun = now_ += std::chrono::microseconds(1);
      last_.ended = now_ += std::chrono::microseconds(1);
      mirror_.on_picture(last_);
    }
    take();
    if (gone_) return must(mirror_.next_picture() == kForever, "a link that is gone is looked at");
    std::set<MacAddress> wanted;
    for (const MacAddress& address : last_.addresses) {
      if (!address.is_zero() && !address.is_broadcast() && address != last_.after.address) wanted.insert(address);
    }
    must(wished_ == wanted, "what is wished for is not what the kernel has");
    must(carrier_ == last_.after.carrier, "the carrier is not the kernel's");
    must(promiscuous_ == (last_.after.promiscuity > (last_.uc_empty == false ? 1 : 0)),
         "promiscuity is not the kernel's");
    must(mirror_.next_picture() > now_, "a calm link is looked at without a pause");
  }

 private:
  template <class Take>
  void note(const std::vector<MacAddress>& unicast, const std::vector<MacAddress>& multicast, Take&& take) {
    must(std::ranges::is_sorted(unicast) && std::ranges::is_sorted(multicast), "wishes are not sorted");
    must(std::ranges::none_of(unicast, &MacAddress::is_multicast), "a multicast among the unicast wishes");
    must(std::ranges::all_of(multicast, &MacAddress::is_multicast), "a unicast among the multicast wishes");
    std::ranges::for_each(unicast, take);
    std::ranges::for_each(multicast, take);
  }

  Mirror mirror_;
  Time now_{std::chrono::hours(1)};
  HostPicture last_;
  std::set<MacAddress> mentioned_, wished_;
  bool gone_ = false, promiscuous_ = false;
  std::optional<bool> carrier_;
};

}  // namespace
}  // namespace usernic::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace usernic::fuzz;
  Input input(data, size);
  Follower follower;
  while (!input.empty()) {
    const uint32_t op = input.below(5);
    if (op == 0) follower.take();
    if (op == 1) follower.pass(std::chrono::microseconds(input.number<uint16_t>()));
    if (op == 2) follower.lose();
    if (op < 3) continue;
    std::vector<uint8_t> datagram;
    for (uint32_t i = input.below(16); i > 0; --i) append_message(datagram, input);
    op == 3 ? follower.events(fenced(datagram)) : follower.picture(fenced(datagram));
  }
  follower.settle();
  return 0;
}
