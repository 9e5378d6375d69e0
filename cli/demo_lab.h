// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: a usernic of the demo's own: `usernic run` as a child, with a socket nobody else knows, and ways into its hosts.
//
// Whatever happens to the demo, nothing is left, not even by SIGKILL: between the two stands a keeper, to whom the
// kernel sends a signal when the demo ends. It has made the folder of the socket, ends usernic, whose hosts end with
// it, and removes the folder.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/host_entry.h"
#include "ctl/client.h"

namespace usernic::cli {

struct ToolOutput {
  int exit_code = 0;
  std::string text;  // what it wrote to stdout and stderr
};

class DemoLab {
 public:
  // Starts the child and waits until it is ready. An empty sentence: the child has said on stderr why it cannot.
  static ctl::Outcome<std::unique_ptr<DemoLab>> start();
  ~DemoLab();
  DemoLab(const DemoLab&) = delete;
  DemoLab& operator=(const DemoLab&) = delete;

  // One connection for everybody's requests.
  ctl::Client& ctl() noexcept { return *client_; }
  // One more, for who wants to follow a stream.
  ctl::Outcome<ctl::Client> connect() const { return ctl::Client::connect(socket_); }

  // Runs a tool in a host, to its end.
  ctl::Outcome<ToolOutput> run_in(const std::string& host, std::vector<std::string> argv);
  // The same; anything but exit code 0 is an error that quotes the tool.
  ctl::Outcome<> must_run_in(const std::string& host, std::vector<std::string> argv);

  struct SocketKind {
    int family, type, protocol;
  };
  // Sockets that live in the host; at most four.
  ctl::Outcome<std::vector<UniqueFd>> sockets_in(const std::string& host, const std::vector<SocketKind>& kinds);

 private:
  DemoLab() = default;
  ctl::Outcome<> start_child();
  [[noreturn]] void keep(pid_t demo, UniqueFd ready);
  [[noreturn]] void become_usernic(pid_t keeper, const UniqueFd& ready);
  ctl::Outcome<const HostNamespaces*> host(const std::string& name);

  std::string folder_;
  std::string socket_;
  pid_t child_ = -1;  // the keeper
  std::unique_ptr<ctl::Client> client_;
  std::map<std::string, HostNamespaces> hosts_;
};

}  // namespace usernic::cli
