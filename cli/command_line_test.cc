// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/command_line.h"

#include <gtest/gtest.h>

#include <utility>

namespace usernic::cli {
namespace {

class CommandLineTest : public testing::Test {
 protected:
  // What was printed is in out_ and err_.
  ParsedLine parse(std::vector<const char*> words) {
    words.insert(words.begin(), "usernic");
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    ParsedLine parsed = parse_command_line(static_cast<int>(words.size()), words.data());
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return parsed;
  }
  Command good(std::vector<const char*> words) {
    const ParsedLine parsed = parse(words);
    EXPECT_TRUE(parsed.command) << err_;
    return parsed.command.value_or(Command{});
  }
  std::string out_, err_;
};

TEST_F(CommandLineTest, EveryVerb) {
  EXPECT_EQ(good({"link"}).verb, Verb::kLink);
  EXPECT_TRUE(good({"link", "-d"}).details);
  EXPECT_EQ(good({"run"}).config, "");
  EXPECT_EQ(good({"run", "lab.toml", "--ready-fd", "3"}).config, "lab.toml");
  EXPECT_EQ(good({"run", "lab.toml", "--ready-fd", "3"}).ready_fd, 3);
  EXPECT_TRUE(good({"demo", "--json"}).json);
  EXPECT_EQ(good({"stats", "nic0", "--json"}).dev, "nic0");
  EXPECT_EQ(good({"monitor"}).verb, Verb::kMonitor);
  EXPECT_EQ(good({"link", "--socket", "/s"}).socket, "/s");
  EXPECT_EQ(good({"--socket", "/s", "link"}).socket, "/s");
}

TEST_F(CommandLineTest, CaptureTakesSizesAndCountsThatCanBe) {
  const CaptureLine all = good({"capture", "nic0", "-w", "x.pcapng", "-s", "96", "-c", "10", "--file-size", "10MiB",
                                "--files", "3", "--buffer", "1KiB"})
                              .capture;
  EXPECT_EQ(all.files.path, "x.pcapng");
  EXPECT_EQ(all.snap_bytes, 96u);
  EXPECT_EQ(all.count, 10u);
  EXPECT_EQ(all.files.file_bytes, 10u << 20);
  EXPECT_EQ(all.files.files_max, 3u);
  EXPECT_EQ(all.buffer_bytes, 1024u);
  EXPECT_EQ(good({"capture", "nic0", "-w", "-"}).capture.files.path, "-");
  for (const std::vector<const char*>& words : {std::vector<const char*>{"capture", "nic0"},
                                                {"capture", "-w", "x"},
                                                {"capture", "nic0", "-w", ""},
                                                {"capture", "nic0", "-w", "x", "-s", "0"},
                                                {"capture", "nic0", "-w", "x", "-s", "262145"},
                                                {"capture", "nic0", "-w", "x", "-c", "0"},
                                                {"capture", "nic0", "-w", "x", "--files", "3"},
                                                {"capture", "nic0", "-w", "-", "--file-size", "1MiB"},
                                                {"capture", "nic0", "-w", "-", "--json"},
                                                {"capture", "nic0", "-w", "x", "--file-size", "much"},
                                                {"capture", "nic0", "-w", "x", "--buffer", "2GiB"}}) {
    EXPECT_EQ(parse(words).exit_code, kUsage);
    EXPECT_TRUE(err_.starts_with("usernic: ")) << err_;
  }
}

// As Wireshark calls a program in its folder, and as a person does.
TEST_F(CommandLineTest, ExtcapNeedsNoVerb) {
  EXPECT_EQ(good({"--extcap-interfaces", "--extcap-version=4.0"}).verb, Verb::kExtcap);
  EXPECT_TRUE(good({"extcap", "--extcap-interfaces"}).extcap.interfaces);
  const Command command =
      good({"--capture", "--extcap-interface", "usernic-nic0", "--fifo", "/tmp/f", "--snaplen", "64"});
  EXPECT_TRUE(command.extcap.capture);
  EXPECT_EQ(command.extcap.interface, "usernic-nic0");
  EXPECT_EQ(command.extcap.fifo, "/tmp/f");
  EXPECT_EQ(command.capture.snap_bytes, 64u);
}

TEST_F(CommandLineTest, WaitTakesItsSecondsOnlyWithAnEqualsSign) {
  EXPECT_FALSE(good({"rx-mode", "nic0"}).wait_ms);
  EXPECT_EQ(good({"rx-mode", "nic0", "--wait"}).wait_ms, 10'000u);
  EXPECT_EQ(good({"rx-mode", "--wait", "nic0"}).dev, "nic0");
  EXPECT_EQ(good({"rx-mode", "nic0", "--wait=2.5"}).wait_ms, 2500u);
  EXPECT_EQ(good({"rx-mode", "--wait=0", "nic0", "--json"}).wait_ms, 0u);
  for (const char* bad : {"--wait=", "--wait=x", "--wait=-1", "--wait=1e9", "--wait=nan", "--wait=1s"}) {
    EXPECT_EQ(parse({"rx-mode", "nic0", bad}).exit_code, kUsage) << bad;
    EXPECT_TRUE(err_.starts_with("usernic: --wait takes seconds from 0 to 3600, not '")) << err_;
  }
}

TEST_F(CommandLineTest, ExecKeepsTheCommandAsItIs) {
  const Command command = good({"exec", "a", "--", "sh", "-c", "echo --json", "--", "--socket", "-x"});
  EXPECT_EQ(command.host, "a");
  EXPECT_EQ(command.argv, (std::vector<std::string>{"sh", "-c", "echo --json", "--", "--socket", "-x"}));
  EXPECT_EQ(good({"exec", "--socket", "/s", "a", "--", "ip", "-br", "link"}).argv.size(), 3u);
  EXPECT_EQ(good({"exec", "a", "--", "ip"}).argv.size(), 1u);
}

TEST_F(CommandLineTest, ExecWithoutACommandIsAShell) {
  for (const std::vector<const char*>& words : {std::vector<const char*>{"exec", "a"}, {"exec", "a", "--"}}) {
    const Command command = good(words);
    EXPECT_EQ(command.verb, Verb::kExec);
    EXPECT_EQ(command.host, "a");
    EXPECT_TRUE(command.argv.empty());
  }
}

TEST_F(CommandLineTest, ExecTakesNothingApartAfterTheDashes) {
  const std::vector<const char*> words = {"[a,b]", "", "[0-9]", "--", "--socket=/x", "-h", "a,b", "\"q\"", ""};
  for (std::vector<const char*> front : std::vector<std::vector<const char*>>{
           {"exec", "a"}, {"--socket", "/s", "exec", "a"}, {"exec", "a", "--socket=/s"}}) {
    front.push_back("--");
    front.insert(front.end(), words.begin(), words.end());
    const Command command = good(front);
    EXPECT_EQ(command.host, "a");
    EXPECT_EQ(command.argv, (std::vector<std::string>(words.begin(), words.end())));
  }
  EXPECT_EQ(good({"exec", "a", "--", "b", "--", "c"}).argv.size(), 3u);
  EXPECT_EQ(good({"rx-mode", "--", "exec"}).dev, "exec");  // CLI11's own "--"
  EXPECT_EQ(good({"rx-mode", "exec", "--wait", "--json"}).dev, "exec");
}

TEST_F(CommandLineTest, ExecNeedsNoDashes) {
  const Command command = good({"exec", "--socket", "/s", "a", "ping", "-c", "3", "[a,b]", "--", "--json"});
  EXPECT_EQ(command.host, "a");
  EXPECT_EQ(command.socket, "/s");
  EXPECT_EQ(command.argv, (std::vector<std::string>{"ping", "-c", "3", "[a,b]", "--", "--json"}));
  EXPECT_FALSE(parse({"exec", "a", "-x", "ping"}).command);  // before the command options are usernic's
}

TEST_F(CommandLineTest, MistakesAreOneSentenceAndExitTwo) {
  for (const std::vector<const char*>& words : std::vector<std::vector<const char*>>{{"fly"},
                                                                                     {"link", "nic0"},
                                                                                     {"link", "--jsn"},
                                                                                     {"rx-mode"},
                                                                                     {"stats"},
                                                                                     {"stats", "a", "b"},
                                                                                     {"exec"},
                                                                                     {"help", "fly"},
                                                                                     {"help", "run", "x"},
                                                                                     {"version", "x"},
                                                                                     {"run", "--ready-fd", "x"},
                                                                                     {"run", "--ready-fd", "-1"},
                                                                                     {"run", "a", "b"},
                                                                                     {"link", "stats", "nic0"},
                                                                                     {"--bad"},
                                                                                     {"link", "--socket"}}) {
    const ParsedLine parsed = parse(words);
    EXPECT_FALSE(parsed.command) << words[0];
    EXPECT_EQ(parsed.exit_code, kUsage) << words[0];
    EXPECT_TRUE(err_.starts_with("usernic: ")) << err_;
    EXPECT_EQ(std::count(err_.begin(), err_.end(), '\n'), 1) << err_;
    EXPECT_EQ(out_, "");
  }
}

TEST_F(CommandLineTest, AnEmptyNameIsNotOneThatIsNotGiven) {
  EXPECT_EQ(parse({"run", ""}).exit_code, kUsage);
  EXPECT_EQ(err_, "usernic: CONFIG.toml: needs a name, not \"\"; see 'usernic run --help'\n");
  for (const std::vector<const char*>& words :
       std::vector<std::vector<const char*>>{{"run", "--socket", ""},
                                             {"link", "--socket="},
                                             {"--socket", "", "link"},
                                             {"exec", "--socket", "", "a", "b"}}) {
    EXPECT_EQ(parse(words).exit_code, kUsage) << words[0];
    EXPECT_TRUE(err_.starts_with("usernic: --socket: ")) << err_;
    EXPECT_EQ(std::count(err_.begin(), err_.end(), '\n'), 1) << err_;
  }
}

TEST_F(CommandLineTest, WhatIsNoVerbIsSaidWithTheVerbThatWasMeant) {
  for (const auto& [word, meant] : {std::pair{"lin", "link"}, {"rxmode", "rx-mode"}, {"ecex", "exec"}}) {
    EXPECT_EQ(parse({"--socket", "/s", word, "nic0"}).exit_code, kUsage);
    EXPECT_EQ(err_, std::string("usernic: there is no verb '") + word + "'; did you mean '" + meant +
                        "'?; see 'usernic --help'\n");
  }
  EXPECT_FALSE(parse({"fly"}).command);
  EXPECT_TRUE(err_.starts_with("usernic: there is no verb 'fly'; there are run, demo, link")) << err_;
}

TEST_F(CommandLineTest, HelpNamesEachArgumentOnce) {
  (void)parse({"run", "--help"});
  EXPECT_NE(out_.find("Usage: usernic run [OPTIONS] [CONFIG.toml]\n"), std::string::npos) << out_;
  EXPECT_NE(out_.find("  --ready-fd FD  "), std::string::npos) << out_;
  EXPECT_NE(out_.find("docs/config.md"), std::string::npos) << out_;
  (void)parse({"stats", "--help"});
  EXPECT_NE(out_.find("Usage: usernic stats [OPTIONS] DEV\n"), std::string::npos) << out_;
  (void)parse({"exec", "--help"});
  EXPECT_NE(out_.find("Usage: usernic exec [OPTIONS] HOST [COMMAND...]\n"), std::string::npos) << out_;
}

TEST_F(CommandLineTest, NothingIsAUsageErrorThatShowsTheVerbs) {
  EXPECT_EQ(parse({}).exit_code, kUsage);
  EXPECT_NE(err_.find("rx-mode"), std::string::npos);
}

TEST_F(CommandLineTest, TheSimulatorsWordsAreItsOwn) {
  const Command command = good({"sim", "--seed", "7", "--json", "--help", "--"});
  EXPECT_EQ(command.verb, Verb::kSim);
  EXPECT_EQ(command.argv, (std::vector<std::string>{"--seed", "7", "--json", "--help", "--"}));
}

TEST_F(CommandLineTest, HelpOfEveryVerbHasAnExample) {
  EXPECT_EQ(parse({"--help"}).exit_code, kDone);
  EXPECT_NE(out_.find("monitor"), std::string::npos);
  for (const char* verb : {"run", "demo", "link", "rx-mode", "stats", "monitor", "exec"}) {
    const ParsedLine parsed = parse({verb, "--help"});
    EXPECT_FALSE(parsed.command);
    EXPECT_EQ(parsed.exit_code, kDone) << verb;
    EXPECT_NE(out_.find(std::string("Example:\n  usernic ") + verb), std::string::npos) << out_;
  }
}

TEST_F(CommandLineTest, HelpIsAVerbToo) {
  (void)parse({"--help"});
  const std::string all = out_;
  EXPECT_EQ(parse({"help"}).exit_code, kDone);
  EXPECT_EQ(out_, all);
  for (const char* verb : {"run", "demo", "link", "rx-mode", "stats", "monitor", "exec", "help", "version"}) {
    (void)parse({verb, "--help"});
    const std::string its = out_;
    EXPECT_EQ(parse({"help", verb}).exit_code, kDone) << verb;
    EXPECT_EQ(out_, its);
  }
  EXPECT_EQ(good({"help", "sim"}).argv, std::vector<std::string>{"--help"});
  (void)parse({"help", "rxmode"});
  EXPECT_TRUE(err_.starts_with("usernic: there is no verb 'rxmode'; did you mean 'rx-mode'?")) << err_;
}

TEST_F(CommandLineTest, Version) {
  EXPECT_EQ(parse({"version"}).exit_code, kDone);
  EXPECT_TRUE(out_.starts_with("usernic 0.")) << out_;
  EXPECT_EQ(parse({"--version"}).exit_code, kDone);
  EXPECT_TRUE(out_.starts_with("usernic 0.")) << out_;
}

}  // namespace
}  // namespace usernic::cli
