// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/verbs.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cli/show.h"
#include "ctl/print.h"
#include "ctl/socket_path.h"

namespace usernic::cli {
namespace {

constexpr size_t kMissingShownMax = 20;

// Asks for one report and prints it.
template <class Report, class Show>
int show_report(const Command& command, const ctl::Request& request, const Show& show) {
  auto client = connect(command);
  if (!client) return failed(client.error());
  const auto report = client->ask<Report>(request);
  if (!report) return failed(report.error());
  ctl::print(stdout, command.json ? ctl::to_text(ctl::to_json(*report)) + "\n" : show(*report));
  return printed();
}

ctl::Outcome<ctl::WaitReport> wait_covered(const Command& command) {
  auto client = connect(command);
  if (!client) return ctl::refuse(client.error());
  const auto answer_time = std::chrono::milliseconds(*command.wait_ms) + ctl::kAnswerTime;
  return client->ask<ctl::WaitReport>({.verb = "wait", .dev = command.dev, .timeout_ms = *command.wait_ms},
                                      answer_time);
}

std::string show_missing(const ctl::WaitReport& report) {
  std::string text;
  for (size_t i = 0; i < report.missing.size() && i < kMissingShownMax; ++i) {
    text += (i == 0 ? "; not covered: " : ", ") + report.missing[i].to_string();
  }
  if (report.missing.size() <= kMissingShownMax) return text;
  return text + fmt::format(" and {} more", report.missing.size() - kMissingShownMax);
}

}  // namespace

ctl::Outcome<ctl::Client> connect(const Command& command) {
  const auto path = ctl::socket_path(command.socket);
  if (!path) return ctl::refuse(path.error());
  return ctl::Client::connect(path->path);
}

int failed(const std::string& sentence) {
  ctl::print(stderr, fmt::format("usernic: {}\n", sentence));
  return kFailed;
}

int printed() {
  return ctl::all_printed(stdout) ? kDone : failed(fmt::format("cannot write to stdout: {}", std::strerror(errno)));
}

int link(const Command& command) {
  const auto show = [&](const std::vector<ctl::LinkRow>& rows) { return show_links(rows, command.details); };
  return show_report<std::vector<ctl::LinkRow>>(command, {.verb = "link"}, show);
}

int rx_mode(const Command& command) {
  int exit_code = kDone;
  if (command.wait_ms) {
    const auto waited = wait_covered(command);
    if (!waited) return failed(waited.error());
    // What is missing goes to stderr, so that --json stays one object.
    if (!waited->covered) {
      exit_code = failed(fmt::format("{}: {}{}", command.dev, waited->reason, show_missing(*waited)));
    }
  }
  const int shown = show_report<ctl::RxModeReport>(command, {.verb = "rx-mode", .dev = command.dev}, show_rx_mode);
  return exit_code != kDone ? exit_code : shown;
}

int stats(const Command& command) {
  return show_report<ctl::StatsReport>(command, {.verb = "stats", .dev = command.dev}, show_stats);
}

int ethtool(const Command& command) {
  auto client = connect(command);
  if (!client) return failed(client.error());
  const bool change = !command.ethtool.wishes.empty();
  const auto report = client->ask<ctl::EthtoolReport>(
      {.verb = change ? "set-features" : "ethtool", .dev = command.dev, .features = command.ethtool.wishes});
  if (!report) return failed(report.error());
  ctl::print(stdout,
             command.json ? ctl::to_text(ctl::to_json(*report)) + "\n" : show_ethtool(*report, command.ethtool));
  return printed();
}

int attach(const Command& command) {
  auto client = connect(command);
  if (!client) return failed(client.error());
  const auto attached = client->ask<ctl::LinkRow>({.verb = "attach", .dev = command.dev});
  return attached ? kDone : failed(attached.error());
}

int monitor(const Command& command) {
  auto client = connect(command);
  if (!client) return failed(client.error());
  if (const auto opened = client->call({.verb = "monitor"}); !opened) return failed(opened.error());
  for (;;) {
    const auto event = client->next_event();
    if (!event) return failed(event.error());
    ctl::print(stdout, command.json ? ctl::to_text(ctl::to_json(*event)) + "\n" : show_event(*event));
    if (const int exit_code = printed(); exit_code != kDone) return exit_code;
  }
}

}  // namespace usernic::cli
