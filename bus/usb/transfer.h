// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: one transfer, asynchronous: what is asked of an endpoint, and what came of it.
//
//   idle --submit--> in flight --(done, failed, cancelled, unplugged)--> complete() --> idle, or in flight again
//
// Each submit that succeeds ends in exactly one `complete`. The transfer, and the memory of `data`, are the bus' from
// the submit until then. Endpoint 0 is control: `setup` goes first, and its direction bit says which way data goes.
// [kernel: struct urb]
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <span>

#include "usernic/annotations.h"
#include "usernic/env.h"
#include "usernic/error.h"

namespace usernic::usb {

inline constexpr uint8_t kIn = 0x80;  // in an endpoint's address and in Setup::request_type: towards the host

enum class Speed : uint8_t { kUnknown = 0, kLow = 1, kFull = 2, kHigh = 3, kSuper = 5 };  // as USB/IP numbers them

struct Setup {
  uint8_t request_type = 0;
  uint8_t request = 0;
  uint16_t value = 0;
  uint16_t index = 0;
  uint16_t length = 0;
};

// What a device may take for a request of its control endpoint, at most [USB 2.0: 9.2.6.1].
inline constexpr Duration kRequestMost = std::chrono::seconds(5);

// How long a call may take, and who may end it early.
struct Wait {
  StopToken stop{};
  Time deadline = kForever;
};

class Transfer {
 public:
  // Called with BHs disabled, by a thread of the bus that holds no lock. May submit the transfer again, or others.
  using Complete = void (*)(void* owner, Transfer& transfer) noexcept USERNIC_NONBLOCKING;

  Transfer(Complete complete, void* owner) noexcept : complete_(complete), owner_(owner) {}
  // Requires: idle, which Device::kill sees to.
  ~Transfer() = default;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // What is asked. Set while idle.
  uint8_t endpoint = 0;  // its address: number, and kIn
  Setup setup{};         // of endpoint 0
  std::span<uint8_t> data{};
  bool zero_packet = false;  // out: data that fills its last packet is followed by an empty one

  // What came of it: how many octets were transferred; or broken_pipe: the endpoint stalled; no_such_device: unplugged;
  // operation_canceled; value_too_large: the device sent more than fits; anything else: the bus failed.
  Result<uint32_t> result{0};

  // Which way data goes.
  bool in() const noexcept { return ((endpoint == 0 ? setup.request_type : endpoint) & kIn) != 0; }

 private:
  friend class Device;
  enum class State : uint8_t { kIdle, kQueued, kTaken, kCompleting };
  const Complete complete_;
  void* const owner_;
  // Guarded by the device's lock.
  State state_ = State::kIdle;
  bool cancelled_ = false;
  int kills_ = 0;
  uint32_t tag_ = 0;                           // the transport's while it has the transfer; 0 before
  boost::intrusive::list_member_hook<> hook_;  // the bus': queued, or taken

 public:
  using Hook = boost::intrusive::member_hook<Transfer, boost::intrusive::list_member_hook<>, &Transfer::hook_>;
};
using Transfers = boost::intrusive::list<Transfer, Transfer::Hook, boost::intrusive::constant_time_size<false>>;

}  // namespace usernic::usb
// Explained best by: bus/usb/emulated_test.cc
