// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

namespace usernic::cli {

void take_standard_streams() noexcept {
  // The lowest free number is taken, and those below are in use by then. To be read only: writing is an error.
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) [[maybe_unused]]
      const int taken = ::open("/dev/null", O_RDONLY);
  }
}

}  // namespace usernic::cli
