// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: one table of a config, read key by key. Getters leave `value` as it is when the key is not there, and note
// what is wrong.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/config_tree.h"

namespace usernic::daemon {

class Section {
 public:
  // `name` as people know it, "[[nic]]"; `keys`: what it may have.
  Section(const ConfigTable& table, int line, std::string name, std::span<const std::string_view> keys,
          FirstError& error);

  int line_at(std::string_view key) const;  // where the key is not: the section's
  bool has(std::string_view key) const { return table_.find(key) != nullptr; }
  const ConfigValue* value(std::string_view key) const { return table_.find(key); }
  // Null: it is not there, or no text.
  const std::string* given_text(std::string_view key) const;

  void text(std::string_view key, std::string& value, std::string_view example);
  template <class T>
  void number(std::string_view key, T& value, int64_t min, int64_t max) {
    int64_t number = 0;
    if (read_number(key, number, min, max)) value = static_cast<T>(number);
  }
  void flag(std::string_view key, bool& value);
  // One of several texts, and what it stands for.
  template <class T, size_t N>
  void choice(std::string_view key, T& value, const std::array<std::pair<std::string_view, T>, N>& choices) {
    std::array<std::string_view, N> names;
    std::ranges::transform(choices, names.begin(), [](const auto& each) { return each.first; });
    if (const auto chosen = read_choice(key, names)) value = choices[*chosen].second;
  }
  // The items of a list, each of which `take` must accept.
  void list(std::string_view key, std::string_view right, const std::function<bool(const ConfigValue&)>& take);

  void bad(std::string_view key, std::string_view what);
  void bad_at(std::string_view key, std::string what) { error_.note(line_at(key), std::move(what)); }
  // Whoever misspelt it hears of that. The example as in TOML.
  void missing(std::string_view key, std::string_view example);

 private:
  std::optional<size_t> read_choice(std::string_view key, std::span<const std::string_view> names);
  bool read_number(std::string_view key, int64_t& value, int64_t min, int64_t max);
  void bad_item(const ConfigValue& item, std::string_view key, std::string_view right);
  void wrong(const ConfigValue& value, std::string_view key, std::string_view right);

  const ConfigTable& table_;
  const int line_;
  const std::string name_;
  std::set<std::string_view> misspelt_;  // keys that were meant by unknown ones
  FirstError& error_;
};

}  // namespace usernic::daemon
// Explained best by: daemon/config_test.cc
