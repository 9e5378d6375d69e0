// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: one port's kernel side: what the loop's thread does for it.
//
//   events, pictures --> mirror --> address lists, promiscuity, allmulti        (never waits for a card)
//                               --> wishes --> the device, on a queue           (device_wishes.h: newest wins)
//   <-- answers, the device's own changes --> the interface, by rtnetlink, its carrier by ioctl
//
// It goes where the interface goes: home, another namespace, out of reach, gone.
//
// Locks: none; all but the counters, `look` and `refused` belongs to the loop's thread, or to who joined or left it.
// Errors: HostError, with a sentence.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "host/device_wishes.h"
#include "host/follow.h"
#include "host/fresh_look.h"
#include "host/host_loop.h"
#include "host/host_port.h"
#include "host/interface_name.h"
#include "host/kernel_end.h"
#include "host/link_watch.h"
#include "host/mirror.h"
#include "host/netns_watch.h"
#include "host/picture_reader.h"
#include "usernic/kick.h"

namespace usernic {

class KernelFollower final : public HostLoop::Client, public NetnsWatch::Port {
 public:
  // `changed` brings a turn. All of them outlive it.
  KernelFollower(NetDevice& dev, const HostPortConfig& config, HostLoop& loop, KernelEnd& end, InterfaceName& name,
                 Kick& changed);
  // Requires: left.
  ~KernelFollower() = default;

  // The loop's thread: makes the interface as the device is, but for what `made` has heard of others' wishes since it
  // was made, and follows from then on.
  HostResult<> join(const NetNamespace& home, LinkWatch& made);
  // The loop's thread: no turn comes any more, and who waits for a look is told.
  void leave() noexcept;
  // What the device was told is taken back. Requires: left. Context: process, no locks; waits for the driver's answer
  // to its last wish, after asking it to stop.
  void undo();
  // The loop's thread: an interface that was there before looks as it was found, and the namespace is let go.
  // Requires: left.
  void finish();

  // The loop's thread. Where its interface is, if that ends with the port. Requires: left.
  NetnsWatch* deletable_in() const noexcept { return found_ ? nullptr : watch_.get(); }

  FreshLook& look() noexcept { return look_; }
  std::optional<RefusedWish> refused() const { return wishes_.refused(); }

  // Written by the loop's thread, read by anybody.
  struct Counters {
    Atomic<uint64_t> pictures{0}, pictures_failed{0}, events{0}, last_picture_us{0};
    Atomic<int> ifindex{0};
    Atomic<Whereabouts> whereabouts{Whereabouts::kHome};
    Atomic<uint64_t> netns{0};
    Atomic<bool> joins_are_announced{false};
  };
  const Counters& counters() const noexcept { return counters_; }

 private:
  Time turn() noexcept override;
  void on_event(const HostEvent& event) noexcept override;
  bool is_news(const InterfaceView& view) const noexcept override;
  NetnsWatch::Cost look_soon() noexcept override;

  HostResult<> as_the_device(LinkWatch& made);
  void follow_kernel();
  Time next_picture() const { return look_again_ == kForever ? mirror_.next_picture() : kForever; }
  void take_picture();
  void look_for_interface();
  HostResult<> enter(const NetNamespace& netns, const std::string& interface);
  void leave_watch() noexcept;
  void start_again();
  void out_of_reach(const std::string& why);
  void set_whereabouts(Whereabouts whereabouts, const std::string& what);
  void carry_out(const HostWishes& wishes);
  void change_lists(const HostWishes& wishes);
  void follow(const HostLink& link);
  template <class T, class TellDevice, class TellKernel>
  void follow_one(Followed<T>& followed, bool answered, const std::optional<std::type_identity_t<T>>& kernel,
                  const T& device, TellDevice tell_device, TellKernel tell_kernel);
  void follow_carrier(std::optional<bool> kernel);

  NetDevice& dev_;
  const HostPortConfig& config_;
  HostLoop& loop_;
  KernelEnd& end_;
  InterfaceName& name_;
  Kick& changed_;
  Counters counters_;
  FreshLook look_;
  DeviceWishes wishes_;

  uint64_t home_ = 0;
  std::shared_ptr<NetnsWatch> watch_;  // of where it is; none where it cannot be followed, or is gone
  std::optional<PictureReader> pictures_;

  // How a persistent TAP was found, and what we have added to it.
  std::optional<HostLink> found_;
  std::vector<std::string> added_;

  Mirror mirror_{Mirror::kNoAudit};
  Followed<bool> up_;
  Followed<uint32_t> mtu_;
  Followed<MacAddress> address_;
  Followed<bool> carrier_{false};
  bool renamed_ = false;        // perhaps
  bool lost_ = false;           // the interface is not where it was
  Time look_again_ = kForever;  // for one that is out of reach
  bool link_is_fresh_ = false;  // the mirror's LINK is younger than what we told the kernel last
  bool promiscuous_ = false;
  bool allmulti_ = false;
};

}  // namespace usernic
// Explained best by: host/host_port_test.cc
