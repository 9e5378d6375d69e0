// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/refusal.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <cstring>
#include <utility>

namespace usernic {
namespace {

// "RLIMIT_AS is 1048576", or nothing where there is no limit.
std::string limit_in_words(int resource, const char* name) {
  rlimit limit;
  if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return "";
  return fmt::format("{} is {}", name, limit.rlim_cur);
}

std::string with_help(std::errc error, const std::string& limit, const char* help) {
  return fmt::format("{}; {}{}{}", std::strerror(static_cast<int>(error)), limit, limit.empty() ? "" : ", ", help);
}

}  // namespace

std::string refusal(std::errc error) {
  switch (error) {
    case std::errc::too_many_files_open:
      return with_help(error, limit_in_words(RLIMIT_NOFILE, "RLIMIT_NOFILE"), "raise it (ulimit -n, or LimitNOFILE=)");
    case std::errc::too_many_files_open_in_system:
      return with_help(error, "", "raise fs.file-max (sysctl)");
    case std::errc::not_enough_memory:
    case std::errc::no_buffer_space:
      if (const std::string limit = limit_in_words(RLIMIT_AS, "RLIMIT_AS"); !limit.empty()) {
        return with_help(error, limit, "raise it (ulimit -v)");
      }
      return with_help(error, "", "free some, or raise the memory limit of its cgroup");
    default:
      return std::strerror(static_cast<int>(error));
  }
}

std::string thread_refusal(std::errc error) {
  if (error != std::errc::resource_unavailable_try_again) return refusal(error);
  // What pthread_create answers to whatever it was that ran out: tasks, or room for a stack.
  std::string limits = limit_in_words(RLIMIT_NPROC, "RLIMIT_NPROC");
  for (const auto& [resource, name] : {std::pair(RLIMIT_AS, "RLIMIT_AS"), std::pair(RLIMIT_STACK, "RLIMIT_STACK")}) {
    const std::string limit = limit_in_words(resource, name);
    if (!limit.empty()) limits += (limits.empty() ? "" : ", ") + limit;
  }
  return with_help(error, limits, "and its cgroup's pids.max may be lower: raise what is too small");
}

ThreadRefused::ThreadRefused(std::string_view name, std::errc error)
    : system_error(std::make_error_code(error)),
      sentence_(fmt::format("cannot make the thread '{}': {}", name, thread_refusal(error))) {}

}  // namespace usernic
