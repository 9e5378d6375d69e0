// SPDX-License-Identifier: Apache-2.0
// daemon: which names and addresses are allowed, and which name was probably meant.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace usernic::daemon {

// "" when allowed, else what a name must be: "must be 1 to 15 characters ...".
std::string interface_name_error(std::string_view name);
std::string host_name_error(std::string_view name);
std::string netns_name_error(std::string_view name);

// The 4 or 16 octets of "10.9.0.1/24" or "fd09::1/64"; the prefix length must be there. "" when it is something else,
// or not the address of one station: unspecified, multicast or broadcast.
std::string station_octets(std::string_view text);

// What somebody wrote, for a message: with a question mark for each control character, which a terminal would obey;
// and cut after 64 octets. UTF-8.
std::string printable(std::string_view text);
std::string shortened(std::string_view text);

// "; did you mean 'address'?" when a known word is close, else "; there are a, b, c". "" without known words,
// or when the word is too long to be meant as one.
std::string suggestion(std::string_view word, std::span<const std::string_view> known);

}  // namespace usernic::daemon
// Explained best by: daemon/config_test.cc
