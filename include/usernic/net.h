// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: a Net is a namespace of devices: its own rtnl, names, notifiers, workers and poll threads.
//
// Several Nets live in one process and have nothing in common [kernel: struct net].
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "usernic/device_handle.h"
#include "usernic/driver.h"
#include "usernic/net_device.h"

namespace usernic {

// Frees the device; one that is registered is unregistered first. [kernel: unregister_netdev, free_netdev]
struct FreeNetdev {
  void operator()(NetDevice* dev) const;
};
using NetdevPtr = std::unique_ptr<NetDevice, FreeNetdev>;

struct NetdevConfig {
  std::string name = "nic%d";  // "%d" is replaced by the first free number at registration
  MacAddress address;          // zero: a random, locally administered one
  bool address_later = false;  // then: zeros until the driver sets one (own_addresses.h) [kernel: alloc_netdev]
  uint32_t mtu = 1500;
  uint32_t mtu_min = 68;
  uint32_t mtu_max = 9000;
  uint16_t tx_queues = 1;
  uint16_t rx_queues = 1;                       // of which its NAPI instances name one each [kernel: alloc_netdev_mqs]
  Duration rx_retry = std::chrono::seconds(1);  // after a first failure; doubles up to 60 times that
  Duration watchdog = std::chrono::seconds(5);  // a TX queue may be stopped so long [kernel: watchdog_timeo]
};

struct NetConfig {
  uint16_t poll_threads = 1;   // at least one; each NAPI instance has one of them for its home
  std::vector<int> poll_cpus;  // they run on these, in turn; empty: wherever they may
};

class Net {
 public:
  explicit Net(const NetConfig& config = {});
  // Requires: every device is freed, and no DeviceHandle is left.
  ~Net();
  Net(const Net&) = delete;
  Net& operator=(const Net&) = delete;

  // A device with a driver of type D, built as D(NetDevice&, args...). Context: process.
  // EINVAL: a name that is empty, longer than 15 octets, or has '/', ':', white space
  // or a '%' other than one "%d". ENOMEM; what D's constructor throws passes. [kernel: alloc_netdev_mqs]
  template <class D, class... Args>
  Result<NetdevPtr> alloc_netdev(const NetdevConfig& config, Args&&... args) {
    static constexpr NetDeviceOps kOps = ops_of<D>();
    Result<NetdevPtr> dev = alloc(config, kOps);
    if (dev) set_driver(**dev, new D(**dev, std::forward<Args>(args)...));
    return dev;
  }

  // The same for ops that are known only when the program runs. An op that is null is absent. `ops` outlives the
  // device, and so does `driver`, unless `destroy` frees it. EINVAL: no open, stop or start_xmit, or two rx-mode
  // styles.
  Result<NetdevPtr> alloc_netdev_with(const NetdevConfig& config, const NetDeviceOps& ops, void* driver);

  // The registered device of that name / all registered devices, sorted by name. Context: process.
  DeviceHandle find(std::string_view name) const;
  std::vector<DeviceHandle> devices() const;

  // The lock under which devices are registered, opened and changed [kernel: rtnl_lock].
  Mutex& rtnl() noexcept;
  // A concurrent queue for everybody's short items [kernel: system_wq].
  Workqueue& system_workqueue() noexcept USERNIC_NONBLOCKING;

  // A pool for frames that may outlive the device that makes them: copies in a lower device's TX ring, say. It lives as
  // long as the Net. All who ask for one size share it. Context: process.
  SkbPool& shared_pool(uint32_t frame_bytes_max);

  struct Impl;  // the core's
  Impl& impl() const noexcept USERNIC_NONBLOCKING { return *impl_; }

 private:
  Result<NetdevPtr> alloc(const NetdevConfig& config, const NetDeviceOps& ops);
  static void set_driver(NetDevice& dev, void* driver);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace usernic
// Explained best by: core/device/net_device_test.cc
