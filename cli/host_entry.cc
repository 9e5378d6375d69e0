// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/host_entry.h"

#include <fmt/format.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "ctl/client.h"

namespace usernic::cli {
namespace {

bool is_our_user_namespace(const UniqueFd& fd) {
  struct stat ours, theirs;
  return ::stat("/proc/self/ns/user", &ours) == 0 && ::fstat(fd.get(), &theirs) == 0 && ours.st_ino == theirs.st_ino &&
         ours.st_dev == theirs.st_dev;
}

// Whoever enters a host is root there, and `bridge` and its like are where an ordinary user's PATH does not look.
void look_in_sbin() {
  const char* const path = std::getenv("PATH");
  std::string folders = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
  for (const char* const folder : {"/usr/local/sbin", "/usr/sbin", "/sbin"}) {
    if ((":" + folders + ":").find(std::string(":") + folder + ":") == std::string::npos) {
      folders += std::string(":") + folder;
    }
  }
  ::setenv("PATH", folders.c_str(), 1);
}

}  // namespace

ctl::Outcome<HostNamespaces> ask_for_host(const std::string& socket, const std::string& host) {
  auto client = ctl::Client::connect(socket);
  if (!client) return ctl::refuse(client.error());
  std::vector<UniqueFd> descriptors;
  const auto answer = client->call({.verb = "namespaces", .host = host}, &descriptors);
  if (!answer) return ctl::refuse(answer.error());
  HostNamespaces namespaces;
  for (UniqueFd& descriptor : descriptors) {
    const int type = ::ioctl(descriptor.get(), NS_GET_NSTYPE);
    if (type == CLONE_NEWUSER) namespaces.user = std::move(descriptor);
    if (type == CLONE_NEWNET) namespaces.net = std::move(descriptor);
  }
  if (!namespaces.net || !namespaces.user) return ctl::refuse("the daemon did not send the host's namespaces");
  return namespaces;
}

ctl::Outcome<> enter(const HostNamespaces& namespaces) {
  // Entering the user namespace that one is in already is an error, so it is left out.
  if (!is_our_user_namespace(namespaces.user) && ::setns(namespaces.user.get(), CLONE_NEWUSER) != 0) {
    return ctl::refuse(fmt::format("cannot enter the host's user namespace: {}", std::strerror(errno)));
  }
  if (::setns(namespaces.net.get(), CLONE_NEWNET) != 0) {
    return ctl::refuse(fmt::format("cannot enter the host's network namespace: {}", std::strerror(errno)));
  }
  look_in_sbin();
  return {};
}

}  // namespace usernic::cli
