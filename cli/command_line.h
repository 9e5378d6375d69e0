// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: what was asked for on the command line, and the tree's one door to CLI11.
//
// Exit codes of every verb: 0 done, 1 failed (with one sentence on stderr), 2 not understood. `exec` has the exit
// status of its command; as `env` and `nsenter`: 127 when there is none of that name, 126 when it cannot be run; 125
// when the host could not be entered.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/capture_files.h"
#include "ctl/exit_code.h"
#include "ctl/messages.h"

namespace usernic::cli {

using ctl::kDone;
using ctl::kFailed;
using ctl::kUsage;
// As env and nsenter do.
inline constexpr int kCouldNotEnter = 125;
inline constexpr int kCouldNotRun = 126;
inline constexpr int kNoSuchCommand = 127;

enum class Verb {
  kRun,
  kDemo,
  kLink,
  kRxMode,
  kStats,
  kAttach,
  kMonitor,
  kEthtool,
  kCapture,
  kExtcap,
  kContract,
  kExec,
  kSim,
  kUsb,
  kUsbDevice
};

// usb-device
struct UsbDeviceLine {
  std::string model, listen = "127.0.0.1:3240", bus_id = "1-1", address, tap;
  double slow_ms = 0;
  uint64_t fail_every = 0, unplug_at = 0;
  std::optional<double> replug_ms;
  bool trace = false, commands = false;
};

// ethtool: which parts; none: all.
struct EthtoolLine {
  bool info = false, counters = false, rings = false, coalesce = false, registers = false, link = false;
  bool features = false;
  std::vector<ctl::FeatureWish> wishes;  // -K: what to change
};

struct CaptureLine {
  CaptureFilesLine files;
  uint64_t snap_bytes = 0, buffer_bytes = 0;  // 0: as the daemon likes
  uint64_t count = 0;                         // 0: until it is ended
};

// extcap: what Wireshark says.
struct ExtcapLine {
  bool interfaces = false, dlts = false, config = false, capture = false;
  std::string interface, fifo, filter;
};

struct Command {
  Verb verb = Verb::kLink;
  std::string socket;  // --socket; "" when not given
  bool json = false;
  bool details = false;  // link
  std::string dev;       // rx-mode, stats, attach, ethtool, capture
  EthtoolLine ethtool;
  std::optional<uint64_t> wait_ms;   // rx-mode --wait
  std::string op;                    // contract; "": all
  bool markdown = false;             // contract
  std::string host;                  // exec
  std::vector<std::string> argv;     // exec (empty: a shell), sim
  std::string config;                // run; "" for the built-in one
  int ready_fd = -1;                 // run --ready-fd
  std::vector<std::string> servers;  // usb
  UsbDeviceLine usb_device;
  CaptureLine capture;  // capture, extcap
  ExtcapLine extcap;
};

struct ParsedLine {
  std::optional<Command> command;
  int exit_code = kDone;  // without a command: help, version or the mistake has been printed
};

ParsedLine parse_command_line(int argc, const char* const* argv);

}  // namespace usernic::cli
// Explained best by: cli/command_line_test.cc
