// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/privileges.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "usernic/unique_fd.h"

namespace usernic::daemon {
namespace {

constexpr int kNeverCalled[] = {
    // programs, and other processes
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(kcmp),
    SCMP_SYS(pidfd_getfd),
    // the file tree
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(open_tree),
    SCMP_SYS(move_mount),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(fspick),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(quotactl),
    SCMP_SYS(quotactl_fd),
    SCMP_SYS(open_by_handle_at),
    // the kernel
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(syslog),
    SCMP_SYS(acct),
    SCMP_SYS(lookup_dcookie),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(keyctl),
    // the machine
    SCMP_SYS(reboot),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(vhangup),
#if !defined(__SANITIZE_ADDRESS__)  // which looks for leaks by tracing itself
    SCMP_SYS(ptrace),
#endif
};

bool write_file(const char* path, const std::string& text) {
  const UniqueFd file(::open(path, O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::string no_namespaces(int error) {
  return fmt::format(
      "cannot make a user namespace: {}; run usernic as root, or allow user namespaces (see "
      "/proc/sys/user/max_user_namespaces, and kernel.unprivileged_userns_clone or "
      "kernel.apparmor_restrict_unprivileged_userns where they exist)",
      error == ENOSPC ? "there are as many as the limit allows" : std::strerror(error));
}

}  // namespace

bool may_administer_network() {
  ::capng_get_caps_process();
  return ::capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN) == 1 &&
         ::capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN) == 1;
}

ctl::Outcome<> enter_own_namespaces() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWUSER) != 0) return ctl::refuse(no_namespaces(errno));
  // Without a map the process would be nobody; an ordinary user may map itself, and the group once setgroups is off.
  if (!write_file("/proc/self/uid_map", fmt::format("0 {} 1", uid)) || !write_file("/proc/self/setgroups", "deny") ||
      !write_file("/proc/self/gid_map", fmt::format("0 {} 1", gid)) || ::unshare(CLONE_NEWNET) != 0) {
    return ctl::refuse(no_namespaces(errno));
  }
  return {};
}

bool opens_without_override(const char* path) {
  ::capng_get_caps_process();
  if (::capng_have_capability(CAPNG_EFFECTIVE, CAP_DAC_OVERRIDE) == 1) {
    ::capng_update(CAPNG_DROP, CAPNG_EFFECTIVE, CAP_DAC_OVERRIDE);
    if (::capng_apply(CAPNG_SELECT_CAPS) != 0) return false;
  }
  return static_cast<bool>(UniqueFd(::open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK)));
}

ctl::Outcome<> drop_other_capabilities(PacketSockets packet_sockets) {
  ::capng_get_caps_process();
  // The bounding set can be reduced by who has CAP_SETPCAP; a container may have taken that away already.
  const bool bounds = ::capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) == 1;
  const auto has = [](unsigned capability) { return ::capng_have_capability(CAPNG_PERMITTED, capability) == 1; };
  const bool net_admin = has(CAP_NET_ADMIN), sys_admin = has(CAP_SYS_ADMIN);
  const bool net_raw = packet_sockets == PacketSockets::kSome && has(CAP_NET_RAW);
  ::capng_clear(CAPNG_SELECT_BOTH);
  constexpr auto kUsable = static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED);
  if (net_admin) ::capng_update(CAPNG_ADD, kUsable, CAP_NET_ADMIN);
  if (sys_admin) ::capng_update(CAPNG_ADD, kUsable, CAP_SYS_ADMIN);
  if (net_raw) ::capng_update(CAPNG_ADD, kUsable, CAP_NET_RAW);
  if ((bounds && ::capng_apply(CAPNG_SELECT_BOUNDS) != 0) || ::capng_apply(CAPNG_SELECT_CAPS) != 0) {
    return ctl::refuse(fmt::format("cannot give up capabilities: {}", std::strerror(errno)));
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return ctl::refuse(fmt::format("cannot give up what exec could add: {}", std::strerror(errno)));
  }
  return {};
}

ctl::Outcome<> deny_unneeded_calls() {
  const auto cannot = [](int error) {
    return ctl::refuse(fmt::format("cannot give up system calls: {}", std::strerror(error)));
  };
  const std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter(::seccomp_init(SCMP_ACT_ALLOW), ::seccomp_release);
  if (!filter) return cannot(ENOMEM);
  for (const int call : kNeverCalled) {
    const int added = ::seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), call, 0);
    if (added != 0 && added != -EDOM) return cannot(-added);  // EDOM: a machine that has no such call
  }
  const int loaded = ::seccomp_load(filter.get());
  return loaded == 0 ? ctl::Outcome<>() : cannot(-loaded);
}

}  // namespace usernic::daemon
