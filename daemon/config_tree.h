// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: a config file as it was written: tables of keys, each value with its line. No meaning yet.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "daemon/first_error.h"

namespace usernic::daemon {

struct ConfigValue;

struct ConfigTable {
  ConfigTable() noexcept;
  ConfigTable(ConfigTable&&) noexcept;
  ConfigTable& operator=(ConfigTable&&) noexcept;
  ~ConfigTable();

  std::vector<std::pair<std::string, ConfigValue>> keys;  // in the order of their names
  const ConfigValue* find(std::string_view key) const;    // null: it is not there
};
using ConfigList = std::vector<ConfigValue>;
// Numbers with a fraction, dates and times: no key of ours takes one.
enum class ConfigOther : uint8_t { kFraction, kDateOrTime };

struct ConfigValue {
  std::variant<std::string, int64_t, bool, ConfigOther, ConfigList, ConfigTable> what;
  int line = 0;

  template <class T>
  const T* as() const {
    return std::get_if<T>(&what);
  }
  std::string_view kind() const;  // "a text", "a number", ...
};

// What is no TOML is noted, and the value is an empty table.
ConfigValue read_tree(std::string_view text, FirstError& error);

}  // namespace usernic::daemon
// Explained best by: daemon/config_test.cc
