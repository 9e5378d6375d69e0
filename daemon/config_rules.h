// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: what must hold between the parts of a config: unique names, hosts that exist.
#pragma once

#include <string>

namespace usernic::daemon {

struct Config;

// Of all that is wrong, what stands first in the file.
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

void check_rules(const Config& config, FirstError& error);

}  // namespace usernic::daemon
// Explained best by: daemon/config_test.cc
