// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>

#include "ctl/exit_code.h"
#include "ctl/print.h"
#include "daemon/ending_signals.h"
#include "daemon/log.h"
#include "daemon/log_writer.h"
#include "daemon/notes.h"
#include "daemon/privileges.h"
#include "daemon/verbs.h"
#include "usernic/refusal.h"

namespace usernic::daemon {
namespace {

using ctl::kFailed;
using ctl::kUsage;

constexpr Duration kUpWithin = std::chrono::seconds(10);

int sentence(const std::string& text, int exit_code) {
  ctl::print(stderr, fmt::format("usernic: {}\n", text));
  return exit_code;
}

// A thousand clients are a thousand descriptors.
void raise_descriptor_limit() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Will there be any? A port is on one where it cannot be a TAP.
PacketSockets packet_sockets(const Config& config) {
  const auto has_port = [&config](PortKind kind) {
    return std::ranges::any_of(config.nics, [kind](const NicConfig& nic) { return nic.interface && nic.port == kind; });
  };
  const bool on_interface =
      std::ranges::any_of(config.nics, [](const NicConfig& nic) { return !nic.card_interface.empty(); });
  const bool any = on_interface || has_port(PortKind::kVeth) ||
                   (has_port(PortKind::kAny) && !opens_without_override("/dev/net/tun"));
  return any ? PacketSockets::kSome : PacketSockets::kNone;
}

// All that must happen before the first thread. Returns the socket, or the sentence.
ctl::Outcome<ctl::ListeningSocket> settle_in(const RunOptions& options, const Config& config, bool own_namespaces) {
  // The path and its folder belong to the user who called, so they come before the user namespace.
  const auto path = ctl::socket_path(options.socket);
  if (!path) return ctl::refuse(path.error());
  auto socket = ctl::ListeningSocket::open(*path);
  if (!socket) return socket;
  if (own_namespaces) {
    if (auto entered = enter_own_namespaces(); !entered) return ctl::refuse(entered.error());
  }
  if (auto dropped = drop_other_capabilities(packet_sockets(config)); !dropped) return ctl::refuse(dropped.error());
  // A second line of defence: there are containers that have no seccomp to offer.
  if (auto denied = deny_unneeded_calls(); !denied) log_warning(denied.error() + "; going on with all of them");
  // Else a frame here and there in each nic's buffers would take huge pages.
  ::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  return socket;
}

// Who is slow to read stdout, or never does, keeps nobody waiting.
void print_ready(const Topology& topology, const std::string& socket) {
  static LogWriter& out = *new LogWriter(STDOUT_FILENO);  // as in log.cc
  out.start();
  std::string lines;
  for (const auto& nic : topology.nics()) {
    const ctl::LinkRow link = nic->link();
    lines += fmt::format("{}  {}  {}  host {}  {}\n", link.name, link.driver, link.address.to_string(),
                         link.host.empty() ? "-" : link.host, fmt::join(nic->config().addresses, " "));
  }
  out.add(lines + fmt::format("ready, control socket {}\n", socket));
  if (!out.flush(Clock::now() + kPrintWait)) log_warning("nobody reads stdout");
}

void tell_ready(int ready_fd) {
  const UniqueFd ready(ready_fd);
  if (!ready) return;
  pollfd room{.fd = ready.get(), .events = POLLOUT, .revents = 0};
  const bool told = ::poll(&room, 1, 0) == 1 && ::write(ready.get(), "\n", 1) == 1;
  if (!told) log_warning("nobody reads --ready-fd");
}

// Serves until a signal comes, then takes the nics down; only after that the socket and its lock are free for another.
ctl::Outcome<> serve(ctl::EventLoop& loop, ctl::ListeningSocket socket, std::unique_ptr<Topology> nics, Notes& notes,
                     const EndingSignals& signals, int ready_fd) {
  Verbs* handler = nullptr;
  const auto handle = [&handler](const ctl::Request& request, ctl::Responder to) { handler->handle(request, to); };
  const auto made = ctl::Server::create(loop, std::move(socket), handle);
  if (!made) return ctl::refuse(made.error());
  const ctl::Server& server = **made;
  std::optional<EndAtOnce> end_at_once;                        // outlives what takes time to end
  const std::unique_ptr<Topology> topology = std::move(nics);  // a parameter would end after the server
  Verbs verbs(*topology, notes, loop);  // ends before the server: what it still runs has answers to give
  handler = &verbs;
  const uint64_t watching = loop.watch(signals.fd(), EPOLLIN, [&](uint32_t) {
    if (signals.take()) loop.stop();
  });
  if (watching == 0) return ctl::refuse("cannot watch for signals: " + refusal(static_cast<std::errc>(errno)));
  print_ready(*topology, server.path());
  tell_ready(ready_fd);
  loop.run();
  end_at_once.emplace(server.socket());
  return {};
}

}  // namespace

int run(const RunOptions& options) {
  // What cannot be written is an error like any other, for a closed pipe and a full disk alike.
  for (const int number : {SIGPIPE, SIGXFSZ}) ::signal(number, SIG_IGN);
  const auto config =
      options.config.empty() ? parse_config(default_config(), "(built-in)") : read_config(options.config);
  if (!config) return sentence(config.error(), kUsage);
  if (options.ready_fd >= 0 && ::fcntl(options.ready_fd, F_SETFD, FD_CLOEXEC) != 0) {
    return sentence(fmt::format("--ready-fd {} is not an open descriptor", options.ready_fd), kUsage);
  }
  raise_descriptor_limit();
  const EndingSignals signals;
  if (signals.fd() < 0) {
    return sentence("cannot make a signalfd: " + refusal(static_cast<std::errc>(errno)), kFailed);
  }
  const auto loop = ctl::EventLoop::create();
  if (!loop) return sentence(loop.error(), kFailed);
  const bool own_namespaces = !may_administer_network();
  auto socket = settle_in(options, *config, own_namespaces);
  if (!socket) return sentence(socket.error(), kFailed);
  start_log();
  Notes notes;

  auto topology =
      std::make_unique<Topology>(NetConfig{.poll_threads = config->poll.threads, .poll_cpus = config->poll.cpus});
  const auto built = topology->build(*config, own_namespaces, [&signals] { return signals.take(); });
  ctl::Outcome<Topology::Up> up = Topology::Up::kInterrupted;
  if (built && *built) up = topology->wait_up(Clock::now() + kUpWithin, signals.fd());
  if (up == Topology::Up::kNotAll) log_warning("not every nic came up");
  ctl::Outcome<> done;
  if (!built) done = ctl::refuse(built.error());
  if (!up) done = ctl::refuse(up.error());
  if (up && up != Topology::Up::kInterrupted) {
    done = serve(**loop, *std::move(socket), std::move(topology), notes, signals, options.ready_fd);
  } else {
    const EndAtOnce end_at_once(*socket);
    topology.reset();
  }
  if (!done) log_failure(done.error());
  end_log(Clock::now() + kPrintWait);
  return done ? 0 : kFailed;
}

}  // namespace usernic::daemon
