// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: of all that is wrong with a config, what stands first in the file.
#pragma once

#include <string>
#include <utility>

namespace usernic::daemon {

class FirstError {
 public:
  void note(int line, std::string what) {
    if (line_ == 0 || line < line_) line_ = line, what_ = std::move(what);
  }
  explicit operator bool() const { return line_ != 0; }
  // "FILE:LINE: what"
  std::string sentence(const std::string& file) const { return file + ":" + std::to_string(line_) + ": " + what_; }

 private:
  int line_ = 0;
  std::string what_;
};

}  // namespace usernic::daemon
