// SPDX-License-Identifier: Apache-2.0 OR MIT
// Around what breaks on purpose a rule that an analysis of Clang's sees: the run-time checks watch it. It begins after
// the includes, which stay seen, and ends with the file, for the sake of what comes after it in a unity build.
#pragma once

#ifdef __clang__
#define USERNIC_CLANG_PRAGMA(words) _Pragma(#words)
#define USERNIC_UNSEEN_BY_CLANG_BEGIN(warning)                                                         \
  USERNIC_CLANG_PRAGMA(clang diagnostic push)                                                          \
  USERNIC_CLANG_PRAGMA(clang diagnostic ignored "-Wunknown-warning-option") /* clang 19 knows fewer */ \
  USERNIC_CLANG_PRAGMA(clang diagnostic ignored warning)
#define USERNIC_UNSEEN_BY_CLANG_END USERNIC_CLANG_PRAGMA(clang diagnostic pop)
#else
#define USERNIC_UNSEEN_BY_CLANG_BEGIN(warning)
#define USERNIC_UNSEEN_BY_CLANG_END
#endif
