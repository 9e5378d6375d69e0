// SPDX-License-Identifier: Apache-2.0 OR MIT
// Work items: cancelling, disabling and flushing against queueing, and unregistering against the last reference.
#include "usernic/work.h"

#include <optional>

#include "sim/rx_world.h"
#include "sim/scenarios/scenarios.h"
#include "sim/scheduler.h"

namespace usernic::sim {

using std::chrono::microseconds;

namespace {

// An item that several queue and take back. The counters are the scenario's own: plain, nobody waits on them.
struct Item {
  Net& net;
  Workqueue queue;
  int running = 0;
  int disabled = 0;
  uint64_t runs = 0;
  uint64_t taken_back = 0;  // odd: somebody is at it
  Work work;

  Item(Net& the_net, int max_active) : net(the_net), queue(net, "sim", max_active), work([this] { body(); }) {}

  void body() {
    expect(++running == 1, "one-at-a-time", "an item is concurrent with itself");
    expect(disabled == 0, "disabled", "a disabled item starts");
    point("body");
    if (runs % 3 == 1) queue.queue(work);
    if (runs % 5 == 2) (void)current_stop_token().wait_until(Clock::now() + microseconds(400));
    expect(disabled == 0, "disabled", "a disabled item runs");
    ++runs;
    --running;
  }

  void queue_it(Chance chance) {
    for (int i = 0; i < 6; ++i) {
      if (chance.one_in(3)) {
        queue.queue_at(work, Clock::now() + microseconds(chance.below(2000)));
      } else {
        const uint64_t before = runs, taken_before = taken_back;
        const bool queued = queue.queue(work);
        if (queued && chance.one_in(2)) {
          chance.one_in(2) ? void(work.flush()) : queue.flush();
          const bool ran = runs != before || taken_back != taken_before || taken_before % 2 != 0;
          expect(ran, "flush", "an item that was queued and not taken back did not run before flush returned");
        }
      }
      if (chance.one_in(3)) (void)StopToken().wait_until(Clock::now() + microseconds(chance.below(1000)));
    }
  }
  void cancel_it(Chance chance) {
    for (int i = 0; i < 3; ++i) {
      ++taken_back;
      if (chance.one_in(2)) {
        work.cancel_sync();
      } else {
        work.disable_sync();
        ++disabled;
        expect(running == 0, "disabled", "disable_sync returns while the item runs");
        point("disabled");
        --disabled;
        work.enable();
      }
      ++taken_back;
    }
  }
};

}  // namespace

void play_work(Chance chance) {
  Net net;
  Item item(net, static_cast<int>(chance.between(1, 2)));
  together({{"queues-1", [&, c = chance.stream(1)] { item.queue_it(c); }},
            {"queues-2", [&, c = chance.stream(2)] { item.queue_it(c); }},
            {"cancels", [&, c = chance.stream(3)] { item.cancel_it(c); }},
            {"parks", [&] {
               for (int i = 0; i < 2; ++i) {
                 item.queue.park();
                 expect(item.running == 0, "parked", "an item runs in a parked queue");
                 point("parked");
                 expect(item.running == 0, "parked", "an item runs in a parked queue");
                 item.queue.unpark();
               }
             }}});
  item.work.cancel_sync();
  expect(!item.work.pending() && item.running == 0, "cancel", "an item is there after cancel_sync");
}

// Items that belong to a device, queued by those who hold a reference; unregister must see all of them through.
void play_references(Chance chance) {
  Net net;
  Card card({}, {}, chance.stream(20));
  NetdevPtr dev = *net.alloc_netdev<CardDriver>({.name = "ref", .address = RxWorld::own(0)}, card);
  expect(dev->register_netdev().has_value(), "register", "the device cannot be registered");
  if (chance.one_in(2)) (void)dev->open();
  bool gone = false;
  const auto body = [&] {
    for (int i = 0; i < 3; ++i) {
      expect(!gone, "late-item", "a device's work item runs after unregister has returned");
      point("body");
    }
  };
  Work first(body, dev.get()), second(body, dev.get());
  const auto use = [&](Chance c, Work& work) {
    DeviceRef ref(*dev, "user");
    return [&, c, held = std::make_shared<DeviceRef>(std::move(ref))]() mutable {
      for (int i = 0; i < 3; ++i) {
        net.system_workqueue().queue(work);
        if (c.one_in(3)) net.system_workqueue().queue_at(work, Clock::now() + microseconds(c.below(500)));
        if (c.one_in(4)) work.cancel_sync();
      }
      expect(!gone, "reference", "unregister returns while a reference is held");
      held->put();
    };
  };
  auto user_1 = use(chance.stream(1), first), user_2 = use(chance.stream(2), second);
  together({{"user-1", user_1}, {"user-2", user_2}, {"remover", [&] {
                                                       dev->unregister_netdev();
                                                       gone = true;
                                                       card.unregistered = true;
                                                     }}});
  expect(dev->ref_holders().empty(), "references", "somebody holds a reference after unregister");
  dev.reset();
}

}  // namespace usernic::sim
