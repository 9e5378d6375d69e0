// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/verbs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "ctl/did_you_mean.h"
#include "daemon/rx_waits.h"
#include "usernic/rx_mode.h"

namespace usernic::daemon {
namespace {

constexpr auto kVerbs =
    std::to_array<std::string_view>({"hello", "link", "rx-mode", "stats", "monitor", "namespaces", "attach", "wait",
                                     "wait-address", "burst", "ethtool", "set-features", "capture"});

}  // namespace

void Verbs::handle(const ctl::Request& request, ctl::Responder to) {
  if (std::ranges::find(kVerbs, request.verb) == kVerbs.end()) {
    return to.refuse(
        fmt::format("there is no verb '{}'{}", ctl::shortened(request.verb), ctl::suggestion(request.verb, kVerbs)));
  }
  if (request.verb == "hello") return hello(to);
  if (request.verb == "link") return link(to);
  if (request.verb == "monitor") return monitor_.watch(to);
  if (request.verb == "namespaces") return namespaces(request, to);
  const ctl::Outcome<Nic*> nic = topology_.nic(request.dev);
  if (!nic) return to.refuse(nic.error());
  if (request.verb == "rx-mode") return to.answer(ctl::to_json((*nic)->rx_mode()));
  if (request.verb == "stats") return to.answer(ctl::to_json((*nic)->stats()));
  if (request.verb == "capture") return captures_.start(request, **nic, to);
  start_wait(request, **nic, to);
}

void Verbs::hello(ctl::Responder to) const {
  to.answer(ctl::to_json(ctl::HelloReport{.version = USERNIC_VERSION,
                                          .protocol = ctl::kProtocolVersion,
                                          .pid = static_cast<uint64_t>(::getpid()),
                                          .hosts = topology_.host_names()}));
}

void Verbs::link(ctl::Responder to) const {
  std::vector<ctl::LinkRow> rows;
  for (const auto& nic : topology_.nics()) rows.push_back(nic->link());
  to.answer(ctl::to_json(rows));
}

void Verbs::namespaces(const ctl::Request& request, ctl::Responder to) const {
  ctl::Outcome<std::vector<UniqueFd>> fds = topology_.namespaces_of(request.host);
  if (!fds) return to.refuse(fds.error());
  to.answer(ctl::Json(ctl::Json::Array{"user", "net"}), *std::move(fds));
}

void Verbs::start_wait(const ctl::Request& request, Nic& nic, ctl::Responder to) {
  const Time now = Clock::now();
  const Time deadline = now + std::chrono::milliseconds(request.timeout_ms);
  NetDevice& dev = nic.dev();
  if (request.verb == "wait") {
    return waits_.start(to, [&nic, now, deadline](const ctl::Responder& to, const StopToken& stop) {
      const std::shared_ptr<HostPort> port = nic.port();
      to.answer(ctl::to_json(wait_covered(nic.dev(), port.get(), now, deadline, stop)));
    });
  }
  if (request.verb == "attach") {
    return waits_.start(to, [&nic](const ctl::Responder& to, const StopToken&) {
      const HostResult<> attached = nic.attach();
      attached ? to.answer(ctl::to_json(nic.link())) : to.refuse(attached.error().sentence);
    });
  }
  if (request.verb == "ethtool") {
    return waits_.start(to,
                        [&nic](const ctl::Responder& to, const StopToken&) { to.answer(ctl::to_json(nic.ethtool())); });
  }
  if (request.verb == "set-features") {
    return waits_.start(to, [&nic, wishes = request.features](const ctl::Responder& to, const StopToken&) {
      const ctl::Outcome<> changed = nic.set_features(wishes);
      changed ? to.answer(ctl::to_json(nic.ethtool())) : to.refuse(changed.error());
    });
  }
  if (request.verb == "burst") {
    return waits_.start(to, [&dev, deadline, changes = request.changes](const auto& to, const StopToken& stop) {
      to.answer(ctl::to_json(burst(dev, changes, deadline, stop)));
    });
  }
  if (!request.address) return to.refuse("'wait-address' needs \"address\"");
  waits_.start(to, [&dev, deadline, address = *request.address](const auto& to, const StopToken& stop) {
    to.answer(ctl::to_json(wait_address(dev, address, deadline, stop)));
  });
}

}  // namespace usernic::daemon
