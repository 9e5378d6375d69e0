// SPDX-License-Identifier: Apache-2.0 OR MIT
// kernel: what all the kernel's names share: types, errors, time, container_of.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "kernel/struct_names.h"
#include "usernic/env.h"
#include "usernic/error.h"
#include "usernic/hw_addr_list.h"
#include "usernic/mac_address.h"
#include "usernic/net.h"
#include "usernic/net_device.h"
#include "usernic/porting.h"

namespace usernic::kernel {

using u8 = uint8_t;
using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;
using __be16 = uint16_t;
using netdev_tx_t = NetdevTx;

inline constexpr int ETH_ALEN = 6;
inline constexpr u16 ARPHRD_ETHER = 1;
inline constexpr int MAX_ADDR_LEN = HwAddr::kMax;
inline constexpr NetdevTx NETDEV_TX_OK = NetdevTx::kOk;
inline constexpr NetdevTx NETDEV_TX_BUSY = NetdevTx::kBusy;
inline constexpr NetdevTx NETDEV_TX_LOCKED = NetdevTx::kLocked;  // of old drivers: a report

inline int error_of(const Result<>& result) {
  return result ? 0 : -static_cast<int>(result.error());
}

// Time in jiffies: milliseconds here.
inline constexpr unsigned long HZ = 1000;
constexpr unsigned long msecs_to_jiffies(unsigned ms) {
  return ms;
}
inline Duration duration_of(unsigned long jiffies) {
  return std::chrono::milliseconds(jiffies);
}

// The struct that has `ptr` as its member.
template <class Type, class Member>
Type* container_of_member(Member* ptr, Member Type::*member) {
  alignas(Type) static char room[sizeof(Type)];
  Type* const at = reinterpret_cast<Type*>(room);
  const ptrdiff_t offset = reinterpret_cast<char*>(&(at->*member)) - room;
  return reinterpret_cast<Type*>(reinterpret_cast<char*>(ptr) - offset);
}
// `member` may be one of a member: dwork.work.
template <class Type, class Ptr, class MemberOf>
Type* container_by(Ptr* ptr, MemberOf member_of) {
  alignas(Type) static char room[sizeof(Type)];
  const Ptr* const member = member_of(reinterpret_cast<Type*>(room));
  const ptrdiff_t offset = reinterpret_cast<const char*>(member) - room;
  return reinterpret_cast<Type*>(const_cast<char*>(reinterpret_cast<const char*>(ptr)) - offset);
}
#ifndef container_of
#define container_of(ptr, type, member) ::usernic::kernel::container_by<type>(ptr, [](type* of) { return &of->member; })
#endif

}  // namespace usernic::kernel
