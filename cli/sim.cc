// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/sim.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "cli/verbs.h"

namespace usernic::cli {

int sim(const std::vector<std::string>& arguments) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return failed(fmt::format("cannot find the program's own folder: {}", error.message()));
  const std::string program = (self.parent_path() / "usernic-sim").string();
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  return failed(fmt::format("the simulator {} cannot be started: {}", program, std::strerror(errno)));
}

}  // namespace usernic::cli
