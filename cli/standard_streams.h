// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: descriptors 0 to 2, which whoever starts a program may have closed.
#pragma once

namespace usernic::cli {

// What is closed would be opened again as the next file or socket, and then what is meant for people would go into
// that. From here on stdin is empty, and writing to stdout or stderr fails. Before anything is opened.
void take_standard_streams() noexcept;

}  // namespace usernic::cli
