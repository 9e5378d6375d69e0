// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/contract.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "cli/verbs.h"

namespace usernic::cli {
namespace {

TEST(ContractTest, EveryOpHasALineOfItsOwn) {
  const std::string table = show_contract(kContract);
  EXPECT_EQ(std::ranges::count(table, '\n'), static_cast<std::ptrdiff_t>(kContract.size() + 1));
  EXPECT_TRUE(table.contains("start_xmit                      ndo_start_xmit                  xmit lock")) << table;
}

TEST(ContractTest, OneOpIsShownInFull) {
  const NdoRow rows[] = {row_of(Ndo::kSetMacAddress)};
  EXPECT_EQ(describe_contract(rows),
            "set_mac_address\n"
            "  kernel      ndo_set_mac_address\n"
            "  locks held  lane, rtnl, instance lock\n"
            "  context     process\n"
            "  absent      EOPNOTSUPP\n"
            "  returns     ok, or an errno\n"
            "  to 2.6.28   dev->set_mac_address: rtnl\n"
            "  from 2.6.29 rtnl\n"
            "  test        Rows/ContractTest.CalledWithoutTheLocksOfTheRowItIsReported/set_mac_address\n");
}

TEST(ContractTest, JsonIsAListOfRows) {
  const NdoRow rows[] = {row_of(Ndo::kOpen)};
  EXPECT_EQ(
      ctl::to_text(to_json(rows)),
      R"([{"op":"open","kernel":"ndo_open","locks":"lane, rtnl, instance lock","context":"process",)"
      R"("optional":false,"absent":"required","returns":"ok, or an errno","older":"rtnl","oldest":"dev->open: rtnl",)"
      R"("applies":true,"why":"","test":"Rows/ContractTest.CalledWithoutTheLocksOfTheRowItIsReported/open"}])");
  const std::string elsewhere = ctl::to_text(to_json({}, {kElsewhere.data(), 1}));
  EXPECT_TRUE(elsewhere.starts_with(R"([{"op":"ndo_do_ioctl","kernel":"ndo_do_ioctl","locks":"rtnl",)")) << elsewhere;
  EXPECT_TRUE(elsewhere.contains(R"("applies":false,"why":"kernel-internal)")) << elsewhere;
}

TEST(ContractTest, AnOpThatIsNotCalledHereSaysWhy) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(contract({.op = "ndo_setup_tc"}), kDone);
  EXPECT_TRUE(testing::internal::GetCapturedStdout().contains("queueing disciplines and flow offload are the host's"));
}

TEST(ContractTest, TheKernelsNameFindsAnOpAndAMistakenOneIsSuggested) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(contract({.op = "ndo_change_mtu"}), kDone);
  EXPECT_TRUE(testing::internal::GetCapturedStdout().starts_with("change_mtu\n"));
  testing::internal::CaptureStderr();
  EXPECT_EQ(contract({.op = "change_mtus"}), kFailed);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "usernic: there is no op 'change_mtus'; did you mean 'change_mtu'?\n");
}

TEST(ContractTest, ThePageOfTheDocsIsOfThisTable) {
  std::ifstream file(USERNIC_SOURCE "/docs/contract.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), contract_page(kContract)) << "made by: usernic contract --markdown > docs/contract.md";
}

}  // namespace
}  // namespace usernic::cli
