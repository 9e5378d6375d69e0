// SPDX-License-Identifier: Apache-2.0
// The one file that includes spdlog.
#include "daemon/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace usernic::daemon {
namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> kLogger = [] {
    auto made = spdlog::stderr_color_mt("usernic");
    made->set_pattern("%H:%M:%S.%e %^%l%$ %v");
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *kLogger;
}

}  // namespace

void log_info(std::string_view sentence) {
  logger().info(sentence);
}
void log_warning(std::string_view sentence) {
  logger().warn(sentence);
}

}  // namespace usernic::daemon
