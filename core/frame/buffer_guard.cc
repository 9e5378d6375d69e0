// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "core/frame/buffer_guard.h"

#include <algorithm>
#include <cstring>

#include "usernic/context.h"

// AddressSanitizer's, where the program has it.
extern "C" {
[[gnu::weak]] void __asan_poison_memory_region(const volatile void* from, size_t size);
[[gnu::weak]] void __asan_unpoison_memory_region(const volatile void* from, size_t size);
}

namespace usernic::buffer_guard {
namespace {

constexpr uint8_t kFree = 0x6b;
constexpr uint8_t kRed = 0xbb;

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // they write shadow memory
    void
    forbid(const uint8_t* from, size_t size) noexcept USERNIC_NONBLOCKING {
  if (__asan_poison_memory_region != nullptr) __asan_poison_memory_region(from, size);
}
void allow(const uint8_t* from, size_t size) noexcept USERNIC_NONBLOCKING {
  if (__asan_unpoison_memory_region != nullptr) __asan_unpoison_memory_region(from, size);
}
USERNIC_BLOCKING_BY_DESIGN_END

// The first octet that is something else.
std::optional<uint32_t> other(const uint8_t* from, uint32_t size, uint8_t than) noexcept USERNIC_NONBLOCKING {
  if (from[0] == than && std::memcmp(from, from + 1, size - 1) == 0) return {};
  return static_cast<uint32_t>(std::find_if(from, from + size, [=](uint8_t octet) { return octet != than; }) - from);
}

}  // namespace

bool wanted() noexcept {
  return kChecksOn || __asan_poison_memory_region != nullptr;
}

void forget(const uint8_t* buffer, uint32_t size) noexcept {
  allow(buffer - kZone, size + size_t{2} * kZone);
}

std::optional<uint32_t> open(uint8_t* buffer, uint32_t size, bool poisoned) noexcept {
  forget(buffer, size);
  std::optional<uint32_t> written;
  if (kChecksOn) {
    if (poisoned) written = other(buffer, size, kFree);
    std::memset(buffer - kZone, kRed, kZone);
    std::memset(buffer + size, kRed, kZone);
  }
  forbid(buffer - kZone, kZone);
  forbid(buffer + size, kZone);
  return written;
}

std::optional<int64_t> close(uint8_t* buffer, uint32_t size) noexcept {
  forget(buffer, size);
  std::optional<int64_t> written;
  if (kChecksOn) {
    if (const auto before = other(buffer - kZone, kZone, kRed)) written = int64_t{*before} - kZone;
    if (const auto behind = other(buffer + size, kZone, kRed)) written = int64_t{*behind} + size;
    std::memset(buffer, kFree, size);
  }
  forbid(buffer - kZone, size + size_t{2} * kZone);
  return written;
}

}  // namespace usernic::buffer_guard
