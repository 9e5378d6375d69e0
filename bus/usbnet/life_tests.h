// SPDX-License-Identifier: Apache-2.0 OR MIT
// usbnet: for tests of every driver: what an adapter does the same, whichever it is. `adapter` is a NicFixture, probed,
// open and settled.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "bus/usb/echo_model.h"
#include "bus/usbnet/nic_fixture.h"
#include "usernic/address_list.h"
#include "usernic/rx_mode.h"

namespace usernic::usb {

// As short as a frame may be, as long as one with a tag, and around the sizes of packets. `pads_received`: what comes
// up is as long as it was on the cable.
template <class Fixture>
void frames_of_every_length(Fixture& adapter, size_t frame_min, bool pads_received) {
  uint32_t number = 0x4000;
  size_t sent = 0;
  for (const uint32_t size : {18u, 59u, 60u, 64u, 124u, 128u, 512u, 1024u, 1513u, 1514u, 1518u}) {
    const std::vector<uint8_t> frame = make_frame(adapter.dev->address(), ++number, size);
    ASSERT_EQ(adapter.xmit(frame), 1u);
    ASSERT_TRUE(adapter.ear.wait(++sent));
    std::vector<uint8_t> padded = frame;
    padded.resize(std::max<size_t>(size, frame_min));
    EXPECT_EQ(adapter.ear.frames().back(), padded) << size;
    ASSERT_TRUE(adapter.model.receive(frame));
    ASSERT_TRUE(adapter.listener.wait_seen(number));
    EXPECT_EQ(adapter.listener.last(), pads_received ? padded : frame) << size;
  }
  EXPECT_EQ(adapter.dev->stats().rx_errors, 0u);
}

// Returns how often the sender was stopped.
template <class Fixture>
uint32_t send_faster_than_the_bus(Fixture& adapter, uint32_t frames) {
  NetDevice& dev = *adapter.dev;
  SkbBatch batch;
  uint32_t sent = 0, stops = 0;
  for (uint32_t made = 0; sent < frames;) {
    for (; made < frames && batch.size() < 32; ++made) {
      const auto frame = make_frame(kOther, made);
      Skb* const skb = adapter.frames.alloc();
      if (skb == nullptr) break;  // they come back with what was sent
      std::copy(frame.begin(), frame.end(), skb->put(60));
      batch.push_back(*skb);
    }
    const uint32_t news = adapter.listener.news_count();
    sent += dev.xmit(dev.tx_queue(0), batch);
    if (!batch.empty() && dev.tx_queue(0).stopped()) {
      ++stops;
      if (!adapter.listener.wait_news(news)) {
        ADD_FAILURE() << "nobody wakes the queue";
        return stops;
      }
    }
  }
  EXPECT_TRUE(adapter.ear.wait(frames));
  const auto heard = adapter.ear.frames();
  for (uint32_t number = 0; number < std::min<size_t>(frames, heard.size()); ++number) {
    EXPECT_EQ(number_of(heard[number]), number);
  }
  return stops;
}

template <class Fixture>
void link_goes_and_comes(Fixture& adapter) {
  for (const bool up : {false, true}) {
    adapter.model.set_link(up);
    EXPECT_TRUE(eventually([&] { return adapter.dev->carrier_ok() == up; }));
  }
}

// Each of them stalls once: it is cleared, and frames and the link are as before.
template <class Fixture>
void stall_and_go_on(Fixture& adapter, std::initializer_list<uint8_t> endpoints) {
  for (const uint8_t endpoint : endpoints) {
    SCOPED_TRACE("endpoint " + std::to_string(endpoint));
    adapter.plug->halt(endpoint);
    EXPECT_TRUE(eventually([&] {
      adapter.xmit(make_frame(kOther, 1));
      return adapter.dev->tx_queue(0).stopped() || !adapter.ear.frames().empty();
    }));
    const size_t heard = adapter.ear.frames().size();
    EXPECT_TRUE(eventually([&] {
      adapter.xmit(make_frame(kOther, 2));
      return adapter.ear.frames().size() > heard;
    }));
    EXPECT_TRUE(adapter.through());
    link_goes_and_comes(adapter);
  }
}

template <class Fixture>
void close_and_open_again(Fixture& adapter) {
  ASSERT_TRUE(adapter.dev->mc().add(multicast(1)));
  for (int n = 0; n < 20; ++n) {
    ASSERT_TRUE(adapter.dev->close());
    EXPECT_FALSE(adapter.model.filter().receiving);
    ASSERT_TRUE(adapter.dev->open() && adapter.settled());
    EXPECT_TRUE(adapter.hears(multicast(1)));
  }
}

template <class Fixture>
void promiscuity_off_leaves_allmulti(Fixture& adapter) {
  RxMode& mode = adapter.dev->rx_mode();
  ASSERT_TRUE(mode.set_allmulti(1) && mode.set_promiscuity(1) && adapter.settled());
  ASSERT_TRUE(mode.set_promiscuity(-1) && adapter.settled());
  EXPECT_TRUE(adapter.hears(multicast(5)));
  EXPECT_FALSE(adapter.hears(unicast(5)));
}

// One command in `every` fails.
template <class Fixture>
void commands_fail_and_are_tried_again(Fixture& adapter, uint32_t every) {
  adapter.plug->faults().fail_every.store(every);
  for (uint64_t n = 1; n <= 10; ++n) ASSERT_TRUE(adapter.dev->mc().add(multicast(n)));
  ASSERT_TRUE(adapter.settled());
  for (uint64_t n = 1; n <= 10; ++n) EXPECT_TRUE(adapter.model.accepts(multicast(n)));
}

// A thousand groups come and go while the adapter is busy with one command; then it is not any more.
template <class Fixture>
void change_much_while_a_command_runs(Fixture& adapter) {
  adapter.plug->faults().control_ns.store(20'000'000);
  for (uint64_t n = 1; n <= 1000; ++n) ASSERT_TRUE(adapter.dev->mc().add(multicast(n)));
  for (uint64_t n = 1; n <= 1000; ++n) ASSERT_TRUE(adapter.dev->mc().del(multicast(n)));
  adapter.plug->faults().control_ns.store(0);
  ASSERT_TRUE(adapter.settled());
  EXPECT_LE(adapter.plug->counts().in_flight_max.load(), 1u);
}

// Its own request is given up at its deadline.
template <class Fixture>
void close_while_a_command_is_stuck(Fixture& adapter) {
  adapter.plug->faults().control_ns.store(3'600'000'000'000);
  ASSERT_TRUE(adapter.dev->mc().add(multicast(1)));
  Thread closer("closer", [&] { EXPECT_TRUE(adapter.dev->close()); });
  closer.join();
  adapter.plug->faults().control_ns.store(0);
  ASSERT_TRUE(adapter.dev->open() && adapter.settled());
  EXPECT_TRUE(adapter.hears(multicast(1)));
}

template <class Driver>
void takes_no_stranger() {
  EchoModel stranger;
  Net net;
  const auto port = std::make_shared<EmulatedPort>(stranger, "emulated:stranger");
  const Wait wait{.deadline = soon()};
  EXPECT_EQ(Driver::probe(net, {}, port, *port->open(wait), wait).error(), std::errc::not_supported);
  EXPECT_EQ(Driver::probe(net, {.mtu = Driver::kMtuMax + 1}, port, *port->open(wait), wait).error(),
            std::errc::invalid_argument);
}

}  // namespace usernic::usb
