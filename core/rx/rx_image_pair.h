// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: the pending image of a driver of the prepare + write style, and the one being written.
//
// `pending`, `ready` and `generation` are guarded by addr_list_lock; `writing` is the rx-mode work's own.
#pragma once

#include <memory>

#include "core/lock/mutation.h"
#include "usernic/rx_image.h"

namespace usernic {

class RxImagePair {
 public:
  explicit RxImagePair(const RxImageType& image_type)
      : type(image_type), pending_(make()), scratch_(make()), writing_(make()) {}

  const RxImageType& type;
  bool ready = false;       // pending is to be written
  uint64_t generation = 0;  // that pending was prepared for
  bool wide = false;        // with promisc or allmulti on: then it need not have the addresses

  void* pending() noexcept { return pending_.get(); }
  const void* writing() const noexcept { return writing_.get(); }
  // Is an address, unchanged since `of_generation`, in the image being written?
  bool writing_has(uint64_t of_generation) const noexcept { return !writing_wide_ && of_generation <= generation_; }
  bool writing_wide() const noexcept { return writing_wide_; }

  // Lets prepare(image) work on a copy of the pending image, which takes its place if it is ok. Returns its answer.
  template <class Prepare>
  Result<> prepare(uint64_t for_generation, bool is_wide, Prepare&& prepare) noexcept USERNIC_NONBLOCKING {
    type.assign(scratch_.get(), pending_.get());
    const Result<> result = prepare(scratch_.get());
    if (!result && !mutated(Mutation::kHalfImage)) return result;
    type.assign(pending_.get(), scratch_.get());
    ready = true;
    generation = for_generation;
    wide = is_wide;
    return result;
  }
  // The ready image is what is written next. Returns false when nothing is ready.
  bool take_ready() noexcept USERNIC_NONBLOCKING {
    if (!ready) return false;
    type.assign(writing_.get(), pending_.get());
    generation_ = generation;
    writing_wide_ = wide;
    ready = false;
    return true;
  }

 private:
  using Memory = std::unique_ptr<void, void (*)(void*) noexcept>;
  Memory make() const { return Memory(type.make(), type.destroy); }
  Memory pending_, scratch_, writing_;
  uint64_t generation_ = 0;  // of the one being written
  bool writing_wide_ = false;
};

}  // namespace usernic
