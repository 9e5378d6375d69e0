// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/tap.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "host/interface_kind.h"
#include "host/rtnetlink.h"
#include "usernic/refusal.h"

namespace usernic {

namespace {

constexpr char kDevice[] = "/dev/net/tun";
constexpr unsigned kUso4 = 0x20, kUso6 = 0x40;  // TUN_F_USO4, 6: newer than the headers of Debian 12

HostError cannot_open(int error) {
  const auto sentence = [&](std::string_view help) {
    return fmt::format("cannot open {}: {}; {}", kDevice, std::strerror(error), help);
  };
  switch (error) {
    case EACCES:
    case EPERM:
      return {std::errc::permission_denied, sentence("as root, run: chmod 0666 /dev/net/tun")};
    case ENOENT:
      return {std::errc::no_such_file_or_directory,
              sentence("as root, run: modprobe tun; if it is still missing: mkdir -p /dev/net && "
                       "mknod -m 0666 /dev/net/tun c 10 200")};
    case ENODEV:
    case ENXIO:
      return {std::errc::no_such_device,
              sentence("this kernel has no TUN/TAP driver loaded; as root, run: modprobe tun")};
    default: {
      const auto other = static_cast<std::errc>(error);
      return {other, fmt::format("cannot open {}, to show a NIC to the kernel: {}", kDevice, refusal(other))};
    }
  }
}

HostError cannot_create(int error, const std::string& name) {
  switch (error) {
    case EPERM:
      return {std::errc::operation_not_permitted,
              fmt::format("cannot make interface \"{}\": that needs root, or a user namespace of one's own", name)};
    default:
      return {static_cast<std::errc>(error),
              fmt::format("cannot make interface \"{}\": {}", name, refusal(static_cast<std::errc>(error)))};
  }
}

// Why the TAP that we would attach to cannot be had.
HostError in_use(int error, const std::string& name, uint16_t queues) {
  const std::string kind = kind_of_interface(name);
  const auto by = [&]() -> std::string {
    if (error == EBUSY) return "a TAP that another program has open";
    if (error == EPERM) return "a TAP of another user";
    if (kind == "tun") return "a TUN, which has no Ethernet frames";
    if (kind == "tap" && queues == 1) {
      return "a TAP of several queues, and the NIC has one TX queue: one that is made without multi_queue would fit";
    }
    if (kind == "tap") {
      return fmt::format(
          "a TAP of one queue, and the NIC has {} TX queues: one that is made with multi_queue would fit", queues);
    }
    return kind.empty() ? "an interface that is no TAP" : fmt::format("a {}, which is no TAP", kind);
  };
  return {std::errc::device_or_resource_busy,
          fmt::format("cannot make interface \"{}\": the name is in use in that network namespace, by {}", name, by())};
}

// How many queues of the TAP are in somebody's hands; 0: it cannot be told.
uint32_t queues_in_use(const NetNamespace& netns, const std::string& name) {
  auto rtnetlink = Rtnetlink::open(netns);
  if (!rtnetlink) return 0;
  const HostResult<int> ifindex = rtnetlink->ifindex(name);
  return ifindex ? rtnetlink->tun_queues(*ifindex).value_or(0) : 0;
}

}  // namespace

HostResult<Tap> Tap::create(const NetNamespace& netns, const std::string& name, uint16_t queues) {
  if (const std::string wrong = wrong_interface_name(name); !wrong.empty()) return host_fail(EINVAL, wrong);
  std::vector<TapQueue> made;
  made.reserve(queues);
  bool persistent = false;
  std::optional<HostError> failed;
  const int kind = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (queues > 1 ? IFF_MULTI_QUEUE : 0);
  const auto attach = [&](int flags) {
    ifreq request{};
    request.ifr_flags = static_cast<short>(kind | flags);
    std::memcpy(request.ifr_name, name.data(), name.size());
    return ::ioctl(made.back().fd(), TUNSETIFF, &request) == 0;
  };
  const HostResult<> ran = netns.run([&] {
    while (made.size() < queues) {
      // A TAP belongs to the namespace of the thread that opens the device.
      UniqueFd fd(::open(kDevice, O_RDWR | O_CLOEXEC | O_NONBLOCK));
      if (!fd) {
        failed = cannot_open(errno);
        return;
      }
      const bool first = made.empty();
      made.emplace_back(std::move(fd));
      if (attach(first ? IFF_TUN_EXCL : 0)) continue;
      if (!first || (errno != EBUSY && errno != EEXIST)) {
        failed = cannot_create(errno, name);
        return;
      }
      persistent = true;
      // Attached to it, we would have changed it under the feet of who has it, and have a part of its frames.
      if (queues > 1 && queues_in_use(netns, name) != 0) {
        failed = in_use(EBUSY, name, queues);
        return;
      }
      if (!attach(0)) {
        failed = in_use(errno, name, queues);
        return;
      }
    }
    // One of several queues lets others in beside us, at any time.
    if (persistent && queues > 1 && queues_in_use(netns, name) > queues) {
      failed = in_use(EBUSY, name, queues);
      return;
    }
    const int fd = made.front().fd();
    int header = sizeof(VnetHeader);  // of a persistent one somebody may have had another
    if (::ioctl(fd, TUNSETVNETHDRSZ, &header) != 0) failed = cannot_create(errno, name);
    const int without = 0;
    if (::ioctl(fd, TUNSETCARRIER, &without) != 0) failed = cannot_create(errno, name);
  });
  if (!ran) return std::unexpected(ran.error());
  if (failed) return std::unexpected(*failed);
  return Tap(std::move(made), name, persistent);
}

Features Tap::take_superframes(Features kinds) noexcept {
  constexpr Features kUdp{Feature::kUso};
  const auto flag = [kinds](Feature kind, unsigned flags) { return kinds.has(kind) ? flags : 0u; };
  const unsigned what = TUN_F_CSUM | flag(Feature::kTso4, TUN_F_TSO4) | flag(Feature::kTso6, TUN_F_TSO6) |
                        flag(Feature::kTsoEcn, TUN_F_TSO_ECN) | flag(Feature::kUso, kUso4 | kUso6);
  if (::ioctl(fd(), TUNSETOFFLOAD, what) == 0) return kinds;
  return kinds.has(Feature::kUso) ? take_superframes(kinds.without(kUdp)) : Features();
}

void Tap::take_nothing_offloaded() noexcept {
  (void)::ioctl(fd(), TUNSETOFFLOAD, 0);
}

Result<std::string> Tap::name_now() const {
  ifreq request{};
  if (::ioctl(fd(), TUNGETIFF, &request) != 0) return fail(static_cast<std::errc>(errno));
  return std::string(request.ifr_name, ::strnlen(request.ifr_name, IFNAMSIZ));
}

HostResult<NetNamespace> Tap::netns_now() const {
  UniqueFd netns(::ioctl(fd(), TUNGETDEVNETNS));
  if (!netns) return host_fail(errno, fmt::format("cannot tell its network namespace: {}", std::strerror(errno)));
  return NetNamespace::adopt(std::move(netns));
}

Result<> Tap::set_carrier(bool on) noexcept {
  int carrier = on ? 1 : 0;
  if (::ioctl(fd(), TUNSETCARRIER, &carrier) != 0) return fail(static_cast<std::errc>(errno));
  return {};
}

}  // namespace usernic
