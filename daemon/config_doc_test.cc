// SPDX-License-Identifier: Apache-2.0 OR MIT
// docs/config.md says what the parser does, and what examples/configs has can be run.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>

#include "daemon/config.h"
#include "daemon/drivers.h"
#include "drivers/simnic/config.h"

namespace usernic::daemon {
namespace {

const std::filesystem::path kSource = USERNIC_SOURCE_DIR;

struct Row {
  std::string key, what, unit, standard, limits;
};

// The rows of each "## `SECTION`" of the page.
std::map<std::string, std::vector<Row>> documented() {
  std::ifstream page(kSource / "docs/config.md");
  EXPECT_TRUE(page) << "docs/config.md cannot be read";
  std::map<std::string, std::vector<Row>> sections;
  std::string section;
  static const std::regex kHeading("^## `(.*)`$");
  static const std::regex kRow(R"(^\| `(\w+)` \| ([^|]*) \| ([^|]*)\| ([^|]*) \| ([^|]*) \|$)");
  std::smatch found;
  for (std::string line; std::getline(page, line);) {
    if (std::regex_match(line, found, kHeading)) section = found[1];
    if (std::regex_match(line, found, kRow)) {
      sections[section].push_back({found[1], found[2], found[3], found[4], found[5]});
    }
  }
  return sections;
}

constexpr std::string_view kNicHead = "[[nic]]\nname = \"n\"\ndriver = \"simnic\"\n";

// The last nic of the file has it: the one whose driver the section is of.
std::expected<Config, std::string> nic_with(const std::string& section, const std::string& key,
                                            const std::string& value) {
  std::string head(kNicHead);
  if (section.starts_with("[nic.")) {
    const std::string driver = section.substr(5, section.size() - 6);
    if (find_driver(driver)->lowers_max != 0) {
      head += fmt::format("[[nic]]\nname = \"upper\"\ndriver = \"{}\"\nover = \"n\"\n", driver);
    }
    head += section + "\n";
  }
  if (section == "[poll]") head += section + "\n";
  return parse_config(fmt::format("{}{} = {}\n", head, key, value), "f");
}

SimnicConfig card_of(const Config& config) {
  return config.nics.at(0).section_as<SimnicConfig>();
}

TEST(ConfigPage, ListsTheKeysOfEachSectionAndNoOther) {
  const auto sections = documented();
  std::map<std::string, std::span<const std::string_view>> known{
      {"[[host]]", config_keys(ConfigSection::kHost)},
      {"[[nic]]", config_keys(ConfigSection::kNic)},
      {"[poll]", config_keys(ConfigSection::kPoll)},
      {"[netconsole]", config_keys(ConfigSection::kNetconsole)},
  };
  for (const Driver* driver : drivers()) {
    if (driver->read != nullptr) known.emplace(fmt::format("[nic.{}]", driver->name), driver->keys);
  }
  for (const auto& [name, its_keys] : known) {
    ASSERT_TRUE(sections.contains(name)) << name;
    std::vector<std::string> rows;
    for (const Row& row : sections.at(name)) rows.push_back(row.key);
    std::vector<std::string> keys(its_keys.begin(), its_keys.end());
    std::ranges::sort(rows);
    std::ranges::sort(keys);
    EXPECT_EQ(rows, keys) << name;
  }
  EXPECT_EQ(sections.size(), known.size());
}

TEST(ConfigPage, ListsTheDrivers) {
  std::ifstream page(kSource / "docs/config.md");
  const std::string text(std::istreambuf_iterator<char>(page), {});
  std::string rows = "\n|---|---|\n";
  for (const Driver* driver : drivers()) rows += fmt::format("| `{}` | {} |\n", driver->name, driver->help);
  EXPECT_NE(text.find("| driver | what it is |" + rows + "\n"), std::string::npos) << "right would be:" << rows;
}

TEST(ConfigPage, HasTheLimitsThatTheParserHas) {
  static const std::regex kFromTo("^([0-9]+) to ([0-9]+)(, a power of two|;.*)?$");
  int numbers = 0;
  for (const auto& [section, rows] : documented()) {
    for (const Row& row : rows) {
      std::smatch found;
      if (!std::regex_match(row.limits, found, kFromTo)) continue;
      const int64_t min = std::stoll(found[1]), max = std::stoll(found[2]);
      for (const int64_t good : {min, max}) {
        EXPECT_TRUE(nic_with(section, row.key, std::to_string(good))) << row.key << " = " << good;
      }
      for (const int64_t bad : {min - 1, max + 1}) {
        EXPECT_FALSE(nic_with(section, row.key, std::to_string(bad))) << row.key << " = " << bad;
      }
      if (found[3] == ", a power of two") {
        EXPECT_FALSE(nic_with(section, row.key, "3")) << row.key;
      }
      ++numbers;
    }
  }
  EXPECT_GE(numbers, 9);
}

TEST(ConfigPage, HasTheDefaultsThatTheParserHas) {
  static const std::regex kValue("^(?:`(.*)`|([0-9]+))$");
  const auto plain = parse_config(kNicHead, "f");
  ASSERT_TRUE(plain);
  int defaults = 0;
  for (const auto& [section, rows] : documented()) {
    for (const Row& row : rows) {
      std::smatch found;
      if (!std::regex_match(row.standard, found, kValue)) continue;
      const auto config = nic_with(section, row.key, found[1].matched ? found[1] : found[2]);
      ASSERT_TRUE(config) << config.error();
      EXPECT_EQ(card_of(*config), card_of(*plain)) << row.key;
      EXPECT_EQ(config->nics[0].mtu, plain->nics[0].mtu) << row.key;
      EXPECT_EQ(config->poll.threads, plain->poll.threads) << row.key;
      ++defaults;
    }
  }
  const size_t of_sections = find_driver("simnic")->keys.size() + find_driver("impair")->keys.size();
  EXPECT_EQ(defaults, 5 + static_cast<int>(of_sections))
      << "the mtu's, the poll threads', the modes of macvlans and bonds, a bridge's ageing, and each of these sections";
}

// Something that the key may be and, by default, is not.
std::string another_value(const Row& row) {
  if (row.standard == "`true`") return "false";
  if (row.standard == "`false`") return "true";
  if (row.standard.starts_with("`\"")) return "\"another\"";
  static const std::regex kFromTo("^([0-9]+) to ([0-9]+).*$");
  const std::string least = std::regex_replace(row.limits, kFromTo, "$1");
  return row.standard == least ? std::regex_replace(row.limits, kFromTo, "$2") : least;
}

TEST(ConfigPage, EachKeyOfACardMakesItAnother) {
  const auto sections = documented();
  for (const Row& row : sections.at("[nic.simnic]")) {
    const auto config = nic_with("[nic.simnic]", row.key, another_value(row));
    ASSERT_TRUE(config) << config.error();
    EXPECT_NE(card_of(*config), SimnicConfig{}) << row.key << " = " << another_value(row);
  }
}

TEST(ConfigPage, ShowsAConfigThatCanBeRun) {
  std::ifstream page(kSource / "docs/config.md");
  const std::string text(std::istreambuf_iterator<char>(page), {});
  const size_t begin = text.find("```toml\n") + 8;
  const auto config = parse_config(std::string_view(text).substr(begin, text.find("```", begin) - begin), "f");
  EXPECT_TRUE(config) << config.error();
}

TEST(ConfigExamples, CanBeRun) {
  int examples = 0;
  for (const auto& file : std::filesystem::directory_iterator(kSource / "examples/configs")) {
    const auto config = read_config(file.path());
    EXPECT_TRUE(config) << config.error();
    EXPECT_EQ(file.path().extension(), ".toml");
    ++examples;
  }
  EXPECT_GE(examples, 4);
}

}  // namespace
}  // namespace usernic::daemon
