// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: columns for people: a row of titles, two spaces between columns, numbers to the right.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace usernic::cli {

enum class Align { kLeft, kRight };

class Table {
 public:
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // Requires: one cell a column.
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.empty(); }

  // Lines with `indent` spaces before each, nothing behind the last cell.
  std::string text(size_t indent = 0) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace usernic::cli
// Explained best by: cli/show_test.cc
