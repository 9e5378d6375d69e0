// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "usernic/refusal.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace usernic {
namespace {

TEST(RefusalTest, NamesTheLimitThatWasReachedAndWhatRaisesIt) {
  rlimit limit;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(refusal(std::errc::too_many_files_open), "Too many open files; RLIMIT_NOFILE is " +
                                                         std::to_string(limit.rlim_cur) +
                                                         ", raise it (ulimit -n, or LimitNOFILE=)");
  EXPECT_EQ(refusal(std::errc::too_many_files_open_in_system),
            "Too many open files in system; raise fs.file-max (sysctl)");
  EXPECT_TRUE(refusal(std::errc::not_enough_memory).starts_with("Cannot allocate memory; "));
}

TEST(RefusalTest, AnotherErrorHasTheSystemsWords) {
  EXPECT_EQ(refusal(std::errc::permission_denied), "Permission denied");
  EXPECT_EQ(thread_refusal(std::errc::permission_denied), "Permission denied");
}

TEST(RefusalTest, AThreadIsRefusedByOneOfSeveralLimits) {
  const std::string words = thread_refusal(std::errc::resource_unavailable_try_again);
  EXPECT_TRUE(words.starts_with("Resource temporarily unavailable; ")) << words;
  EXPECT_NE(words.find("pids.max"), words.npos) << words;
}

}  // namespace
}  // namespace usernic
