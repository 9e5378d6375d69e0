// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/netconsole.h"

#include <algorithm>

#include "core/frame/inet_headers.h"
#include "core/frame/inet_sum.h"
#include "daemon/log.h"

namespace usernic::daemon {
namespace {

constexpr uint32_t kEthernet = 14, kIpv4 = 20, kIpv6 = 40, kUdp = 8;
constexpr uint32_t kPayloadMax = 1000;  // [kernel: MAX_PRINT_CHUNK]
constexpr uint16_t kLocalPort = 6665;   // [kernel: netconsole]
constexpr uint32_t kFrameMax = kEthernet + kIpv6 + kUdp + kPayloadMax;

uint8_t* append(Skb& skb, const void* octets, size_t size) noexcept {
  uint8_t* const at = skb.put(static_cast<uint32_t>(size));
  std::copy_n(static_cast<const uint8_t*>(octets), size, at);
  return at;
}

}  // namespace

Netconsole::Netconsole(NetDevice& dev, const NetconsoleConfig& config, Duration last_words)
    : dev_(dev),
      config_(config),
      last_words_(last_words),
      pool_(dev.net().shared_pool(kFrameMax)),
      netpoll_(dev),
      lines_(std::make_shared<LogWriter>("netconsole", [this](std::string_view lines) {
        send(lines);
        return true;
      })) {
  lines_->start();
  log_also_to(lines_);
}

Netconsole::~Netconsole() {
  log_also_to(nullptr);
  lines_->end();
  (void)netpoll_.flush(Clock::now() + last_words_);
}

void Netconsole::send(std::string_view line) noexcept {
  const uint32_t room = std::min(kPayloadMax, dev_.mtu() - kIpv6 - kUdp);
  for (; !line.empty(); line.remove_prefix(std::min<size_t>(room, line.size()))) send_datagram(line.substr(0, room));
}

void Netconsole::send_datagram(std::string_view payload) noexcept {
  Skb* const skb = pool_.alloc();
  if (skb == nullptr) return;
  const bool v6 = config_.remote.size() == 16;
  append(*skb, config_.remote_address.octets.data(), config_.remote_address.octets.size());
  append(*skb, dev_.address().octets.data(), dev_.address().octets.size());
  inet::store16(skb->put(2), v6 ? 0x86dd : 0x0800);
  uint8_t* const ip = skb->put(v6 ? 8 : 12);
  std::fill_n(ip, v6 ? 8 : 12, uint8_t{0});
  ip[0] = v6 ? 0x60 : 0x45;
  ip[v6 ? 6 : 9] = inet::kUdp;
  ip[v6 ? 7 : 8] = 64;  // hops
  append(*skb, config_.local.data(), config_.local.size());
  append(*skb, config_.remote.data(), config_.remote.size());
  uint8_t* const udp = skb->put(kUdp);
  inet::store16(udp, kLocalPort);
  inet::store16(udp + 2, config_.port);
  append(*skb, payload.data(), payload.size());
  const auto octets = static_cast<uint32_t>(kUdp + payload.size());
  const inet::Headers headers{.v6 = v6,
                              .protocol = inet::kUdp,
                              .network = kEthernet,
                              .transport = static_cast<uint16_t>(kEthernet + (v6 ? kIpv6 : kIpv4)),
                              .payload = static_cast<uint16_t>(kEthernet + (v6 ? kIpv6 : kIpv4) + kUdp),
                              .end = skb->size()};
  inet::store16(udp + 6, 0);
  inet::set_length(skb->data(), headers, octets);
  const uint64_t sum = inet::pseudo_sum(skb->data(), headers, octets) + inet::sum_of({udp, octets});
  const auto folded = static_cast<uint16_t>(~inet::fold(sum));
  inet::store_sum(udp + 6, folded == 0 ? 0xffff : folded);
  (void)netpoll_.send(*skb);
}

}  // namespace usernic::daemon
