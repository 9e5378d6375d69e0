// SPDX-License-Identifier: Apache-2.0 OR MIT
// fuzz: what a fuzzer is given, read as numbers and octets; and what it says when a property does not hold.
//
// An input that has come to its end reads as zeros, so every input is a whole one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace usernic::fuzz {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : left_(data, size) {}

  bool empty() const { return left_.empty(); }
  template <class T = uint8_t>
  T number() {
    T value{};
    const auto octets = take(sizeof value);
    if (!octets.empty()) std::memcpy(&value, octets.data(), octets.size());
    return value;
  }
  uint32_t below(uint32_t bound) { return number<uint8_t>() % bound; }
  // As many octets as are there, at most `count`.
  std::span<const uint8_t> take(size_t count) {
    const auto taken = left_.first(std::min(count, left_.size()));
    left_ = left_.subspan(taken.size());
    return taken;
  }

 private:
  std::span<const uint8_t> left_;
};

// Ends the fuzzer, which keeps the input.
[[noreturn]] inline void broken(std::string_view what) {
  std::fprintf(stderr, "broken: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}
inline void must(bool holds, std::string_view what) {
  if (!holds) broken(what);
}

// A message for a person: one line, nothing that a terminal would obey.
inline void must_be_a_sentence(std::string_view text) {
  const bool plain = std::ranges::none_of(text, [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7f; });
  if (text.empty() || !plain) broken(std::string("not one sentence: ") + std::string(text));
}

}  // namespace usernic::fuzz
