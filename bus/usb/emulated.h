// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: a port with a model in it, in process; with its faults, for tests and demos, and to be served over USB/IP.
//
// One thread a device that is open: control transfers one after the other, each as long as Faults says; what the host
// sends and asks for beside them. A message longer than a transfer goes on in the next; one that fills its last packet
// and the transfer is followed by an empty transfer, as on the wire.
//
// Locks: the port's, a leaf. Order of life: devices that are open end before their port, and the port before its model.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bus/usb/faults.h"
#include "bus/usb/model.h"
#include "bus/usb/port.h"

namespace usernic::usb {

// Hears what a device is asked, and its end. Called by the thread of the device that is open, which goes on afterwards.
class PortWatch {
 public:
  // A control transfer was carried out. `data`: what was sent, or what the device answered.
  virtual void control(const Setup& setup, std::span<const uint8_t> data, const Result<uint32_t>& result) noexcept = 0;
  // The device was unplugged while it was open.
  virtual void unplugged() noexcept = 0;

 protected:
  ~PortWatch() = default;
};

class EmulatedPort final : public Port, private ToHost {
 public:
  // With the device plugged in. `watch` outlives it; null: nobody listens.
  EmulatedPort(Model& model, std::string name, PortWatch* watch = nullptr);
  ~EmulatedPort() override;

  Result<std::unique_ptr<Device>> open(const Wait& wait) override;
  std::string name() const override { return name_; }
  Duration look_again() const override { return std::chrono::milliseconds(20); }

  // Context: process or BH.
  void unplug() noexcept USERNIC_NONBLOCKING;
  // Plugs it in again, fresh. Requires: unplugged. Sleeps until who had it open has let go. Context: process.
  void plug();
  bool plugged() const noexcept USERNIC_NONBLOCKING { return plugged_.load(); }
  // The endpoint stalls until its halt is cleared.
  void halt(uint8_t endpoint) noexcept USERNIC_NONBLOCKING;

  Faults& faults() noexcept { return faults_; }
  const TransferCounts& counts() const noexcept { return counts_; }
  // Octets that wait for the host to ask.
  size_t waiting(uint8_t endpoint) const noexcept;

 private:
  friend class EmulatedDevice;
  static constexpr uint32_t kEndpoints = 16;
  // An endpoint's bit in a set of them.
  static constexpr uint32_t bit(uint8_t endpoint) noexcept {
    return 1u << ((endpoint & 0x0f) + ((endpoint & kIn) != 0 ? 16 : 0));
  }
  static constexpr uint32_t kMessages = 64;
  static constexpr uint32_t kMessageMax = 16 * 1024;
  struct Message {
    uint32_t size = 0, sent = 0;
    bool empty_follows = false;
    uint8_t octets[kMessageMax];
  };
  // A ring of messages, with memory from the start.
  struct Fifo {
    std::unique_ptr<Message[]> ring;
    uint32_t head = 0, count = 0;
  };

  std::optional<Result<uint32_t>> gather(Fifo& fifo, std::span<uint8_t> to, uint32_t packet) USERNIC_REQUIRES(lock_);
  bool deliver(uint8_t endpoint, std::span<const uint8_t> message) noexcept USERNIC_NONBLOCKING override;

  static constexpr LockClass kClass{"usb_emulated_port", LockUse::kAnyContext};
  Model& model_;
  const std::string name_;
  PortWatch* const watch_;
  Faults faults_;
  TransferCounts counts_;
  Configuration configuration_;
  Atomic<bool> plugged_{true};
  mutable SpinLock lock_{kClass};
  WaitQueue closed_;
  class EmulatedDevice* device_ USERNIC_GUARDED_BY(lock_) = nullptr;  // the one that is open
  Fifo fifos_[kEndpoints] USERNIC_GUARDED_BY(lock_);                  // of the IN endpoints
  uint32_t halted_ USERNIC_GUARDED_BY(lock_) = 0;  // a bit an endpoint, the IN ones in the upper half
  uint8_t configured_ USERNIC_GUARDED_BY(lock_) = 0;
};

}  // namespace usernic::usb
// Explained best by: bus/usb/emulated_test.cc
