// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "ctl/did_you_mean.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace usernic::ctl {
namespace {

constexpr size_t kTypoDistanceMax = 2;
constexpr size_t kEchoedMax = 64;

// How many characters must be put in, taken out, replaced, or swapped with the next; of three rows of the usual table.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before, row(b.size() + 1), next(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    next[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      next[j] = std::min({row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) next[j] = std::min(next[j], before[j - 2] + 1);
    }
    before = std::exchange(row, next);
  }
  return row[b.size()];
}

}  // namespace

std::string printable(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    const auto octet = static_cast<uint8_t>(c);
    const bool second = !shown.empty() && shown.back() == '\xc2' && octet >= 0x80 && octet < 0xa0;  // U+0080 to U+009F
    if (second) shown.pop_back();
    shown += second || octet < 0x20 || octet == 0x7f ? '?' : c;
  }
  return shown;
}

std::string shortened(std::string_view text) {
  size_t end = std::min(text.size(), kEchoedMax);
  while (end < text.size() && end > 0 && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) --end;  // in a character
  return printable(text.substr(0, end)) + (end < text.size() ? "..." : "");
}

std::optional<std::string_view> meant(std::string_view word, std::span<const std::string_view> known) {
  if (known.empty() || word.size() > kEchoedMax) return std::nullopt;
  const auto nearest = std::ranges::min_element(known, {}, [&](std::string_view k) { return distance(word, k); });
  const size_t far = std::min(kTypoDistanceMax, nearest->size() / 2);  // of a short name everything is near
  return distance(word, *nearest) <= far ? std::optional(*nearest) : std::nullopt;
}

std::string suggestion(std::string_view word, std::span<const std::string_view> known) {
  if (known.empty() || word.size() > kEchoedMax) return "";
  if (const auto it = meant(word, known)) return fmt::format("; did you mean '{}'?", *it);
  return fmt::format("; there {} {}", known.size() == 1 ? "is" : "are", fmt::join(known, ", "));
}

}  // namespace usernic::ctl
