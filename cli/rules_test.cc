// SPDX-License-Identifier: Apache-2.0 OR MIT
// The table of rules against the sources: no report without a row, no row without a test that breaks it.
#include "usernic/rules.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "cli/contract.h"
#include "cli/verbs.h"

namespace usernic::cli {
namespace {

namespace fs = std::filesystem;

// The sources of the rooms that report, by path: tests, or all others.
std::map<std::string, std::string> sources(bool tests) {
  std::map<std::string, std::string> all;
  for (const char* room : {"core", "kernel"}) {
    for (const auto& entry : fs::recursive_directory_iterator(std::string(USERNIC_SOURCE "/") + room)) {
      const std::string name = entry.path().filename();
      const bool is_code = name.ends_with(".cc") || name.ends_with(".h");
      if (!is_code || name.ends_with("_test.cc") != tests) continue;
      std::ifstream file(entry.path());
      std::stringstream text;
      text << file.rdbuf();
      all[entry.path()] = text.str();
    }
  }
  return all;
}

TEST(RulesTest, EveryRuleHasARowOfItsOwnAndIsOneLine) {
  std::set<std::string_view> ids;
  for (const Rule& rule : kRules) {
    EXPECT_TRUE(ids.insert(rule.id).second) << rule.id << " is there twice";
    for (const std::string_view text : {rule.wrong, rule.right}) {
      EXPECT_FALSE(text.empty() || text.contains('\n') || text.contains('|')) << rule.id;
    }
  }
}

TEST(RulesTest, WhateverIsReportedHasARow) {
  const std::regex report(R"rx((?:report_contract|report|say|found)\(\s*(?:[*a-z_.]+,\s*)?"([a-z]+(?:-[a-z]+)+)")rx");
  size_t reports = 0;
  for (const auto& [path, text] : sources(false)) {
    for (std::sregex_iterator it(text.begin(), text.end(), report), end; it != end; ++it) {
      ++reports;
      EXPECT_NE(find_rule((*it)[1].str()), nullptr) << path << " reports " << (*it)[1] << ", which is no rule";
    }
  }
  EXPECT_GT(reports, kRules.size() / 2) << "they are still found";
}

bool has_test(const std::string& text, std::string_view suite, std::string_view name) {
  return std::ranges::any_of(std::to_array({"TEST", "TEST_F", "TEST_P"}), [&](const char* macro) {
    return text.contains(fmt::format("{}({}, {})", macro, suite, name));
  });
}

TEST(RulesTest, EveryRuleHasATestThatBreaksIt) {
  const auto tests = sources(true);
  for (const Rule& rule : kRules) {
    const size_t dot = rule.test.find('.');
    ASSERT_NE(dot, std::string_view::npos) << rule.test;
    const bool there = std::ranges::any_of(tests, [&](const auto& file) {
      const std::string& text = file.second;
      return has_test(text, rule.test.substr(0, dot), rule.test.substr(dot + 1)) &&
             (text.contains("\"" + std::string(rule.id)) || text.contains(std::string(rule.id) + "\""));
    });
    EXPECT_TRUE(there) << rule.test << " is no test of a file that expects " << rule.id;
  }
}

TEST(RulesTest, OneRuleIsShownInFull) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(contract({.op = "napi-overrun"}), kDone);
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "napi-overrun\n"
            "  wrong  a poll returns more than its budget\n"
            "  right  stop at the budget, and return it\n"
            "  test   NapiRulesTest.MoreThanTheBudgetIsReportedAndTakenAsTheBudget\n");
}

}  // namespace
}  // namespace usernic::cli
