// SPDX-License-Identifier: Apache-2.0 OR MIT
// fuzz: what the fuzzers of USB adapters have in common: who hears what the model sends on its cable, and which of
// three checks an input is for.
#pragma once

#include <vector>

#include "bus/usb/nic_model.h"
#include "fuzz/input.h"

namespace usernic::fuzz {

using Octets = std::vector<uint8_t>;

// In memory that ends where it does, so that one octet more is seen.
inline Octets rest_of(Input& input) {
  const auto left = input.take(SIZE_MAX);
  return Octets(left.begin(), left.end());
}

struct Ear final : usb::Cable {
  void hear(std::span<const uint8_t> frame) noexcept override { heard.emplace_back(frame.begin(), frame.end()); }
  void must_have_heard_frames(size_t least, size_t most) const {
    for (const Octets& frame : heard) must(frame.size() >= least && frame.size() <= most, "no Ethernet frame");
  }
  std::vector<Octets> heard;
};

// The driver's reader of any octets, a round from the driver to the model and back, the model as any host asks it.
template <class Reader, class Round, class Model>
int one_of(const uint8_t* data, size_t size, Reader&& reader, Round&& round, Model&& model) {
  Input input(data, size);
  switch (input.below(3)) {
    case 0:
      reader(rest_of(input));
      break;
    case 1:
      round(input);
      break;
    default:
      model(input);
  }
  return 0;
}

}  // namespace usernic::fuzz
