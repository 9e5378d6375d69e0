// SPDX-License-Identifier: Apache-2.0 OR MIT
// A queue of a TAP as a port has it: its reader and its writer.
#include "host/tap.h"
#include "host/tap_reader.h"
#include "host/tap_writer.h"

namespace usernic {
namespace {

class TapEndQueue final : public EndQueue {
 public:
  TapEndQueue(TapQueue& queue, Kick& wanted, NetDevice* of) noexcept
      : queue_(queue), reader_(queue), writer_(queue, wanted, of) {}

  int fd() const noexcept override { return queue_.fd(); }
  bool read(FramePools& pools, uint32_t frame_bytes_max, SkbBatch& frames) override {
    return reader_.read(pools, frame_bytes_max, frames);
  }
  void free_spare() override { reader_.free_spare(); }
  bool gone() const noexcept override { return reader_.gone(); }
  uint64_t write(SkbBatch& frames) noexcept override { return writer_.write(frames); }
  void make_ready() override { writer_.make_ring(); }
  uint64_t oversized() const noexcept override { return reader_.oversized(); }

  // Of this queue, not of the machine: most have no batch that is worth a ring.
  std::string io() const override {
    const TapIo* const ways[] = {&writer_.io(), &reader_.io()};
    for (const TapIo* way : ways) {
      if (way->how() == TapIo::How::kRing) return "io_uring";
    }
    for (const TapIo* way : ways) {
      if (way->how() == TapIo::How::kRefused) return std::string(errno_name(way->why()));
    }
    const Result<> works = TapRing::works_here();
    return works ? "calls" : std::string(errno_name(works.error()));
  }

 private:
  TapQueue& queue_;
  TapReader reader_;
  TapWriter writer_;
};

}  // namespace

std::unique_ptr<EndQueue> Tap::open_queue(size_t index, Kick& wanted, NetDevice* of) {
  (void)TapRing::works_here();  // now, not when the first frame comes
  return std::make_unique<TapEndQueue>(queues_[index], wanted, of);
}

}  // namespace usernic
