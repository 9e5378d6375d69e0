// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/lock/notice.h"

#include <cstdio>

#include "core/lock/held_locks.h"
#include "core/lock/report.h"
#include "core/lock/say.h"
#include "usernic/lock.h"

namespace usernic {
namespace {

constexpr LockClass kNoticeHandlerClass{"notice_handler"};
constinit Mutex notice_handler_mutex{kNoticeHandlerClass};

NoticeHandler& notice_handler() {
  static NoticeHandler* const instance = new NoticeHandler;  // outlives every thread
  return *instance;
}

}  // namespace

NoticeHandler set_notice_handler(NoticeHandler new_handler) {
  MutexGuard guard(notice_handler_mutex);
  return std::exchange(notice_handler(), std::move(new_handler));
}

void tell_notice(std::string text) {
  HeldLocks::Muted muted;  // who speaks may hold locks, which are not the handler's
  NoticeHandler call;
  {
    MutexGuard guard(notice_handler_mutex);
    call = notice_handler();
  }
  if (call) return call({.device = concerned_text(), .text = std::move(text)});
  say(stderr, "usernic: {}\n", text);
}

}  // namespace usernic
