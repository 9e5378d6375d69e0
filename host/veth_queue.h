// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: the frames of a veth, by a packet socket: many a call, both ways.
//
// What finds no room in the socket is dropped, as on any NIC; the kernel's is counted by the socket.
//
// Locks: one of a leaf, for who writes: several may.
#pragma once

#include "bus/netif/packet_reader.h"
#include "bus/netif/packet_writer.h"
#include "host/kernel_end.h"
#include "usernic/lock.h"

namespace usernic {

class VethQueue final : public EndQueue {
 public:
  VethQueue(PacketSocket& socket, NetDevice* of) noexcept
      : socket_(socket), of_(of), reader_(socket), writer_(socket) {}

  int fd() const noexcept override { return socket_.fd(); }
  bool read(FramePools& pools, uint32_t frame_bytes_max, SkbBatch& frames) override;
  void free_spare() override { reader_.free_spare(); }
  bool gone() const noexcept override { return false; }  // it may only be without carrier
  uint64_t write(SkbBatch& frames) noexcept USERNIC_NONBLOCKING override;
  uint64_t oversized() const noexcept override { return reader_.oversized() + reader_.unknown(); }
  uint64_t overrun() const noexcept override;
  std::string io() const override { return "mmsg"; }

 private:
  static constexpr uint32_t kBatch = 64;
  static constexpr LockClass kWriterClass{"veth_writer", LockUse::kAnyContext};

  PacketSocket& socket_;
  NetDevice* const of_;
  PacketReader reader_;
  SpinLock lock_{kWriterClass};
  PacketWriter writer_ USERNIC_GUARDED_BY(lock_);
  mutable Atomic<uint64_t> overrun_{0};
};

}  // namespace usernic
// Explained best by: host/veth_test.cc
