// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/demo_lab.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "cli/verbs.h"
#include "ctl/connection.h"
#include "ctl/print.h"

namespace usernic::cli {
namespace {

using ctl::Outcome;
using ctl::refuse;

std::string why() {
  return std::strerror(errno);
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Whom an interrupt has to end. Written before the handler is installed.
volatile pid_t interrupted_child = -1;

void on_interrupt(int number) {
  ::kill(interrupted_child, SIGTERM);
  ::waitpid(interrupted_child, nullptr, 0);
  ::_exit(128 + number);
}

// SIGPIPE: who reads the tour may have seen enough.
void handle_interrupts(void (*handler)(int)) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(number, handler);
}

// What ends the keeper: a signal, or its child's end.
sigset_t keepers_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) ::sigaddset(&signals, number);
  return signals;
}

[[noreturn]] void become_tool(const HostNamespaces& namespaces, std::vector<std::string>& argv, int output) {
  handle_interrupts(SIG_DFL);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::setenv("LC_ALL", "C", 1);
  std::vector<char*> words;
  for (std::string& word : argv) words.push_back(word.data());
  words.push_back(nullptr);
  const auto entered = enter(namespaces);
  if (entered) ::execvp(words[0], words.data());
  ctl::print(stderr, (entered ? fmt::format("cannot run '{}': {}", argv[0], why()) : entered.error()) + "\n");
  std::fflush(stderr);
  ::_exit(125);
}

std::string read_to_end(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = ::read(fd, buffer, sizeof buffer)) > 0 || (got < 0 && errno == EINTR);) {
    if (got > 0) text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

}  // namespace

Outcome<std::unique_ptr<DemoLab>> DemoLab::start() {
  std::unique_ptr<DemoLab> lab(new DemoLab);
  const char* temporary = std::getenv("TMPDIR");
  const bool short_enough = temporary != nullptr && std::strlen(temporary) < 30;
  lab->folder_ = fmt::format("{}/usernic-demo-{:x}", short_enough ? temporary : "/tmp", random_u64());
  lab->socket_ = lab->folder_ + "/control";
  if (auto started = lab->start_child(); !started) return refuse(started.error());
  auto client = lab->connect();
  if (!client) return refuse(client.error());
  lab->client_ = std::make_unique<ctl::Client>(*std::move(client));
  return lab;
}

Outcome<> DemoLab::start_child() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return refuse("cannot make a pipe: " + why());
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const pid_t demo = ::getpid();
  child_ = ::fork();
  if (child_ < 0) return refuse("cannot start a process: " + why());
  if (child_ == 0) keep(demo, std::move(write_end));
  interrupted_child = child_;
  handle_interrupts(on_interrupt);
  write_end.reset();
  return read_to_end(read_end.get()).empty() ? refuse("") : Outcome<>{};
}

void DemoLab::keep(pid_t demo, UniqueFd ready) {
  const sigset_t signals = keepers_signals();
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGCHLD, SIG_DFL);
  ::setpgid(0, 0);  // Ctrl-C is for the demo, which then ends its child
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  const pid_t keeper = ::getpid();
  if (::getppid() != demo) ::_exit(1);
  if (::mkdir(folder_.c_str(), 0700) != 0) ::_exit(failed("cannot make a temporary folder: " + why()));
  const pid_t usernic = ::fork();
  if (usernic == 0) become_usernic(keeper, ready);
  ready.reset();
  int status = kFailed;
  if (usernic > 0) {
    int number;
    ::sigwait(&signals, &number);
    ::kill(usernic, SIGTERM);
    status = wait_for(usernic);
  } else {
    failed("cannot start a process: " + why());
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
  ::_exit(status);
}

void DemoLab::become_usernic(pid_t keeper, const UniqueFd& ready) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != keeper) ::_exit(1);
  const sigset_t signals = keepers_signals();
  ::sigprocmask(SIG_UNBLOCK, &signals, nullptr);
  const UniqueFd nowhere(::open("/dev/null", O_RDWR | O_CLOEXEC));
  ::dup2(nowhere.get(), STDIN_FILENO);
  ::dup2(nowhere.get(), STDOUT_FILENO);
  ::fcntl(ready.get(), F_SETFD, 0);
  const std::string ready_fd = std::to_string(ready.get());
  ::execl("/proc/self/exe", "usernic", "run", "--socket", socket_.c_str(), "--ready-fd", ready_fd.c_str(), nullptr);
  ::_exit(125);
}

DemoLab::~DemoLab() {
  client_.reset();
  if (child_ > 0) {
    ::kill(child_, SIGTERM);
    wait_for(child_);
    handle_interrupts(SIG_DFL);
  }
}

Outcome<const HostNamespaces*> DemoLab::host(const std::string& name) {
  if (!hosts_.contains(name)) {
    auto namespaces = ask_for_host(socket_, name);
    if (!namespaces) return refuse(namespaces.error());
    hosts_.emplace(name, *std::move(namespaces));
  }
  return &hosts_.at(name);
}

Outcome<ToolOutput> DemoLab::run_in(const std::string& name, std::vector<std::string> argv) {
  const auto namespaces = host(name);
  if (!namespaces) return refuse(namespaces.error());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return refuse("cannot make a pipe: " + why());
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const pid_t tool = ::fork();
  if (tool < 0) return refuse("cannot start a process: " + why());
  if (tool == 0) become_tool(**namespaces, argv, write_end.get());
  write_end.reset();
  ToolOutput output{.text = read_to_end(read_end.get())};
  output.exit_code = wait_for(tool);
  return output;
}

Outcome<> DemoLab::must_run_in(const std::string& name, std::vector<std::string> argv) {
  const std::string tool = argv[0];
  const auto output = run_in(name, std::move(argv));
  if (!output) return refuse(output.error());
  if (output->exit_code == 0) return {};
  return refuse(fmt::format("'{}' in host {} failed: {}", tool, name, output->text));
}

// A socket belongs to the namespace of the process that makes it, wherever it is handed to.
Outcome<std::vector<UniqueFd>> DemoLab::sockets_in(const std::string& name, const std::vector<SocketKind>& kinds) {
  const auto namespaces = host(name);
  if (!namespaces) return refuse(namespaces.error());
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return refuse("cannot make a socket: " + why());
  const UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const pid_t maker = ::fork();
  if (maker < 0) return refuse("cannot start a process: " + why());
  if (maker == 0) {
    std::vector<UniqueFd> made;
    const bool entered = enter(**namespaces).has_value();
    for (const SocketKind& kind : kinds) {
      if (entered) made.emplace_back(::socket(kind.family, kind.type | SOCK_CLOEXEC, kind.protocol));
    }
    ctl::send_with(theirs.get(), "!", made);
    ::_exit(0);
  }
  theirs.reset();
  std::string text;
  std::vector<UniqueFd> sockets;
  ctl::receive_with(ours.get(), text, sockets);
  wait_for(maker);
  if (sockets.size() != kinds.size()) return refuse(fmt::format("cannot make sockets in host {}", name));
  return sockets;
}

}  // namespace usernic::cli
