// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: what the core, or a driver, has to say that is neither a broken rule nor a long wait: a TX queue that nobody
// wakes, a thread that the machine refuses, a device that cannot be registered as it is.
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

// Says a sentence, of the device that is concerned (ReportsOn). Throws std::bad_alloc. Context: process.
void tell_notice(std::string text);

}  // namespace usernic
// Explained best by: core/lock/notice_test.cc
