// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: serves the device at a port over USB/IP, so that a kernel's vhci_hcd, or our own client, takes it.
//
// One device, one importer at a time; a list says whether it is there. Unplugged, the importer's connection is closed.
// Threads: one that polls; the device's own completes transfers. Locks: one, a leaf.
#pragma once

#include <list>
#include <memory>
#include <string>

#include "bus/usb/port.h"
#include "bus/usb/socket.h"
#include "bus/usb/usbip.h"
#include "usernic/kick.h"
#include "usernic/thread.h"

namespace usernic::usb {

class UsbipServer {
 public:
  // Listens on `address`, TCP port 0 for any. The port outlives the server. Context: process.
  static Result<std::unique_ptr<UsbipServer>> create(Port& port, std::string bus_id, const std::string& address,
                                                     uint16_t tcp_port);
  ~UsbipServer();
  UsbipServer(const UsbipServer&) = delete;
  UsbipServer& operator=(const UsbipServer&) = delete;

  uint16_t tcp_port() const noexcept { return tcp_port_; }

 private:
  struct Connection;
  struct Served;
  UsbipServer(Port& port, std::string bus_id, Socket listener, uint16_t tcp_port, Kick kick);

  void run();
  void accept();
  bool serve(Connection& connection);
  bool understand(Connection& connection);
  size_t operation(Connection& connection, std::span<const uint8_t> octets, bool& ends);
  size_t command(Connection& connection, std::span<const uint8_t> octets, bool& ends);
  Result<> accepted(Transfer& transfer, const usbip::Header& header);
  bool submit(Connection& connection, const usbip::Header& header, std::span<const uint8_t> data);
  void unlink(Connection& connection, const usbip::Header& header);
  void list(Connection& connection);
  bool import(Connection& connection, const std::string& bus_id);
  usbip::Record record(const Device& device) const;
  void answer_completed();
  void answer(Served& served);
  void let_go_if_gone();
  void let_go();

  Port& port_;
  const std::string bus_id_;
  const Socket listener_;
  const uint16_t tcp_port_;
  Kick kick_;
  Atomic<bool> closing_{false};
  // The thread's.
  std::list<Connection> connections_;
  std::unique_ptr<Device> device_;  // while somebody has it imported
  Connection* importer_ = nullptr;  // who
  std::list<Served> served_;        // what they submitted
  static constexpr LockClass kClass{"usbip_server", LockUse::kAnyContext};
  SpinLock lock_{kClass};
  Served* completed_ USERNIC_GUARDED_BY(lock_) = nullptr;  // newest first
  Thread thread_;
};

}  // namespace usernic::usb
// Explained best by: bus/usb/usbip_test.cc
