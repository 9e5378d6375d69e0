// SPDX-License-Identifier: Apache-2.0 OR MIT
// core: what watches the buffers of an SkbPool: a red zone before and behind each, poison in those that are free.
//
// While checks are on both are patterns, looked at when a frame leaves its pool and when it comes back. Where
// AddressSanitizer is in the program, however the core was compiled, it is told of them as well, so that it traps at
// the line that reads or writes there.
#pragma once

#include <cstdint>
#include <optional>

#include "usernic/annotations.h"

namespace usernic::buffer_guard {

inline constexpr uint32_t kZone = 64;  // octets, before and behind

bool wanted() noexcept;

// It is somebody's from now on. Returns the first octet that was written since `close` poisoned it.
std::optional<uint32_t> open(uint8_t* buffer, uint32_t size, bool poisoned) noexcept USERNIC_NONBLOCKING;
// It is nobody's any more. Returns the first octet of a red zone that was written, counted from the buffer's first.
std::optional<int64_t> close(uint8_t* buffer, uint32_t size) noexcept USERNIC_NONBLOCKING;
// Before its memory goes.
void forget(const uint8_t* buffer, uint32_t size) noexcept USERNIC_NONBLOCKING;

}  // namespace usernic::buffer_guard
