// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/tap.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cctype>
#include <cerrno>
#include <cstring>
#include <optional>

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

// What has that name here, as its driver calls itself; "" where it does not.
std::string kind_of(const std::string& name) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_drvinfo info{.cmd = ETHTOOL_GDRVINFO};
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_data = reinterpret_cast<char*>(&info);
  if (!socket || ::ioctl(socket.get(), SIOCETHTOOL, &request) != 0) return "";
  const bool of_tun = std::strcmp(info.driver, "tun") == 0;  // TUN or TAP: that is in place of a bus
  const char* const kind = of_tun ? info.bus_info : info.driver;
  return std::string(kind, ::strnlen(kind, sizeof info.driver));
}

// Why the TAP that we would attach to cannot be had.
HostError in_use(int error, const std::string& name) {
  const std::string kind = kind_of(name);
  const auto by = [&]() -> std::string {
    if (error == EBUSY) return "a TAP that another program has open";
    if (error == EPERM) return "a TAP of another user";
    if (kind == "tun") return "a TUN, which has no Ethernet frames";
    if (kind == "tap") return "a TAP of several queues";
    return kind.empty() ? "an interface that is no TAP" : fmt::format("a {}, which is no TAP", kind);
  };
  return {std::errc::device_or_resource_busy,
          fmt::format("cannot make interface \"{}\": the name is in use in that network namespace, by {}", name, by())};
}

// [kernel: dev_valid_name; TUN also expands "%d"]
bool is_interface_name(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ || name == "." || name == "..") return false;
  for (char c : name) {
    if (c == '/' || c == ':' || c == '%' || std::isspace(static_cast<unsigned char>(c)) || c == '\0') return false;
  }
  return true;
}

}  // namespace

HostResult<Tap> Tap::create(const NetNamespace& netns, const std::string& name) {
  if (!is_interface_name(name)) {
    return host_fail(EINVAL, fmt::format("\"{}\" is not a name of an interface: 1 to 15 characters, "
                                         "none of them '/', ':', '%' or white space",
                                         name));
  }
  UniqueFd fd;
  bool persistent = false;
  std::optional<HostError> failed;
  const HostResult<> ran = netns.run([&] {
    // A TAP belongs to the namespace of the thread that opens the device.
    fd.reset(::open(kDevice, O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (!fd) {
      failed = cannot_open(errno);
      return;
    }
    ifreq request{};
    request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL);
    std::memcpy(request.ifr_name, name.data(), name.size());
    if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) {
      if (errno != EBUSY && errno != EEXIST) {
        failed = cannot_create(errno, name);
        return;
      }
      persistent = true;
      request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
      if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) {
        failed = in_use(errno, name);
        return;
      }
    }
    int header = sizeof(VnetHeader);  // of a persistent one somebody may have had another
    if (::ioctl(fd.get(), TUNSETVNETHDRSZ, &header) != 0) failed = cannot_create(errno, name);
    const int without = 0;
    if (::ioctl(fd.get(), TUNSETCARRIER, &without) != 0) failed = cannot_create(errno, name);
  });
  if (!ran) return std::unexpected(ran.error());
  if (failed) return std::unexpected(*failed);
  return Tap(std::move(fd), name, persistent);
}

Features Tap::take_superframes(Features kinds) noexcept {
  constexpr Features kUdp{Feature::kUso};
  const auto flag = [kinds](Feature kind, unsigned flags) { return kinds.has(kind) ? flags : 0u; };
  const unsigned what = TUN_F_CSUM | flag(Feature::kTso4, TUN_F_TSO4) | flag(Feature::kTso6, TUN_F_TSO6) |
                        flag(Feature::kTsoEcn, TUN_F_TSO_ECN) | flag(Feature::kUso, kUso4 | kUso6);
  if (::ioctl(fd_.get(), TUNSETOFFLOAD, what) == 0) return kinds;
  return kinds.has(Feature::kUso) ? take_superframes(kinds.without(kUdp)) : Features();
}

void Tap::take_nothing_offloaded() noexcept {
  (void)::ioctl(fd_.get(), TUNSETOFFLOAD, 0);
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // the descriptor is non-blocking: one bounded system call
    Result<size_t>
    Tap::read(std::span<uint8_t> buffer) noexcept {
  VnetHeader header;
  const iovec parts[] = {{&header, sizeof header}, {buffer.data(), buffer.size()}};
  return read(parts);
}

Result<size_t> Tap::read(std::span<const iovec> parts) noexcept {
  for (;;) {
    const ssize_t n = ::readv(fd_.get(), parts.data(), static_cast<int>(parts.size()));
    if (n >= 0 || errno != EINTR) return read_result(n >= 0 ? n : -errno);
  }
}

Result<size_t> Tap::read_result(ssize_t result) noexcept {
  if (result < 0) return fail(static_cast<std::errc>(-result));
  if (result < static_cast<ssize_t>(sizeof(VnetHeader))) return fail(std::errc::io_error);
  return static_cast<size_t>(result) - sizeof(VnetHeader);
}

Result<> Tap::write(std::span<const uint8_t> frame) noexcept {
  VnetHeader header;
  const iovec parts[] = {{&header, sizeof header}, {const_cast<uint8_t*>(frame.data()), frame.size()}};
  return write(parts);
}

Result<> Tap::write(std::span<const iovec> parts) noexcept {
  for (;;) {
    if (::writev(fd_.get(), parts.data(), static_cast<int>(parts.size())) >= 0) return {};
    if (errno != EINTR) return fail(static_cast<std::errc>(errno));
  }
}
USERNIC_BLOCKING_BY_DESIGN_END

Result<std::string> Tap::name_now() const {
  ifreq request{};
  if (::ioctl(fd_.get(), TUNGETIFF, &request) != 0) return fail(static_cast<std::errc>(errno));
  return std::string(request.ifr_name, ::strnlen(request.ifr_name, IFNAMSIZ));
}

HostResult<NetNamespace> Tap::netns_now() const {
  UniqueFd netns(::ioctl(fd_.get(), TUNGETDEVNETNS));
  if (!netns) return host_fail(errno, fmt::format("cannot tell its network namespace: {}", std::strerror(errno)));
  return NetNamespace::adopt(std::move(netns));
}

Result<> Tap::set_carrier(bool on) noexcept {
  int carrier = on ? 1 : 0;
  if (::ioctl(fd_.get(), TUNSETCARRIER, &carrier) != 0) return fail(static_cast<std::errc>(errno));
  return {};
}

}  // namespace usernic
