// SPDX-License-Identifier: Apache-2.0 OR MIT
// What an rtl8150 sends, whatever it is: nothing is read beyond it, and what is found lies in it; what is packed or
// received is the same frame at the other end. And whatever a host asks of the model, which is served to whoever
// connects.
#include "drivers/rtl8150/framing.h"
#include "drivers/rtl8150/model.h"
#include "fuzz/adapter.h"

namespace usernic::rtl8150 {
namespace {

using fuzz::Ear, fuzz::must, fuzz::Octets;

struct Host final : usb::ToHost {
  bool deliver(uint8_t endpoint, std::span<const uint8_t> message) noexcept override {
    if (endpoint == kBulkIn) came.emplace_back(message.begin(), message.end());
    return true;
  }
  std::vector<Octets> came;
};

struct Bench {
  Bench() {
    model.connect(host);
    model.connect_cable(&ear);
    model.power_on();
  }
  ~Bench() { model.connect_cable(nullptr); }
  void set(uint16_t address, Octets octets) {
    (void)model.control({.request_type = kRequestWrite, .request = kRequestRegisters, .value = address}, octets);
  }
  Host host;
  Ear ear;
  Model model{MacAddress::from_u64(0x0200'0000'0001)};
};

Octets padded(Octets frame) {
  frame.resize(std::max<size_t>(frame.size(), kFrameMin));
  return frame;
}

void check_reader(std::span<const uint8_t> octets) {
  const auto frame = frame_in(octets);
  if (!frame) return;
  must(frame->data() == octets.data() && frame->size() + kTrailerBytes == octets.size(), "a frame is not its transfer");
}

void check_round(fuzz::Input& input) {
  Bench bench;
  bench.set(kRcr, {kRcrAllPhysical | kRcrAllmulti | kRcrBroadcast, 0});
  bench.set(kCr, {kCrReceive | kCrTransmit});
  const auto octets = input.take(input.number<uint16_t>() % 2000);
  const Octets frame(octets.begin(), octets.end());
  Octets room(kFrameMax);
  usb::TxBlock block{.room = room};
  if (put_frame(block, frame)) {
    (void)bench.model.out(kBulkOut, std::span<const uint8_t>(room).first(block.size));
    must(bench.ear.heard == std::vector<Octets>{padded(frame)}, "what was packed is not what was sent");
  } else {
    must(frame.size() > kFrameMax, "a frame that fits was refused");
  }
  if (!bench.model.receive(frame)) return must(frame.size() < kHeaderBytes || frame.size() > kFrameMax, "deaf");
  const auto found = frame_in(bench.host.came.at(0));
  must(found && std::ranges::equal(*found, padded(frame)), "what was received is another frame");
}

// Requests, transfers and frames, in any order.
void check_model(fuzz::Input& input) {
  Bench bench;
  while (!input.empty()) {
    const uint32_t what = input.below(8);
    if (what < 5) {
      usb::Setup setup{.request_type = what < 3 ? kRequestWrite : kRequestRead,
                       .request = kRequestRegisters,
                       .value = static_cast<uint16_t>(input.number<uint16_t>() % 0x1300)};
      if (input.below(16) == 0) setup.request_type = input.number(), setup.request = input.number();
      const auto octets = input.take(input.below(200));
      Octets data(octets.begin(), octets.end());
      const Result<uint32_t> done = bench.model.control(setup, data);
      must(!done || *done <= data.size(), "more than was asked for");
    } else {
      const auto octets = input.take(input.number<uint16_t>() % 2048);
      const Octets data(octets.begin(), octets.end());
      what < 7 ? (void)bench.model.out(kBulkOut, data) : (void)bench.model.receive(data);
    }
  }
  (void)bench.model.filter();
  bench.ear.must_have_heard_frames(kFrameMin, kFrameMax);
  for (const Octets& message : bench.host.came) must(frame_in(message).has_value(), "no frame and trailer");
}

}  // namespace
}  // namespace usernic::rtl8150

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace usernic::rtl8150;
  return usernic::fuzz::one_of(data, size, check_reader, check_round, check_model);
}
