// SPDX-License-Identifier: Apache-2.0 OR MIT
// What a lan78xx sends, whatever it is: nothing is read beyond it, and what is found lies in it; what we pack is found
// again by the model. And whatever a host asks of the model, which is served to whoever connects.
#include "drivers/lan78xx/framing.h"
#include "drivers/lan78xx/model.h"
#include "fuzz/adapter.h"

namespace usernic::lan78xx {
namespace {

using fuzz::Ear, fuzz::must, fuzz::Octets;

// Whatever it sends is somebody's memory.
struct Host final : usb::ToHost {
  bool deliver(uint8_t, std::span<const uint8_t> message) noexcept override {
    for (const uint8_t octet : message) sum += octet;
    return true;
  }
  uint64_t sum = 0;
};

void set(Model& model, uint16_t address, uint32_t value) {
  Octets octets{uint8_t(value), uint8_t(value >> 8), uint8_t(value >> 16), uint8_t(value >> 24)};
  (void)model.control({.request_type = kRequestTo, .request = kRequestWrite, .index = address}, octets);
}

struct Bench {
  Bench() {
    model.connect(host);
    model.connect_cable(&ear);
    model.power_on();
    set(model, kMacTx, kMacEnable);
    set(model, kFctTxCtl, kFctEnable);
    set(model, kMacRx, (kFrameMax + kFcsBytes) << kMacRxMaxShift | kMacEnable);
    set(model, kFctRxCtl, kFctEnable);
  }
  ~Bench() { model.connect_cable(nullptr); }
  Host host;
  Ear ear;
  Model model{MacAddress::from_u64(0x0200'0000'0001)};
};

void check_reader(std::span<const uint8_t> octets) {
  RxReader reader(octets);
  size_t all = 0;
  while (const auto frame = reader.next()) {
    must(frame->octets.data() >= octets.data() &&
             frame->octets.data() + frame->octets.size() <= octets.data() + octets.size(),
         "a frame is not in its transfer");
    all += frame->octets.size() + kRxHeaderBytes;
    must(all <= octets.size(), "more frames than octets");
  }
  must(!reader.next(), "there is more behind the end");
}

void check_round(fuzz::Input& input) {
  Bench bench;
  Octets room(kFifoBytes);
  usb::TxBlock block{.room = room};
  std::vector<Octets> frames;
  for (uint32_t n = 0; n < 64; ++n) {
    Octets frame(kHeaderBytes + input.number<uint16_t>() % 2000, static_cast<uint8_t>(n));
    if (!put_frame(block, frame)) break;
    frame.resize(std::max<size_t>(frame.size(), kFrameMin));
    frames.push_back(std::move(frame));
  }
  (void)bench.model.out(kBulkOut, std::span<const uint8_t>(room).first(block.size));
  must(bench.ear.heard == frames, "what was packed is not what was sent");
}

// Requests, transfers and frames, in any order.
void check_model(fuzz::Input& input) {
  Bench bench;
  while (!input.empty()) {
    const uint32_t what = input.below(8);
    const Octets octets(input.number<uint16_t>() % 2048, 0x5a);
    if (what < 5) {
      const uint16_t address = input.number<uint16_t>() % 0x1200;
      if (what < 4) set(bench.model, static_cast<uint16_t>(address & ~3u), input.number<uint32_t>());
      Octets answer(input.below(200));
      (void)bench.model.control(
          {.request_type = kRequestFrom, .request = static_cast<uint8_t>(0xa0 + input.below(4)), .index = address},
          answer);
    } else if (what < 7) {
      const auto transfer = input.take(octets.size());
      (void)bench.model.out(kBulkOut, Octets(transfer.begin(), transfer.end()));
    } else {
      const auto frame = input.take(octets.size());
      (void)bench.model.receive(Octets(frame.begin(), frame.end()));
    }
  }
  (void)bench.model.filter();
  bench.ear.must_have_heard_frames(kFrameMin, kFrameMax);
}

}  // namespace
}  // namespace usernic::lan78xx

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace usernic::lan78xx;
  return usernic::fuzz::one_of(data, size, check_reader, check_round, check_model);
}
