// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: for tests, a TestNic shown as "nic0" in a fresh namespace, and things that happen to it there.
#pragma once

#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "host/host_loop.h"
#include "host/host_port.h"
#include "host/mirror.h"
#include "host/namespace_fixture.h"
#include "host/rtnetlink.h"
#include "testing/nic.h"

namespace usernic {

class HostPortTest : public NamespaceTest {
 protected:
  static constexpr const char* kOwn = "02:00:00:00:00:01";
  static MacAddress mac(const char* text) { return *MacAddress::parse(text); }

  void SetUp() override {
    if (!by_veth() && !can_open_tun()) GTEST_SKIP() << "/dev/net/tun cannot be opened";
    NamespaceTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    auto dev = net_.alloc_netdev<TestNic>({.name = "nic0", .address = mac(kOwn)});
    ASSERT_TRUE(dev);
    dev_ = std::move(*dev);
    ASSERT_TRUE(dev_->register_netdev());
    auto rtnetlink = Rtnetlink::open(*netns_);
    ASSERT_TRUE(rtnetlink);
    rtnetlink_.emplace(std::move(*rtnetlink));
  }
  void TearDown() override {
    if (dev_ && dev_->driver_name() == "TestNic") nic().mtu_stuck.set(false);
    port_.reset();
    dev_.reset();
  }

  // The main cases run twice, once with a veth (CMakeLists.txt).
  static PortKind kind() {
    const char* const wanted = std::getenv("USERNIC_TEST_PORT");
    return wanted != nullptr && std::string_view(wanted) == "veth" ? PortKind::kVeth : PortKind::kTap;
  }
  static bool by_veth() { return kind() == PortKind::kVeth; }

  // An audit that never comes: what is seen then was announced, or looked for.
  static constexpr Duration kNever = std::chrono::hours(24);

  void show(std::vector<std::string> ip_addresses = {}, bool up = true, Duration audit = Mirror::kAuditMin) {
    auto loop = HostLoop::create({.audit = audit});
    ASSERT_TRUE(loop) << loop.error().sentence;
    loop_ = std::move(*loop);
    auto port = HostPort::create(*loop_, *dev_, *netns_,
                                 {.name = "nic0",
                                  .kind = kind(),
                                  .up = up,
                                  .ip_addresses = std::move(ip_addresses),
                                  .log = [this](const std::string& sentence) { note(sentence); }});
    ASSERT_TRUE(port) << port.error().sentence;
    port_ = std::move(*port);
    ASSERT_TRUE(!up || eventually([&] { return dev_->running(); }));
  }
  HostLink link() {
    auto link = rtnetlink_->link(port_->ifindex());
    EXPECT_TRUE(link) << link.error().sentence;
    return link ? *link : HostLink{};
  }
  TestNic& nic() { return TestNic::of(*dev_); }

  // Do all threads of that name sleep at last, until something happens?
  static bool comes_to_rest(const std::string& thread) {
    // How long they ran; none while one of them runs, or would if there was a CPU for it.
    const auto ran_ns = [&]() -> std::optional<uint64_t> {
      uint64_t all = 0;
      for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::string number, name, state;
        uint64_t ns = 0;
        std::ifstream(task.path() / "stat") >> number >> name >> state;
        std::ifstream(task.path() / "schedstat") >> ns;
        if (name != "(" + thread + ")") continue;
        if (state != "S") return std::nullopt;
        all += ns;
      }
      return all;
    };
    return eventually([&] {
      const std::optional<uint64_t> before = ran_ns();
      const Atomic<uint32_t> never{0};
      wait_on(never, 0, Clock::now() + kMoment);
      return before && ran_ns() == before;
    });
  }

  // A socket in the namespace.
  UniqueFd socket_there(int family, int type, int protocol) {
    UniqueFd fd;
    EXPECT_TRUE(netns_->run([&] { fd.reset(::socket(family, type | SOCK_CLOEXEC, protocol)); }));
    EXPECT_TRUE(fd) << std::strerror(errno);
    return fd;
  }
  // What `ip maddr add|del` does: a change that the kernel announces to nobody.
  void silent(int socket, unsigned long request, const MacAddress& address) {
    ifreq change{};
    std::strcpy(change.ifr_name, "nic0");
    change.ifr_hwaddr.sa_family = AF_UNSPEC;
    std::memcpy(change.ifr_hwaddr.sa_data, address.octets.data(), 6);
    ASSERT_EQ(::ioctl(socket, request, &change), 0) << std::strerror(errno);
  }

  void note(const std::string& sentence) {
    MutexGuard guard(log_lock_);
    log_.push_back(sentence);
  }
  bool logged(const std::string& part) {
    MutexGuard guard(log_lock_);
    return std::ranges::any_of(log_, [&](const std::string& each) { return each.find(part) != each.npos; });
  }

  static constexpr LockClass kLogClass{"host_port_test_log"};
  Net net_;
  NetdevPtr dev_;
  Mutex log_lock_{kLogClass};
  std::vector<std::string> log_;
  std::unique_ptr<HostLoop> loop_;
  std::unique_ptr<HostPort> port_;
  std::optional<Rtnetlink> rtnetlink_;
};

}  // namespace usernic
