// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/extcap.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cli/capture.h"
#include "cli/capture_files.h"
#include "cli/verbs.h"
#include "ctl/did_you_mean.h"
#include "ctl/print.h"

namespace usernic::cli {
namespace {

// What Wireshark calls a NIC, in names of files too; and what the daemon does. Neither a host nor an interface has a
// colon in its name.
struct Interface {
  std::string name, dev, display;
};

ctl::Outcome<std::vector<Interface>> interfaces(const Command& command) {
  auto client = connect(command);
  if (!client) return ctl::refuse(client.error());
  const auto rows = client->ask<std::vector<ctl::LinkRow>>({.verb = "link"});
  if (!rows) return ctl::refuse(rows.error());
  std::vector<Interface> all;
  for (const ctl::LinkRow& row : *rows) {
    const bool only = row.host.empty() || std::ranges::count(*rows, row.name, &ctl::LinkRow::name) == 1;
    all.push_back({.name = only ? "usernic-" + row.name : fmt::format("usernic-{}:{}", row.host, row.name),
                   .dev = only ? row.name : fmt::format("{}/{}", row.host, row.name),
                   .display = fmt::format("usernic {} ({}{}{})", row.name, row.driver,
                                          row.host.empty() ? "" : ", host ", row.host)});
  }
  return all;
}

// Where no usernic runs there are none: Wireshark asks whenever it starts.
int show_interfaces(const Command& command) {
  std::string text = fmt::format(
      "extcap {{version={}}}{{help=https://www.wireshark.org/docs/man-pages/extcap.html}}"
      "{{display=usernic}}\n",
      USERNIC_VERSION);
  const auto all = interfaces(command);
  for (const Interface& each : all.value_or(std::vector<Interface>())) {
    text += fmt::format("interface {{value={}}}{{display={}}}\n", each.name, each.display);
  }
  ctl::print(stdout, text);
  return printed();
}

int show_dlts() {
  ctl::print(stdout, "dlt {number=1}{name=EN10MB}{display=Ethernet}\n");
  return printed();
}

int show_config() {
  ctl::print(stdout,
             "arg {number=0}{call=--snaplen}{display=Octets of a frame}{type=unsigned}{range=1,262144}{default=262144}"
             "{tooltip=How many octets of each frame are captured}\n"
             "arg {number=1}{call=--socket}{display=Control socket}{type=string}{required=false}"
             "{tooltip=Of the usernic that runs, where it is not the usual one}\n");
  return printed();
}

// Who closes the FIFO has enough.
int capture_into_fifo(const Command& command) {
  const auto all = interfaces(command);
  if (!all) return failed(all.error());
  const auto found = std::ranges::find(*all, command.extcap.interface, &Interface::name);
  if (found == all->end()) {
    std::vector<std::string_view> names;
    for (const Interface& each : *all) names.push_back(each.name);
    return failed(fmt::format("there is no interface '{}'{}", ctl::shortened(command.extcap.interface),
                              ctl::suggestion(command.extcap.interface, names)));
  }
  Command as_capture = command;
  as_capture.dev = found->dev;
  CaptureFiles files({.path = command.extcap.fifo});
  const auto done = capture_to(files, as_capture);
  return done || files.reader_is_gone() ? kDone : failed(done.error());
}

}  // namespace

int extcap(const Command& command) {
  const ExtcapLine& line = command.extcap;
  if (line.interfaces) return show_interfaces(command);
  if (line.interface.empty()) return failed("extcap takes --extcap-interfaces, or --extcap-interface with what to do");
  if (line.dlts) return show_dlts();
  if (line.config) return show_config();
  if (!line.filter.empty()) return failed("usernic has no capture filters; a display filter does the same later");
  if (!line.capture) return failed("extcap takes --extcap-dlts, --extcap-config or --capture with an interface");
  if (line.fifo.empty()) return failed("--capture needs --fifo");
  return capture_into_fifo(command);
}

}  // namespace usernic::cli
