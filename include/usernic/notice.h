// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: what the core has to say that is neither a broken rule nor a long wait: a TX queue that nobody wakes, a
// thread that the machine refuses, a device that cannot be registered as it is.
#pragma once

#include <functional>
#include <string>

namespace usernic {

struct Notice {
  std::string device;  // "nic0 (driver Simnic)"; empty where no device is concerned
  std::string text;    // one sentence, which names the device
};

// Notices go to the handler, in process context, maybe under locks of the core: it calls nothing of the core. Without
// one they are printed. Returns the handler before.
using NoticeHandler = std::function<void(const Notice&)>;
NoticeHandler set_notice_handler(NoticeHandler handler);

}  // namespace usernic
// Explained best by: core/lock/notice_test.cc
