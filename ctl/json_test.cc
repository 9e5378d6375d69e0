// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "ctl/json.h"

#include <gtest/gtest.h>

namespace usernic::ctl {
namespace {

std::string round(std::string_view text) {
  const auto json = parse_json(text);
  return json ? to_text(*json) : "(refused)";
}

TEST(Json, KeepsValuesAndTheOrderOfMembers) {
  for (const char* text : {"null", "true", "false", "0", "-5", "18446744073709551615", "-9223372036854775808", "1.5",
                           "\"\"", "[]", "{}", R"({"z":1,"a":[1,2,{"m":null}],"b":"x\ny\"\u0001"})", "\"ü€😀\""}) {
    EXPECT_EQ(round(text), text);
  }
}

TEST(Json, RefusesWhatIsNotOneCompleteValue) {
  for (const char* text : {"", " ", "{", "}", "{\"a\"}", "{\"a\":}", "[1,]", "01", "nul", "1 2", "{} x", "'a'",
                           "{\"a\":1,\"a\":2}", "\"\xff\"", "\"\xc3\"", "\"\\ud800\"", "1e999", "NaN", "\"a\nb\""}) {
    EXPECT_EQ(round(text), "(refused)") << text;
  }
}

TEST(Json, RefusesDepthBeforeItCosts) {
  const std::string fits = std::string(kJsonDepthMax, '[') + std::string(kJsonDepthMax, ']');
  EXPECT_EQ(round(fits), fits);
  EXPECT_EQ(round("[" + fits + "]"), "(refused)");
  EXPECT_EQ(round(std::string(1 << 20, '[')), "(refused)");
}

TEST(Json, RefusesObjectsOfTooManyMembers) {
  std::string text = "{\"0\":0";
  for (int i = 1; i < kJsonMembersMax; ++i) text += ",\"" + std::to_string(i) + "\":0";
  EXPECT_EQ(round(text + "}"), text + "}");
  EXPECT_EQ(round(text + ",\"x\":0}"), "(refused)");
}

TEST(Json, WritesBadOctetsAsReplacementCharacters) {
  EXPECT_EQ(to_text(Json("a\xff")), "\"a\uFFFD\"");
}

TEST(Json, FindsMembers) {
  const auto json = parse_json(R"({"a":7})");
  ASSERT_TRUE(json);
  ASSERT_NE(json->find("a"), nullptr);
  EXPECT_EQ(*json->find("a")->as<int64_t>(), 7);
  EXPECT_EQ(json->find("b"), nullptr);
  EXPECT_EQ(Json(3).find("a"), nullptr);
}

}  // namespace
}  // namespace usernic::ctl
