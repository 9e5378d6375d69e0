// SPDX-License-Identifier: Apache-2.0 OR MIT
// The driver's rings against a card that writes into descriptors whatever it likes: no frame is longer than its
// buffer, none is handed out twice, and in the end every buffer is back.
#include <set>

#include "drivers/simnic/rx_ring.h"
#include "drivers/simnic/tx_ring.h"
#include "fuzz/input.h"

namespace usernic::simnic {
namespace {

using fuzz::must;

constexpr uint32_t kSlots = 8, kBuffers = 20, kFrameBytes = 256;

void scribble(uint64_t ring, fuzz::Input& input) {
  auto* const descriptors = reinterpret_cast<Descriptor*>(static_cast<uintptr_t>(ring));
  Descriptor& descriptor = descriptors[input.below(kSlots)];
  descriptor.address = input.number<uint64_t>();
  descriptor.length = input.number<uint32_t>();
  descriptor.status.store(input.number<uint32_t>());
}

void receive(RxRing& ring, int budget, uint32_t room) {
  SkbBatch frames;
  const int done = ring.receive(frames, budget);
  must(done >= 0 && done <= budget && frames.size() <= static_cast<uint32_t>(done), "more frames than were asked for");
  std::set<uintptr_t> seen;
  for (Skb* skb = frames.front(); skb != nullptr; skb = SkbBatch::next(*skb)) {
    must(seen.insert(reinterpret_cast<uintptr_t>(skb)).second, "a frame is handed out twice");
    must(skb->size() <= room, "a frame is longer than its buffer");
  }
}

void drive(fuzz::Input& input, SkbPool& pool, uint32_t room) {
  RxRing rx(kSlots);
  TxRing tx(kSlots);
  while (!input.empty()) {
    switch (input.below(7)) {
      case 0:
        rx.refill(pool);
        break;
      case 1:
        receive(rx, static_cast<int>(input.below(2 * kSlots)), room);
        break;
      case 2:
        scribble(rx.address(), input);
        break;
      case 3:
        scribble(tx.address(), input);
        break;
      case 4:
        if (Skb* const skb = tx.room() > 0 ? pool.alloc() : nullptr) tx.put(*skb);
        break;
      case 5:
        tx.reclaim();
        break;
      case 6:
        rx.drop_buffers();
        break;
    }
    must(tx.room() <= kSlots && rx.tail() - rx.next() <= kSlots, "a ring has more slots than it has");
  }
}

}  // namespace
}  // namespace usernic::simnic

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace usernic;
  SkbPool pool(simnic::kBuffers, simnic::kFrameBytes);
  Skb* const skb = pool.alloc();
  const uint32_t room = skb->tailroom();
  SkbPool::free(*skb);
  fuzz::Input input(data, size);
  simnic::drive(input, pool, room);
  fuzz::must(pool.available() == simnic::kBuffers, "a buffer is lost");
  return 0;
}
