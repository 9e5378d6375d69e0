// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: the register image of a driver of the prepare + write style.
//
//   lists --[prepare_rx_mode, addr_list_lock]--> pending, ready --[swap, addr_list_lock]--> written
//   --[write_rx_mode]--> card
//
// The driver has a nested type RxModeImage: the values of its filter registers, trivially copyable. The core keeps two
// images, the pending one and the one that is being written. prepare_rx_mode fills a copy of the pending image. If it
// answers ok, the copy becomes the pending image, which is ready now; else nothing changes. A ready image is written
// without the lock, in a context that may sleep. If the write fails, the image stays ready, unless there is a newer
// one, and is written again later, with back-off.
#pragma once

#include <type_traits>

#include "usernic/annotations.h"
#include "usernic/context.h"
#include "usernic/error.h"

namespace usernic {

struct NetDevice;

// What the core must know of a driver's RxModeImage.
struct RxImageType {
  void* (*make)();
  void (*destroy)(void*) noexcept;
  void (*assign)(void* to, const void* from) noexcept USERNIC_NONBLOCKING;
};

template <class Image>
inline constexpr RxImageType kRxImageType = {
    []() -> void* { return new Image(); },
    [](void* image) noexcept { delete static_cast<Image*>(image); },
    [](void* to, const void* from) noexcept USERNIC_NONBLOCKING {
      static_assert(std::is_trivially_copyable_v<Image>, "an RxModeImage is register values: trivially copyable");
      *static_cast<Image*>(to) = *static_cast<const Image*>(from);
    },
};

namespace internal {
// The pending image, or null after a report. `image_is_ready` marks it and owes a run.
void* pending_rx_image(NetDevice& dev, const RxImageType& type, Place where) noexcept USERNIC_NONBLOCKING;
void rx_image_is_ready(NetDevice& dev) noexcept USERNIC_NONBLOCKING;
}  // namespace internal

// Changes something in the pending image that no list decides, a driver's private flag, say, by change(Image&). The
// image is ready afterwards and written soon. False, after a contract report: addr_list_lock is not held
// (Porting::lock_lists), or the device's image is of another type. From alloc_netdev on. Context: any but hard irq.
template <class Image, class Change>
bool update_rx_image(NetDevice& dev, Change&& change, Place where = Place::current()) {
  void* const pending = internal::pending_rx_image(dev, kRxImageType<Image>, where);
  if (pending == nullptr) return false;
  change(*static_cast<Image*>(pending));
  internal::rx_image_is_ready(dev);
  return true;
}

}  // namespace usernic
// Explained best by: core/rx/rx_image_style_test.cc
