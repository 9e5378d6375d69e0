// SPDX-License-Identifier: Apache-2.0
#include "host/tap.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <cctype>
#include <cerrno>
#include <cstring>
#include <optional>

#include "usernic/refusal.h"

namespace usernic {

namespace {

constexpr char kDevice[] = "/dev/net/tun";

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
    case EBUSY:
    case EEXIST:
      return {std::errc::device_or_resource_busy,
              fmt::format("cannot make interface \"{}\": the name is in use in that network namespace", name)};
    case EPERM:
      return {std::errc::operation_not_permitted,
              fmt::format("cannot make interface \"{}\": that needs root, or a user namespace of one's own", name)};
    default:
      return {static_cast<std::errc>(error),
              fmt::format("cannot make interface \"{}\": {}", name, refusal(static_cast<std::errc>(error)))};
  }
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
  std::optional<HostError> failed;
  const HostResult<> ran = netns.run([&] {
    // A TAP belongs to the namespace of the thread that opens the device.
    fd.reset(::open(kDevice, O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (!fd) {
      failed = cannot_open(errno);
      return;
    }
    ifreq request{};
    request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL);
    std::memcpy(request.ifr_name, name.data(), name.size());
    if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) failed = cannot_create(errno, name);
  });
  if (!ran) return std::unexpected(ran.error());
  if (failed) return std::unexpected(*failed);
  return Tap(std::move(fd), name);
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // the descriptor is non-blocking: one bounded system call
    Result<size_t>
    Tap::read(std::span<uint8_t> buffer) noexcept {
  for (;;) {
    const ssize_t n = ::read(fd_.get(), buffer.data(), buffer.size());
    if (n >= 0) return static_cast<size_t>(n);
    if (errno != EINTR) return fail(static_cast<std::errc>(errno));
  }
}

Result<> Tap::write(std::span<const uint8_t> frame) noexcept {
  for (;;) {
    if (::write(fd_.get(), frame.data(), frame.size()) >= 0) return {};
    if (errno != EINTR) return fail(static_cast<std::errc>(errno));
  }
}
USERNIC_BLOCKING_BY_DESIGN_END

Result<> Tap::set_carrier(bool on) noexcept {
  int carrier = on ? 1 : 0;
  if (::ioctl(fd_.get(), TUNSETCARRIER, &carrier) != 0) return fail(static_cast<std::errc>(errno));
  return {};
}

}  // namespace usernic
