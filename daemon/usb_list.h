// SPDX-License-Identifier: Apache-2.0 OR MIT
// daemon: `usernic usb`: the USB devices that can be reached, and which driver would take each.
#pragma once

#include <string>
#include <vector>

namespace usernic::daemon {

struct UsbFound {
  std::string bus;                   // as in a config: "usbip:127.0.0.1:3240/1-1"
  std::string id;                    // vendor and product: "0bda:8150"
  std::string speed;                 // "full"
  std::vector<std::string> classes;  // of its interfaces, each kind once: "02/06/00"
  std::string driver;                // "": none takes it
};

struct UsbList {
  std::vector<UsbFound> devices;
  std::vector<std::string> unreached;  // a sentence each
};

// What is plugged into this machine now, what USB/IP servers ("HOST", "HOST:PORT") export, and the adapters in
// software. Without a server it asks the one of this machine, and says nothing when there is none. Context: process.
UsbList list_usb(const std::vector<std::string>& servers);

}  // namespace usernic::daemon
// Explained best by: daemon/usb_list_test.cc
