// SPDX-License-Identifier: Apache-2.0 OR MIT
// ctl: where the control socket is, and how it is taken and found.
//
//   --socket PATH, else $USERNIC_SOCKET, else `usernic/control` in $XDG_RUNTIME_DIR (for root only when that folder
//   is root's own); else /run/usernic/control for root, /run/user/UID/usernic/control where that folder exists, else
//   /tmp/usernic-UID/control.
//
// A folder of usernic's own is made with mode 0700, used only if it is ours and closed to others, and removed by the
// daemon that leaves it empty. The socket has mode 0600 from its first moment. Beside it lies PATH.lock, flocked while
// a daemon lives: so a second daemon is told, and a socket file that a killed one left behind is replaced without a
// race. Where the lock file is somebody else's, it says nothing, and one goes on without.
#pragma once

#include <string>

#include "ctl/outcome.h"
#include "usernic/env.h"
#include "usernic/unique_fd.h"

namespace usernic::ctl {

struct SocketPath {
  std::string path;
  std::string own_folder;  // made if missing, and checked; "" when the path was chosen by the user
};

// `chosen`: the value of --socket, "" when not given. Reads the environment and the caller's uid.
Outcome<SocketPath> socket_path(const std::string& chosen);

// A listening socket at its path. Destruction takes the socket, the lock file and an own folder away again; so does an
// `open` that fails.
class ListeningSocket {
 public:
  static Outcome<ListeningSocket> open(const SocketPath& path);
  ~ListeningSocket();
  ListeningSocket(ListeningSocket&&) noexcept = default;
  ListeningSocket& operator=(ListeningSocket&&) = delete;

  int fd() const noexcept { return fd_.get(); }
  const std::string& path() const noexcept { return path_.path; }
  // What the destructor does with files, for who will not live to see it. Context: a signal handler too.
  void leave_at_once() const noexcept;

 private:
  explicit ListeningSocket(SocketPath path);
  SocketPath path_;
  std::string lock_name_;
  UniqueFd lock_;  // set: the lock file is ours
  UniqueFd fd_;    // set: the socket file is ours
};

// A connected socket to the daemon at `path`, which must belong to the caller or to root. `limit`: how long to wait
// for room in the backlog, and later in each send.
Outcome<UniqueFd> connect_to(const std::string& path, Duration limit);

// The uid at the other end; -1 when it cannot be known.
long peer_uid(int fd);

}  // namespace usernic::ctl
// Explained best by: ctl/socket_path_test.cc
