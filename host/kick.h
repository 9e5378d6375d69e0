// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: a Kick, or the sentence that says why there is none.
#pragma once

#include "host/host_error.h"
#include "usernic/kick.h"
#include "usernic/refusal.h"

namespace usernic {

inline HostResult<Kick> make_kick() {
  Result<Kick> kick = Kick::make();
  if (kick) return *std::move(kick);
  return host_fail(kick.error(), "cannot make an eventfd: " + refusal(kick.error()));
}

}  // namespace usernic
