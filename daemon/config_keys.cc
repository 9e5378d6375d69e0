// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/config_keys.h"

#include <algorithm>
#include <string>

namespace usernic::daemon {
namespace {

// Where the text in quotes that begins at `at` ends: behind its last quote, or where it is broken off.
size_t behind_quotes(std::string_view text, size_t at) {
  const char quote = text[at];
  const std::string three(3, quote);
  const std::string_view end = text.substr(at).starts_with(three) ? three : std::string_view(three).substr(2);
  for (at += end.size(); at < text.size(); ++at) {
    if (text.substr(at).starts_with(end)) {
      // Of five quotes the first two belong to the text.
      return end.size() == 1 ? at + 1 : std::min({text.find_first_not_of(quote, at), at + 5, text.size()});
    }
    if (end.size() == 1 && text[at] == '\n') return at;
    if (quote == '"' && text[at] == '\\') ++at;
  }
  return text.size();
}

}  // namespace

int line_of_long_key(std::string_view text) {
  constexpr std::string_view kBetweenKeys = "=,[]{}\n";
  int parts = 1;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '.' && ++parts > kKeyPartsMax) return 1 + static_cast<int>(std::ranges::count(text.substr(0, at), '\n'));
    if (kBetweenKeys.contains(c)) parts = 1;
    if (c == '"' || c == '\'') {
      at = behind_quotes(text, at);
    } else if (c == '#') {
      at = std::min(text.find('\n', at), text.size());
    } else {
      ++at;
    }
  }
  return 0;
}

}  // namespace usernic::daemon
