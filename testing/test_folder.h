// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests: a fresh folder, removed with all that is in it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace usernic {

class TestFolder {
 public:
  TestFolder() {
    if (::mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/usernic-test-XXXXXX";
};

}  // namespace usernic
