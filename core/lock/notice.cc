// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/lock/notice.h"

#include <cstdio>

#include "core/lock/handler_slot.h"
#include "core/lock/held_locks.h"
#include "core/lock/report.h"
#include "core/lock/say.h"

namespace usernic {
namespace {

constexpr LockClass kNoticeHandlerClass{"notice_handler"};
constinit HandlerSlot<NoticeHandler> notice_handler{kNoticeHandlerClass};

}  // namespace

NoticeHandler set_notice_handler(NoticeHandler new_handler) {
  return notice_handler.set(std::move(new_handler));
}

void tell_notice(std::string text) {
  HeldLocks::Muted muted;  // who speaks may hold locks, which are not the handler's
  if (const NoticeHandler call = notice_handler.get())
    return call({.device = concerned_text(), .text = std::move(text)});
  say(stderr, "usernic: {}\n", text);
}

}  // namespace usernic
