// SPDX-License-Identifier: Apache-2.0 OR MIT
// impair: another device behind a bad wire: frames are lost, late, doubled, damaged or overtaken, as a seed decides.
//
// It takes all frames of the device below and sends by it, has its address, its carrier and at most its MTU; while it
// is up, what it wants received is wanted below, too. No superframe gets here: what is lost is a frame of the wire.
// Frames that the device below has no room for wait (LowerLink::xmit). [kernel: net/sched/sch_netem.c]
#pragma once

#include "drivers/impair/fate.h"
#include "drivers/impair/impaired_way.h"
#include "usernic/driver.h"
#include "usernic/ethtool.h"
#include "usernic/lower_link.h"
#include "usernic/net.h"
#include "usernic/rx_handler.h"

namespace usernic {

class Impair final : public RxHandler {
 public:
  // A bad wire to `lower`, not registered yet. EINVAL: config_error says why. What `register_netdev` adds: EBUSY,
  // somebody else takes the frames of `lower`; and the errors of LowerLink::link.
  static Result<NetdevPtr> probe(Net& net, NetdevConfig config, NetDevice& lower, ImpairConfig impair);

  Impair(NetDevice& dev, NetDevice& lower, const ImpairConfig& config);
  ~Impair() override = default;

  Result<> init();
  void uninit();
  Result<> open();
  void stop();
  NetdevTx start_xmit(Skb& skb, TxQueue& queue, bool more) noexcept USERNIC_NONBLOCKING;
  // ERANGE: more than the lower device's.
  Result<> change_mtu(uint32_t mtu);
  Result<> set_mac_address(const MacAddress&) { return {}; }  // any will do; the link passes it on
  Result<> get_ethtool_stats(std::vector<NamedCounter>& counters);

  void receive(SkbBatch& frames) noexcept USERNIC_NONBLOCKING override;  // of the device below

 private:
  static void up(void* self, SkbBatch& frames) noexcept USERNIC_NONBLOCKING;
  static void down(void* self, SkbBatch& frames) noexcept USERNIC_NONBLOCKING;
  void lower_changed();

  NetDevice& dev_;
  const DeviceHandle lower_;  // stays in memory; whether it is still there, the link knows
  const ImpairConfig config_;
  ImpairedWay in_, out_;
  Work changed_;
  LowerLink link_;
};

}  // namespace usernic
// Explained best by: drivers/impair/impair_test.cc
