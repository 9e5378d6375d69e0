// SPDX-License-Identifier: Apache-2.0 OR MIT
// What bench_data_path compares with: two TAPs and one thread that carries frames between them, as simply as it can be
// done.
//
//   tap_loop bare NETNS NETNS        reads one frame, writes one
//   tap_loop segmenting NETNS NETNS  takes superframes, cuts them to the MTU, checks each segment and merges them again
//   tap_loop passing NETNS NETNS     takes superframes, and passes them on
//
// The interfaces are "tap0" in either namespace, each given as a path; "ready" is said when they are there.
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "bus/netif/vnet_header.h"
#include "core/frame/coalesce.h"
#include "core/frame/segment.h"

namespace usernic {
namespace {

constexpr uint32_t kFrameMax = 1518, kSuperMax = 65'600, kReadsAtOnce = 64;

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::exit(1);
}

int make_tap(const char* netns, bool superframes) {
  const int ns = ::open(netns, O_RDONLY | O_CLOEXEC);
  if (ns < 0 || ::setns(ns, CLONE_NEWNET) != 0) give_up(netns);
  ::close(ns);
  const int tap = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ifreq request{};
  std::strcpy(request.ifr_name, "tap0");
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | (superframes ? IFF_VNET_HDR : 0));
  if (tap < 0 || ::ioctl(tap, TUNSETIFF, &request) != 0) give_up("tap0");
  const unsigned long tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN, udp = 0x60;  // TUN_F_USO4, 6
  if (superframes && ::ioctl(tap, TUNSETOFFLOAD, tcp | udp) != 0 && ::ioctl(tap, TUNSETOFFLOAD, tcp) != 0) {
    give_up("TUNSETOFFLOAD");
  }
  return tap;
}

// One turn: what there is on `from`, to `to`.
class Loop {
 public:
  virtual ~Loop() = default;
  virtual void carry(int from, int to) = 0;
};

class Passing final : public Loop {
 public:
  void carry(int from, int to) override {
    for (uint32_t i = 0; i < kReadsAtOnce; ++i) {
      const ssize_t size = ::read(from, frame_.data(), frame_.size());
      if (size <= 0) return;
      (void)!::write(to, frame_.data(), static_cast<size_t>(size));
    }
  }

 private:
  std::array<uint8_t, kSuperMax> frame_;
};

class Segmenting final : public Loop {
 public:
  void carry(int from, int to) override {
    for (uint32_t i = 0; i < kReadsAtOnce; ++i) {
      Skb& super = *supers_.alloc();
      VnetHeader header;
      const iovec parts[] = {{&header, sizeof header}, {super.data(), kSuperMax}};
      const ssize_t size = ::readv(from, parts, 2);
      if (size <= 0) return SkbPool::free(super);
      super.put(static_cast<uint32_t>(size) - sizeof header);
      const auto offload = offload_of(header, super.bytes());
      if (offload) super.set_offload(*offload);
      SkbBatch frames;
      cut(super, frames);
      Coalescer(kSegmentation).merge(frames);
      for (const Skb* skb = frames.front(); skb != nullptr; skb = Skb::chain_next(*skb)) write(to, *skb);
    }
  }

 private:
  void cut(Skb& super, SkbBatch& frames) {
    auto segmenter = super.offload().superframe() ? Segmenter::of(super) : std::nullopt;
    if (!segmenter) {
      if (super.offload().sum == FrameSum::kNeeded) (void)complete_sum(super);
      return frames.push_back(super);
    }
    SkbBatch buffers;
    frames_.alloc(buffers, segmenter->segments());
    (void)segmenter->cut(buffers, frames, SegmentSums::kBySegment);
    SkbPool::free(super);
  }
  static void write(int to, const Skb& skb) {
    VnetHeader header = vnet_header(skb);
    std::array<iovec, 80> parts{{{&header, sizeof header}, {const_cast<uint8_t*>(skb.data()), skb.size()}}};
    int count = 2;
    for (const Skb* part = skb.chain(); part != nullptr; part = Skb::chain_next(*part)) {
      parts[static_cast<size_t>(count++)] = {const_cast<uint8_t*>(part->data()), part->size()};
    }
    (void)!::writev(to, parts.data(), count);
  }
  SkbPool frames_{2048, kFrameMax};
  SkbPool supers_{4, kSuperMax, &frames_};
};

int run(int argc, char** argv) {
  const std::string_view mode = argc == 4 ? argv[1] : "";
  if (mode != "bare" && mode != "segmenting" && mode != "passing") {
    std::fputs("tap_loop bare|segmenting|passing NETNS NETNS\n", stderr);
    return 2;
  }
  const int taps[] = {make_tap(argv[2], mode != "bare"), make_tap(argv[3], mode != "bare")};
  Passing passing;
  Segmenting segmenting;
  Loop& loop = mode == "segmenting" ? static_cast<Loop&>(segmenting) : passing;
  std::puts("ready");
  std::fflush(stdout);
  pollfd ready[] = {{taps[0], POLLIN, 0}, {taps[1], POLLIN, 0}};
  while (::poll(ready, 2, -1) > 0) {
    if ((ready[0].revents & POLLIN) != 0) loop.carry(taps[0], taps[1]);
    if ((ready[1].revents & POLLIN) != 0) loop.carry(taps[1], taps[0]);
  }
  return 0;
}

}  // namespace
}  // namespace usernic

int main(int argc, char** argv) {
  return usernic::run(argc, argv);
}
