// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/ending_signals.h"

#include <signal.h>
#include <sys/signalfd.h>

namespace usernic::daemon {
namespace {

constexpr int kEnding[] = {SIGINT, SIGTERM, SIGHUP};

const ctl::ListeningSocket* socket_left = nullptr;  // for the handler, which runs in the thread that sets it

sigset_t ending_signals() {
  sigset_t ending;
  ::sigemptyset(&ending);
  for (const int number : kEnding) ::sigaddset(&ending, number);
  return ending;
}

void end_at_once(int number) {
  socket_left->leave_at_once();
  ::raise(number);  // blocked until we return, and then the end: SA_RESETHAND
}

}  // namespace

EndingSignals::EndingSignals() {
  const sigset_t ending = ending_signals();
  ::pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  fd_.reset(::signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK));
}

bool EndingSignals::take() const noexcept {
  signalfd_siginfo signal;
  return ::read(fd_.get(), &signal, sizeof signal) == sizeof signal;
}

EndAtOnce::EndAtOnce(const ctl::ListeningSocket& socket) noexcept {
  socket_left = &socket;
  struct sigaction action {};
  action.sa_handler = end_at_once;
  action.sa_flags = SA_RESETHAND;
  action.sa_mask = ending_signals();
  for (const int number : kEnding) ::sigaction(number, &action, nullptr);
  const sigset_t ending = ending_signals();
  ::pthread_sigmask(SIG_UNBLOCK, &ending, nullptr);
}

EndAtOnce::~EndAtOnce() {
  const sigset_t ending = ending_signals();
  ::pthread_sigmask(SIG_BLOCK, &ending, nullptr);
}

}  // namespace usernic::daemon
