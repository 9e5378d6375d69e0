// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: `usernic usb`: the USB devices that were found, for people and for programs.
#pragma once

#include <string>
#include <vector>

#include "ctl/json.h"

namespace usernic::cli {

struct UsbRow {
  std::string bus;                   // as in a config
  std::string id;                    // "0bda:8150"
  std::string speed;                 // "full"
  std::vector<std::string> classes;  // of its interfaces: "02/06/00"
  std::string driver;                // "": none takes it
};

std::string show_usb(const std::vector<UsbRow>& rows);
ctl::Json to_json(const std::vector<UsbRow>& rows);

// Prints the rows, then what went wrong, a sentence each. Returns the exit code.
int usb(const std::vector<UsbRow>& rows, const std::vector<std::string>& wrong, bool json);

}  // namespace usernic::cli
// Explained best by: cli/usb_test.cc
