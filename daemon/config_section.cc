// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/config_section.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "ctl/did_you_mean.h"

namespace usernic::daemon {

Section::Section(const ConfigTable& table, int line, std::string name, std::span<const std::string_view> keys,
                 FirstError& error)
    : table_(table), line_(line), name_(std::move(name)), error_(error) {
  for (const auto& [key, value] : table.keys) {
    if (std::ranges::find(keys, key) != keys.end()) continue;
    if (const auto meant = ctl::meant(key, keys)) misspelt_.insert(*meant);
    error_.note(value.line,
                fmt::format("unknown key '{}' in {}{}", ctl::shortened(key), name_, ctl::suggestion(key, keys)));
  }
}

int Section::line_at(std::string_view key) const {
  const ConfigValue* const value = table_.find(key);
  return value != nullptr ? value->line : line_;
}

const std::string* Section::given_text(std::string_view key) const {
  const ConfigValue* const value = table_.find(key);
  return value != nullptr ? value->as<std::string>() : nullptr;
}

void Section::text(std::string_view key, std::string& value, std::string_view example) {
  const ConfigValue* const given = table_.find(key);
  if (given == nullptr) return;
  if (const auto* text = given->as<std::string>()) {
    value = *text;
  } else {
    wrong(*given, key, fmt::format("a text in quotes, like \"{}\"", example));
  }
}

bool Section::read_number(std::string_view key, int64_t& value, int64_t min, int64_t max) {
  const ConfigValue* const given = table_.find(key);
  if (given == nullptr) return false;
  const auto* number = given->as<int64_t>();
  const std::string right = fmt::format("a whole number from {} to {}", min, max);
  if (number == nullptr) {
    wrong(*given, key, right);
    return false;
  }
  value = *number;
  if (value >= min && value <= max) return true;
  error_.note(given->line, fmt::format("'{}' in {} must be {}, not {}", key, name_, right, value));
  return false;
}

void Section::flag(std::string_view key, bool& value) {
  const ConfigValue* const given = table_.find(key);
  if (given == nullptr) return;
  if (const auto* flag = given->as<bool>()) {
    value = *flag;
  } else {
    wrong(*given, key, "true or false");
  }
}

std::optional<size_t> Section::read_choice(std::string_view key, std::span<const std::string_view> names) {
  std::string chosen;
  text(key, chosen, names.front());
  if (given_text(key) == nullptr) return std::nullopt;
  const auto found = std::ranges::find(names, chosen);
  if (found != names.end()) return static_cast<size_t>(found - names.begin());
  bad(key, fmt::format("must be \"{}\", not \"{}\"", fmt::join(names, "\" or \""), ctl::shortened(chosen)));
  return std::nullopt;
}

void Section::list(std::string_view key, std::string_view right, const std::function<bool(const ConfigValue&)>& take) {
  const ConfigValue* const given = table_.find(key);
  if (given == nullptr) return;
  const auto* list = given->as<ConfigList>();
  if (list == nullptr) return wrong(*given, key, right);
  for (const ConfigValue& item : *list) {
    if (!take(item)) bad_item(item, key, right);
  }
}

void Section::bad(std::string_view key, std::string_view what) {
  bad_at(key, fmt::format("'{}' in {} {}", key, name_, what));
}

void Section::missing(std::string_view key, std::string_view example) {
  if (has(key) || misspelt_.contains(key)) return;
  error_.note(line_, fmt::format("{} has no '{}'; write {} = {}", name_, key, key, example));
}

void Section::bad_item(const ConfigValue& item, std::string_view key, std::string_view right) {
  const auto* text = item.as<std::string>();
  const auto* number = item.as<int64_t>();
  const std::string it = text != nullptr     ? fmt::format("\"{}\"", ctl::shortened(*text))
                         : number != nullptr ? fmt::format("{}", *number)
                                             : std::string(item.kind());
  error_.note(item.line, fmt::format("'{}' in {} must be {}; {} is not", key, name_, right, it));
}

void Section::wrong(const ConfigValue& value, std::string_view key, std::string_view right) {
  error_.note(value.line, fmt::format("'{}' in {} must be {}, not {}", key, name_, right, value.kind()));
}

}  // namespace usernic::daemon
