// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: numbered frames from one host to another, to see whether any is lost.
//
// A sender goes round a set of destination addresses, one frame a millisecond; a receiver counts the numbers that
// arrive. An address is in the set only while the card is known to cover it: put in after `wait-address` said so, taken
// out before the kernel is told to forget it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ctl/outcome.h"
#include "usernic/env.h"
#include "usernic/lock.h"
#include "usernic/mac_address.h"
#include "usernic/thread.h"
#include "usernic/unique_fd.h"

namespace usernic::cli {

class DemoFrames {
 public:
  // AF_PACKET sockets in the sending and the receiving host, and the interfaces' indices there.
  static ctl::Outcome<std::unique_ptr<DemoFrames>> start(UniqueFd sender, int sender_ifindex, UniqueFd receiver,
                                                         int receiver_ifindex);
  ~DemoFrames();
  DemoFrames(const DemoFrames&) = delete;
  DemoFrames& operator=(const DemoFrames&) = delete;

  // From now on frames go to these. Returns when those to the addresses before are no longer under way.
  void send_to(const std::vector<MacAddress>& addresses) USERNIC_EXCLUDES(lock_);

  // Returns when `count` more have been sent and have arrived, or are lost.
  void linger(uint32_t count);

  struct Count {
    uint64_t sent = 0, lost = 0;
  };
  // Ends sending, waits for what is under way, and counts.
  Count finish();

 private:
  DemoFrames(UniqueFd sender, int ifindex, UniqueFd receiver)
      : sender_(std::move(sender)), ifindex_(ifindex), receiver_(std::move(receiver)) {}
  void wait_received(uint32_t count);
  void send_loop() USERNIC_EXCLUDES(lock_);
  void receive_loop();
  bool send_one(const MacAddress& to, uint32_t number);

  static constexpr LockClass kClass{"demo frames"};
  const UniqueFd sender_;
  const int ifindex_;
  const UniqueFd receiver_;
  Mutex lock_{kClass};
  std::vector<MacAddress> addresses_ USERNIC_GUARDED_BY(lock_);
  StopSource stop_sending_, stop_receiving_;
  Atomic<uint32_t> sent_{0};
  Atomic<uint32_t> received_{0};  // different numbers
  Thread sending_, receiving_;
};

}  // namespace usernic::cli
