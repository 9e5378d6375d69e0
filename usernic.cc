// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: the program. `run` is the daemon; every other verb talks to one.
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "cli/capture.h"
#include "cli/command_line.h"
#include "cli/contract.h"
#include "cli/demo.h"
#include "cli/exec.h"
#include "cli/extcap.h"
#include "cli/sim.h"
#include "cli/standard_streams.h"
#include "cli/usb.h"
#include "cli/verbs.h"
#include "daemon/run.h"
#include "daemon/usb_device.h"
#include "daemon/usb_list.h"
#include "usernic/refusal.h"

namespace usernic {
namespace {

int usb(const cli::Command& command) {
  const daemon::UsbList list = daemon::list_usb(command.servers);
  std::vector<cli::UsbRow> rows;
  for (const daemon::UsbFound& found : list.devices) {
    rows.push_back({found.bus, found.id, found.speed, found.classes, found.driver});
  }
  return cli::usb(rows, list.unreached, command.json);
}

int usb_device(const cli::Command& command) {
  const cli::UsbDeviceLine& line = command.usb_device;
  return daemon::usb_device({.model = line.model,
                             .listen = line.listen,
                             .bus_id = line.bus_id,
                             .address = line.address,
                             .tap = line.tap,
                             .slow_ms = line.slow_ms,
                             .fail_every = line.fail_every,
                             .unplug_at = line.unplug_at,
                             .replug_ms = line.replug_ms,
                             .trace = line.trace,
                             .commands = line.commands,
                             .json = command.json});
}

// `program`: as it was called.
int carry_out(const cli::Command& command, const std::string& program) {
  switch (command.verb) {
    case cli::Verb::kRun:
      return daemon::run({.config = command.config, .socket = command.socket, .ready_fd = command.ready_fd});
    case cli::Verb::kDemo:
      return cli::demo(command.json, program);
    case cli::Verb::kLink:
      return cli::link(command);
    case cli::Verb::kRxMode:
      return cli::rx_mode(command);
    case cli::Verb::kStats:
      return cli::stats(command);
    case cli::Verb::kEthtool:
      return cli::ethtool(command);
    case cli::Verb::kAttach:
      return cli::attach(command);
    case cli::Verb::kMonitor:
      return cli::monitor(command);
    case cli::Verb::kCapture:
      return cli::capture(command);
    case cli::Verb::kExtcap:
      return cli::extcap(command);
    case cli::Verb::kContract:
      return cli::contract(command);
    case cli::Verb::kExec:
      return cli::exec(command);
    case cli::Verb::kSim:
      return cli::sim(command.argv);
    case cli::Verb::kUsb:
      return usb(command);
    case cli::Verb::kUsbDevice:
      return usb_device(command);
  }
  return cli::kUsage;
}

// There may be none for the sentence either.
int no_memory() noexcept {
  try {
    return cli::failed(refusal(std::errc::not_enough_memory));
  } catch (const std::bad_alloc&) {
    std::fputs("usernic: there is no memory left\n", stderr);
    return cli::kFailed;
  }
}

}  // namespace
}  // namespace usernic

// What the machine refuses - a thread, memory - is an exception, and comes from anywhere.
int main(int argc, char** argv) {
  using namespace usernic;
  cli::take_standard_streams();
  try {
    const cli::ParsedLine line = cli::parse_command_line(argc, argv);
    return line.command ? carry_out(*line.command, argc > 0 ? argv[0] : "usernic") : line.exit_code;
  } catch (const std::bad_alloc&) {
    return no_memory();
  } catch (const std::exception& refused) {
    return cli::failed(refused.what());
  }
}
