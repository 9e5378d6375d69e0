// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/command_words.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>

namespace usernic::cli {
namespace {

constexpr double kSecondsMax = 3600;

}  // namespace

Split split_words(int argc, const char* const* argv) {
  bool exec = false, host = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (exec && word == "--") return {i, i + 1};
    if (word.starts_with('-')) {
      if (word == "--socket") ++i;
    } else if (host) {
      return {i, i};
    } else if (exec) {
      host = true;
    } else if (word == "exec") {
      exec = true;
    } else if (word == "sim") {
      return {i + 1, i + 1};
    } else {
      break;
    }
  }
  return {argc, argc};
}

std::string_view verb_word(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--socket") {
      ++i;
    } else if (argv[i][0] != '-') {
      return argv[i];
    }
  }
  return "";
}

ctl::Outcome<std::vector<ctl::FeatureWish>> feature_wishes(const std::vector<std::string>& words) {
  if (words.empty() || words.size() % 2 != 0) {
    return ctl::refuse("-K takes a feature and 'on' or 'off', and more of such pairs");
  }
  std::vector<ctl::FeatureWish> wishes;
  for (size_t i = 0; i < words.size(); i += 2) {
    if (words[i + 1] != "on" && words[i + 1] != "off") {
      return ctl::refuse(fmt::format("{} can be 'on' or 'off', not '{}'", words[i], words[i + 1]));
    }
    wishes.push_back({words[i], words[i + 1] == "on"});
  }
  return wishes;
}

std::optional<uint64_t> milliseconds_of(const std::string& seconds) {
  char* end = nullptr;
  const double value = std::strtod(seconds.c_str(), &end);
  if (seconds.empty() || *end != '\0' || !std::isfinite(value) || value < 0 || value > kSecondsMax) return std::nullopt;
  return static_cast<uint64_t>(std::llround(value * 1000));
}

}  // namespace usernic::cli
