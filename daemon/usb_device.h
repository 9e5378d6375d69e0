// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: `usernic usb-device MODEL`: an adapter in software, served over USB/IP until SIGINT, SIGTERM or SIGHUP: for
// our drivers, and for a kernel's.
//
// What happens is said on stdout, an event a line; what is to happen may be said on stdin (docs/usb-device.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace usernic::daemon {

struct UsbDeviceOptions {
  std::string model;
  std::string listen;   // "ADDRESS:PORT"; port 0: any that is free
  std::string bus_id;   // what it is exported as
  std::string address;  // the adapter's own; "": a random one
  std::string tap;      // the interface at the far end of its cable; "": nobody is there
  double slow_ms = 0;
  uint64_t fail_every = 0;
  uint64_t unplug_at = 0;
  std::optional<double> replug_ms;  // how long it stays away; none: until it is told
  bool trace = false;               // each control transfer is an event
  bool commands = false;            // on stdin
  bool json = false;
};

// The exit code: 0 ended by a signal, 1 could not start, 2 the options make no sense; then with one sentence on stderr.
// Requires: the process has one thread.
int usb_device(const UsbDeviceOptions& options);

}  // namespace usernic::daemon
// Explained best by: tests/e2e/usb_device_test.py
