// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/capture_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "testing/test_folder.h"
#include "usernic/unique_fd.h"

namespace usernic::cli {
namespace {

using pcapng::BlockType;

struct CaptureFilesTest : testing::Test {
  const TestFolder fresh;
  const std::filesystem::path folder = fresh.path();

  // A stream with so many packets of 100 octets, and with statistics at its end if that was reached.
  static ctl::Outcome<> feed(CaptureFiles& files, int packets, bool ends) {
    std::string stream;
    pcapng::add_section(stream, "test");
    pcapng::add_interface(stream, {.name = "nic0"});
    const std::vector<uint8_t> octets(100, 7);
    for (int i = 0; i < packets; ++i) {
      pcapng::add_packet(stream, {.time_ns = static_cast<uint64_t>(1000 + i),
                                  .octets = octets,
                                  .wire_bytes = 100,
                                  .lost_before = i == 3 ? 2u : 0u});
    }
    if (ends) pcapng::add_statistics(stream, {.from_ns = 1, .to_ns = 5000, .delivered = 20, .lost = 4});
    pcapng::BlockReader reader;
    reader.feed(stream);
    while (true) {
      const auto block = reader.next();
      if (!block || !*block) return {};
      if (const auto added = files.add(**block); !added) return added;
    }
  }

  struct Seen {
    std::string types;  // a letter a block
    pcapng::Statistics statistics;
    uint64_t first_ns = 0;
  };
  static Seen read(const std::string& name) {
    std::ifstream file(name, std::ios::binary);
    std::stringstream all;
    all << file.rdbuf();
    pcapng::BlockReader reader;
    reader.feed(all.str());
    Seen seen;
    while (true) {
      const auto block = reader.next();
      EXPECT_TRUE(block.has_value()) << name;
      if (!block || !*block) break;
      const BlockType type = (*block)->type;
      seen.types += type == BlockType::kSection     ? 'S'
                    : type == BlockType::kInterface ? 'I'
                    : type == BlockType::kPacket    ? 'p'
                                                    : 'e';
      if (type == BlockType::kPacket && seen.first_ns == 0) seen.first_ns = (*block)->time_ns();
      if (const auto statistics = (*block)->statistics()) {
        seen.statistics = *statistics;
        seen.statistics.comment = {};
      }
    }
    EXPECT_FALSE(reader.has_part_of_a_block()) << name;
    return seen;
  }
};

TEST_F(CaptureFilesTest, OneFileIsTheStream) {
  const std::string name = folder / "one.pcapng";
  CaptureFiles files({.path = name});
  ASSERT_TRUE(files.open() && feed(files, 5, true) && files.end());
  const Seen seen = read(name);
  EXPECT_EQ(seen.types, "SIpppppe");
  EXPECT_EQ(seen.statistics, (pcapng::Statistics{.from_ns = 1, .to_ns = 5000, .delivered = 20, .lost = 4}));
  EXPECT_EQ(files.counted().delivered, 20u) << "the daemon knows better";
  EXPECT_EQ(std::filesystem::status(name).permissions() & std::filesystem::perms::all,
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(CaptureFilesTest, AStreamThatWasCutEndsWithStatisticsAllTheSame) {
  const std::string name = folder / "cut.pcapng";
  CaptureFiles files({.path = name});
  ASSERT_TRUE(files.open() && feed(files, 5, false) && files.end());
  const Seen seen = read(name);
  EXPECT_EQ(seen.types, "SIpppppe");
  EXPECT_EQ(seen.statistics, (pcapng::Statistics{.from_ns = 1000, .to_ns = 1004, .delivered = 5, .lost = 2}));
}

TEST_F(CaptureFilesTest, EachOfSeveralFilesIsWholeAndTheOldestGo) {
  const std::string name = folder / "many.pcapng";
  CaptureFiles files({.path = name, .file_bytes = 700, .files_max = 3});
  ASSERT_TRUE(files.open() && feed(files, 20, true) && files.end());
  ASSERT_EQ(files.names().size(), 3u);
  size_t there = 0;
  for (const auto& each : std::filesystem::directory_iterator(folder)) there += each.is_regular_file();
  EXPECT_EQ(there, 3u);
  std::string packets;
  uint64_t last = 0;
  for (const std::string& each : files.names()) {
    const Seen seen = read(each);
    EXPECT_TRUE(seen.types.starts_with("SIp") && seen.types.ends_with("pe")) << seen.types;
    EXPECT_GT(seen.first_ns, last);
    last = seen.first_ns;
    EXPECT_LE(std::filesystem::file_size(each), 700u);
  }
  EXPECT_EQ(CaptureFiles::numbered("/x/a.b.pcapng", 12), "/x/a.b_00012.pcapng");
  EXPECT_EQ(CaptureFiles::numbered("plain", 1), "plain_00001");
}

TEST_F(CaptureFilesTest, TheStatisticsOfEachOfSeveralAreItsOwn) {
  CaptureFiles files({.path = folder / "many.pcapng", .file_bytes = 700});
  ASSERT_TRUE(files.open() && feed(files, 20, true) && files.end());
  ASSERT_GT(files.names().size(), 3u);
  uint64_t delivered = 0, lost = 0, last_ns = 0;
  for (const std::string& each : files.names()) {
    const Seen seen = read(each);
    EXPECT_EQ(seen.statistics.delivered, static_cast<uint64_t>(std::ranges::count(seen.types, 'p')));
    EXPECT_EQ(seen.statistics.from_ns, seen.first_ns);
    EXPECT_GT(seen.statistics.from_ns, last_ns);
    last_ns = seen.statistics.to_ns;
    delivered += seen.statistics.delivered;
    lost += seen.statistics.lost;
  }
  EXPECT_EQ(last_ns, 5000u);
  EXPECT_EQ(delivered, 20u);
  EXPECT_EQ(lost, 4u) << "with those after the last packet";
  EXPECT_EQ(files.counted().delivered, 20u);
  EXPECT_EQ(files.counted().lost, 4u);
}

TEST_F(CaptureFilesTest, WhatIsThereIsWrittenAnewAndForNobodyElse) {
  const std::string name = folder / "there";
  std::ofstream(name) << "something long before";
  std::filesystem::permissions(name, std::filesystem::perms::others_read, std::filesystem::perm_options::add);
  CaptureFiles files({.path = name});
  ASSERT_TRUE(files.open() && feed(files, 1, true) && files.end());
  EXPECT_EQ(read(name).types, "SIpe");
  EXPECT_EQ(std::filesystem::status(name).permissions() & std::filesystem::perms::all,
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(CaptureFilesTest, AFileThatMayNotGrowEndsWithAWholeBlock) {
  const auto before = ::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlim_t was = std::exchange(limit.rlim_cur, 500);
  const std::string name = folder / "small.pcapng";
  CaptureFiles files({.path = name});
  ASSERT_TRUE(files.open() && feed(files, 10, false));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const auto written = files.flush();
  limit.rlim_cur = was;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  ::signal(SIGXFSZ, before);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error(), "cannot write to " + name + ": File too large");
  EXPECT_EQ(read(name).types, "SIpp");
  EXPECT_EQ(files.counted().delivered, 2u);
}

// `usernic capture -w - >> file`.
TEST_F(CaptureFilesTest, WhatStdoutHeldBeforeStays) {
  const std::string name = folder / "before";
  std::ofstream(name, std::ios::binary) << std::string(1000, 'b');
  const UniqueFd file(::open(name.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  ASSERT_TRUE(file);
  const auto before = ::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlim_t was = std::exchange(limit.rlim_cur, 1500);
  ::fflush(stdout);
  const UniqueFd stdout_was(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
  CaptureFiles files({.path = "-"});
  ASSERT_EQ(::dup2(file.get(), STDOUT_FILENO), STDOUT_FILENO);
  const bool opened = files.open().has_value();
  ::dup2(stdout_was.get(), STDOUT_FILENO);
  ASSERT_TRUE(opened && feed(files, 10, false));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const auto written = files.flush();
  limit.rlim_cur = was;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  ::signal(SIGXFSZ, before);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error(), "cannot write to stdout: File too large");
  std::ifstream again(name, std::ios::binary);
  std::string first(1000, '\0');
  again.read(first.data(), 1000);
  EXPECT_EQ(first, std::string(1000, 'b'));
  EXPECT_EQ(std::filesystem::file_size(name), 1500u);
}

TEST_F(CaptureFilesTest, AFullDiskIsASentence) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  CaptureFiles files({.path = "/dev/full"});
  ASSERT_TRUE(files.open());
  ASSERT_TRUE(feed(files, 3, false));
  EXPECT_EQ(files.counted().delivered, 3u);
  const auto written = files.end();
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error(), "cannot write to /dev/full: No space left on device");
  EXPECT_EQ(files.counted().delivered, 0u);
  CaptureFiles nowhere({.path = (folder / "no/such").string()});
  EXPECT_FALSE(nowhere.open());
}

}  // namespace
}  // namespace usernic::cli
