// SPDX-License-Identifier: Apache-2.0 OR MIT
// The hand-off from what is wanted to what the card holds, against everything that happens meanwhile.
#include "usernic/rx_mode.h"

#include "sim/rx_world.h"
#include "sim/scenarios/scenarios.h"
#include "sim/scheduler.h"
#include "usernic/work.h"

namespace usernic::sim {

using std::chrono::milliseconds;

namespace {

int few(Chance& chance) {
  return static_cast<int>(chance.between(1, 5));
}
int many(Chance& chance) {
  return static_cast<int>(chance.between(3, 16));
}

// The end of a history: settled, thinned out, gone.
void end(RxWorld& world, Chance& chance) {
  world.converge();
  world.thin_out(chance.below(2));
  world.unregister();
}

}  // namespace

void play_hand_off(Chance chance) {
  RxWorld world(random_world(chance), chance);
  together({{"user-1", [&, c = chance.stream(1)] { world.change(c, 12); }},
            {"user-2", [&, c = chance.stream(2)] { world.change(c, 8); }},
            {"reader", [&, c = chance.stream(3)] { world.read(c, 2); }},
            {"vlans", [&, c = chance.stream(4), n = few(chance)] { world.filter_vlans(c, n); }}});
  end(world, chance);
}

void play_reset(Chance chance) {
  RxWorld world(random_world(chance), chance);
  together({{"user", [&, c = chance.stream(1), n = many(chance)] { world.change(c, n); }},
            {"firmware-1", [&, c = chance.stream(2), n = few(chance)] { world.reset(c, n); }},
            {"firmware-2", [&, c = chance.stream(3)] { world.reset(c, 1); }}});
  end(world, chance);
}

void play_reopen(Chance chance) {
  RxWorld world(random_world(chance), chance);
  together({{"user", [&, c = chance.stream(1), n = many(chance)] { world.change(c, n); }},
            {"admin-1", [&, c = chance.stream(2), n = few(chance)] { world.reopen(c, n); }},
            {"admin-2", [&, c = chance.stream(3), n = few(chance)] { world.reopen(c, n); }},
            {"firmware", [&, c = chance.stream(4)] { world.reset(c, 1); }}});
  end(world, chance);
}

// Few slots, the own address in one of them, and answers that teach limits: who has a slot changes all the time.
void play_overflow(Chance chance) {
  RxWorldConfig config = random_world(chance);
  config.caps.own_address_uses_slot = true;
  config.caps.unicast_slots = static_cast<uint32_t>(chance.between(1, 2));
  config.temper.refusal_one_in = chance.one_in(2) ? chance.between(2, 4) : 0;
  config.temper.unsupported_one_in = 0;
  RxWorld world(config, chance);
  together({{"user", [&, c = chance.stream(1), n = many(chance)] { world.change(c, n); }},
            {"admin", [&, c = chance.stream(2), n = few(chance)] { world.change_own(c, n); }}});
  end(world, chance);
}

// A slow card: whoever needs it asks the running call to stop.
void play_parking(Chance chance) {
  RxWorldConfig config = random_world(chance);
  config.temper.latency = milliseconds(chance.between(1, 9));
  RxWorld world(config, chance);
  together({{"user", [&, c = chance.stream(1), n = many(chance)] { world.change(c, n); }},
            {"admin-1",
             [&, c = chance.stream(2), n = few(chance)]() mutable {
               for (int i = 0; i < n; ++i) (void)world.dev().change_mtu(1000 + static_cast<uint32_t>(c.below(3)));
             }},
            {"admin-2", [&, c = chance.stream(3), n = few(chance)] { world.change_own(c, n); }},
            {"guard", [&, n = few(chance)] {
               for (int i = 0; i < n; ++i) {
                 const LaneGuard lane(world.dev().lane());
                 point("parked");
                 expect(!world.card().in_call, "parking", "a driver call runs in a parked lane");
               }
             }}});
  end(world, chance);
}

void play_tickets(Chance chance) {
  RxWorldConfig config = random_world(chance);
  config.temper.transient_one_in = chance.between(2, 4);
  RxWorld world(config, chance);
  together({{"user", [&, c = chance.stream(1), n = many(chance)] { world.change(c, n); }},
            {"waiter-1", [&, c = chance.stream(2)] { world.wait_for(c, 4); }},
            {"waiter-2", [&, c = chance.stream(3)] { world.wait_for(c, 4); }},
            {"admin", [&, c = chance.stream(4), n = few(chance) / 3] { world.reopen(c, n); }}});
  end(world, chance);
}

// More changes at once than one hold of the lock drains.
void play_burst(Chance chance) {
  RxWorldConfig config = random_world(chance);
  config.addresses = 70;
  config.caps.multicast_slots = chance.one_in(2) ? 100 : 3;
  config.caps.multicast_hash_buckets = chance.one_in(2) ? 64 : 0;
  config.temper = {};
  RxWorld world(config, chance);
  const auto burst = [&world](Chance c) {
    for (int round = 0; round < 2; ++round) {
      for (const MacAddress& address : world.addresses()) {
        if (address.is_multicast()) (void)(round == 0 ? world.dev().mc().add(address) : world.dev().mc().del(address));
      }
      if (c.one_in(2)) break;
    }
  };
  together({{"burst", [&, c = chance.stream(1)] { burst(c); }},
            {"user", [&, c = chance.stream(2), n = few(chance)] { world.change(c, n); }}});
  end(world, chance);
}

// Somebody who heard everything asks for one address instead, while others keep the runs coming: flags and addresses
// must be read together.
void play_promiscuity(Chance chance) {
  RxWorldConfig config = random_world(chance);
  config.addresses = 5;
  config.caps.multicast_slots = 16;  // room, so that nothing else keeps the filter wide
  config.caps.shared_slots = config.caps.own_address_uses_slot = false;
  config.temper = {};
  RxWorld world(config, chance);
  const auto narrow_down = [&world](Chance c) {
    NetDevice& dev = world.dev();
    for (int i = 0; i < 4; ++i) {
      (void)dev.rx_mode().set_promiscuity(1);
      (void)dev.rx_mode().settle(Clock::now() + milliseconds(20));
      const MacAddress address = world.addresses()[5 + c.below(2)];
      (void)dev.mc().add(address);
      (void)dev.rx_mode().set_promiscuity(-1);
      if (c.one_in(2)) (void)dev.mc().del(address);
    }
  };
  const auto keep_busy = [&world](Chance c) {
    for (int i = 0; i < 16; ++i) {
      const MacAddress address = world.addresses()[7 + c.below(3)];
      (void)(c.one_in(2) ? world.dev().mc().add(address) : world.dev().mc().del(address));
      if (c.one_in(3)) (void)StopToken().wait_until(Clock::now() + std::chrono::microseconds(c.below(100)));
    }
  };
  together({{"sniffer", [&, c = chance.stream(1)] { narrow_down(c); }},
            {"busy-1", [&, c = chance.stream(2)] { keep_busy(c); }},
            {"busy-2", [&, c = chance.stream(3)] { keep_busy(c); }}});
  end(world, chance);
}

void play_unregister(Chance chance) {
  RxWorld world(random_world(chance), chance);
  together({{"user", [&, c = chance.stream(1), n = many(chance)] { world.change(c, n); }},
            {"firmware", [&, c = chance.stream(2)] { world.reset(c, 2); }},
            {"waiter", [&, c = chance.stream(3)] { world.wait_for(c, 3); }},
            {"admin", [&, c = chance.stream(4), n = few(chance) / 2] { world.reopen(c, n); }},
            {"remover", [&, c = chance.stream(5)]() mutable {
               (void)StopToken().wait_until(Clock::now() + std::chrono::microseconds(c.below(3000)));
               world.dev().unregister_netdev();
               world.card().unregistered = true;
             }}});
  expect(world.dev().ref_holders().empty(), "references", "somebody holds a reference after unregister");
}

}  // namespace usernic::sim
