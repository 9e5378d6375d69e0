// SPDX-License-Identifier: Apache-2.0 OR MIT
// For tests: a device whose driver writes down what it is asked, and does what the test says.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "testing/plain_driver.h"
#include "testing/watch.h"
#include "usernic/net.h"

namespace usernic {

inline constexpr MacAddress kMac = MacAddress::from_u64(0x0200'0000'0001);
inline constexpr MacAddress kOtherMac = MacAddress::from_u64(0x0200'0000'0002);
inline constexpr MacAddress kGroup = MacAddress::from_u64(0x0300'0000'0001);
inline constexpr MacAddress kNeighbour = MacAddress::from_u64(0x0200'0000'0099);

// What the driver of a test does and saw.
struct Script {
  std::string log;  // "init open stop uninit destroy"; under rtnl
  std::function<Result<>()> init, open, change_mtu, set_mac, change_carrier;
  std::function<void()> stop, uninit, destroy;
  std::function<void(LinkStats&)> get_stats;
  NetDevice* dev = nullptr;

  Result<> step(const char* what, const std::function<Result<>()>& does) {
    note(what);
    return does ? does() : Result<>();
  }
  void note(const char* what) { log += (log.empty() ? "" : " ") + std::string(what); }
};

class ScriptDriver {
 public:
  ScriptDriver(NetDevice& dev, Script& script) : dev_(dev), script_(script) { script.dev = &dev; }
  ~ScriptDriver() {
    script_.note("destroy");
    if (script_.destroy) script_.destroy();
  }
  Result<> init() { return script_.step("init", script_.init); }
  void uninit() {
    script_.note("uninit");
    if (script_.uninit) script_.uninit();
  }
  Result<> open() {
    for (uint16_t i = 0; i < dev_.tx_queue_count(); ++i) dev_.tx_queue(i).start();
    return script_.step("open", script_.open);
  }
  void stop() {
    script_.note("stop");
    if (script_.stop) script_.stop();
  }
  Result<> change_mtu(uint32_t) { return script_.step("mtu", script_.change_mtu); }
  Result<> set_mac_address(const MacAddress&) { return script_.step("mac", script_.set_mac); }
  Result<> change_carrier(bool on) {
    const Result<> done = script_.step(on ? "carrier-on" : "carrier-off", script_.change_carrier);
    if (done) on ? dev_.carrier_on() : dev_.carrier_off();
    return done;
  }
  RxFilterCaps rx_filter_caps() const { return {.unicast_slots = 4, .multicast_slots = 4}; }
  void set_rx_mode_async(RxPlan& plan) {
    while (RxCommand* command = plan.next()) plan.answer(*command, {});
  }
  void get_stats(LinkStats& stats) const noexcept USERNIC_NONBLOCKING {
    const BlockingByDesign a_test_may;
    USERNIC_BLOCKING_BY_DESIGN_BEGIN
    if (script_.get_stats) script_.get_stats(stats);
    USERNIC_BLOCKING_BY_DESIGN_END
  }
  NetdevTx start_xmit(Skb& skb, TxQueue&, bool) noexcept USERNIC_NONBLOCKING {
    SkbPool::free(skb);
    return NetdevTx::kOk;
  }

 private:
  NetDevice& dev_;
  Script& script_;
};

struct NetDeviceTest : testing::Test {
  Net net;
  Script script;

  NetdevPtr make(const std::string& name = "t0") {
    return *net.alloc_netdev<ScriptDriver>({.name = name, .address = kMac, .tx_queues = 2}, script);
  }
  NetdevPtr registered(const std::string& name = "t0") {
    NetdevPtr dev = make(name);
    EXPECT_EQ(outcome(dev->register_netdev()), "ok");
    return dev;
  }
  std::string result_of_alloc(const NetdevConfig& config) {
    return outcome(net.alloc_netdev<ScriptDriver>(config, script));
  }
};

inline Result<> refuse(std::errc error) {
  return fail(error);
}

}  // namespace usernic
