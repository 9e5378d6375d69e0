// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: names of interfaces: which there can be, and what has one.
//
// Locks: none. Context: process. Errors: none.
#pragma once

#include <string>

namespace usernic {

// "" where the kernel takes it, else a sentence that says what it would take.
std::string wrong_interface_name(const std::string& name);

// What has that name in this thread's namespace, as its driver calls itself; "" where it does not.
std::string kind_of_interface(const std::string& name);

}  // namespace usernic
// Explained best by: host/tap_test.cc
