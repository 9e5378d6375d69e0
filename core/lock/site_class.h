// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: lock classes of what is waited for though it is no lock: work items and workqueues.
//
// Items that one line of code makes from one function do the same, and so do the queues that it makes under one name.
// That tells them apart as the declaration of a LockClass tells locks apart [kernel: a lockdep key a call site].
#pragma once

#include <string_view>

#include "usernic/lock.h"

namespace usernic {

// The class of what `where` constructs: "work of waits.cc:17"; `kind` tells apart what one place makes. It lives as
// long as the process. Null, not to be checked: while checks are off, and after a report when there are too many.
const LockClass* class_of_site(std::string_view what, const void* kind, Place where) noexcept;

}  // namespace usernic
