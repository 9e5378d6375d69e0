// SPDX-License-Identifier: Apache-2.0
#include "daemon/run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include <cstdio>
#include <memory>

#include "ctl/print.h"
#include "daemon/log.h"
#include "daemon/privileges.h"
#include "daemon/verbs.h"

namespace usernic::daemon {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr Duration kUpWithin = std::chrono::seconds(10);

int sentence(const std::string& text, int exit_code) {
  ctl::print(stderr, fmt::format("usernic: {}\n", text));
  return exit_code;
}

sigset_t ending_signals() {
  sigset_t ending;
  ::sigemptyset(&ending);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&ending, number);
  return ending;
}

// Ending signals come through a descriptor from here on, in every thread that will be made.
ctl::Fd take_signals() {
  ::signal(SIGPIPE, SIG_IGN);
  const sigset_t ending = ending_signals();
  ::pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  return ctl::Fd(::signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK));
}

// A second Ctrl-C ends the process at once; the kernel then takes the hosts down.
void give_back_signals() {
  const sigset_t ending = ending_signals();
  ::pthread_sigmask(SIG_UNBLOCK, &ending, nullptr);
}

// A thousand clients are a thousand descriptors.
void raise_descriptor_limit() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// All that must happen before the first thread. Returns the socket, or the sentence.
ctl::Outcome<ctl::ListeningSocket> settle_in(const RunOptions& options, bool own_namespaces) {
  // The path and its folder belong to the user who called, so they come before the user namespace.
  const auto path = ctl::socket_path(options.socket);
  if (!path) return ctl::refuse(path.error());
  auto socket = ctl::ListeningSocket::open(*path);
  if (!socket) return socket;
  if (own_namespaces) {
    if (auto entered = enter_own_namespaces(); !entered) return ctl::refuse(entered.error());
  }
  if (auto dropped = drop_other_capabilities(); !dropped) return ctl::refuse(dropped.error());
  return socket;
}

void announce(const Topology& topology, const std::string& socket, int ready_fd) {
  for (const auto& nic : topology.nics()) {
    const ctl::LinkRow link = nic->link();
    ctl::print(stdout, fmt::format("{}  {}  {}  host {}  {}\n", link.name, link.driver, link.address.to_string(),
                                   link.host.empty() ? "-" : link.host, fmt::join(nic->config().addresses, " ")));
  }
  ctl::print(stdout, fmt::format("ready, control socket {}\n", socket));
  if (!ctl::all_printed(stdout)) log_warning("nobody reads stdout");
  const ctl::Fd ready(ready_fd);
  if (ready && ::write(ready.get(), "\n", 1) != 1) log_warning("nobody reads --ready-fd");
}

// Serves until a signal comes, then takes the nics down; only after that the socket and its lock are free for another.
void serve(ctl::ListeningSocket socket, std::unique_ptr<Topology> nics, const ctl::Fd& signals, int ready_fd) {
  ctl::EventLoop loop;
  Verbs* handler = nullptr;
  ctl::Server server(loop, std::move(socket),
                     [&handler](const ctl::Request& request, ctl::Responder to) { handler->handle(request, to); });
  const std::unique_ptr<Topology> topology = std::move(nics);  // a parameter would end after the server
  Verbs verbs(*topology, loop);  // ends before the server: what it still runs has answers to give
  handler = &verbs;
  loop.watch(signals.get(), EPOLLIN, [&](uint32_t) {
    signalfd_siginfo signal;
    if (::read(signals.get(), &signal, sizeof signal) == sizeof signal) loop.stop();
  });
  announce(*topology, server.path(), ready_fd);
  loop.run();
  give_back_signals();
}

}  // namespace

int run(const RunOptions& options) {
  const auto config =
      options.config.empty() ? parse_config(default_config(), "(built-in)") : read_config(options.config);
  if (!config) return sentence(config.error(), kUsage);
  if (options.ready_fd >= 0 && ::fcntl(options.ready_fd, F_SETFD, FD_CLOEXEC) != 0) {
    return sentence(fmt::format("--ready-fd {} is not an open descriptor", options.ready_fd), kUsage);
  }
  const ctl::Fd signals = take_signals();
  raise_descriptor_limit();
  const bool own_namespaces = !may_administer_network();
  auto socket = settle_in(options, own_namespaces);
  if (!socket) return sentence(socket.error(), kFailed);

  auto topology = Topology::create(*config, own_namespaces);
  if (!topology) return sentence(topology.error(), kFailed);
  if (!(*topology)->wait_up(Clock::now() + kUpWithin)) log_warning("not every nic came up");
  serve(*std::move(socket), *std::move(topology), signals, options.ready_fd);
  return 0;
}

}  // namespace usernic::daemon
