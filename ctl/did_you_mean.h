// SPDX-License-Identifier: Apache-2.0 OR MIT
// ctl: a word that somebody wrote and nobody knows: how it is shown, and which one was probably meant.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace usernic::ctl {

// What somebody wrote, for a message: with a question mark for each control character, which a terminal would obey;
// and cut after 64 octets. UTF-8.
std::string printable(std::string_view text);
std::string shortened(std::string_view text);

// The one of `known` that was probably meant.
std::optional<std::string_view> meant(std::string_view word, std::span<const std::string_view> known);

// "; did you mean 'address'?" when a known word is close, else "; there are a, b, c". "" without known words,
// or when the word is too long to be meant as one.
std::string suggestion(std::string_view word, std::span<const std::string_view> known);

}  // namespace usernic::ctl
// Explained best by: ctl/did_you_mean_test.cc
