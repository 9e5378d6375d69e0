// SPDX-License-Identifier: Apache-2.0 OR MIT
// ctl: one client of the daemon, as bytes: what came in, what still has to go out, and until when.
//
// Nothing here grows without bound: a request has at most `kRequestBytesMax`, and while one is being answered nothing
// more is read. An answer's descriptors travel with its first octet.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "usernic/env.h"
#include "usernic/unique_fd.h"

namespace usernic::ctl {

inline constexpr size_t kRequestBytesMax = 64 << 10;
inline constexpr size_t kDescriptorsMax = 4;

class Connection {
 public:
  explicit Connection(UniqueFd fd) : fd_(std::move(fd)) {}

  int fd() const noexcept { return fd_.get(); }

  // Reads what is there, once. False: the peer will send no more, or is gone.
  bool receive();
  // The next complete line without its newline, taken out; nullopt when there is none yet.
  std::optional<std::string> take_line();
  bool has_part_of_a_line() const noexcept { return !in_.empty(); }
  bool line_too_long() const noexcept { return in_.size() >= kRequestBytesMax; }

  void enqueue(std::string_view text, std::vector<UniqueFd> descriptors = {});
  // Sends what the peer takes now. False: the peer is gone.
  bool flush();
  size_t unsent_bytes() const noexcept { return out_.size() - sent_; }

  // When the client last moved a byte in either direction.
  Time last_progress() const noexcept { return last_progress_; }
  // When it could begin the line of which a part is here: not before the answer to the one before was sent.
  Time line_begun() const noexcept { return line_begun_; }

 private:
  UniqueFd fd_;
  std::string in_;
  std::string out_;
  size_t sent_ = 0;
  std::vector<UniqueFd> descriptors_;  // leave with the next octet
  Time last_progress_ = Clock::now();
  Time line_begun_ = last_progress_;
};

// Sends `text` with descriptors beside its first octet; the number of octets taken, or -1 with errno.
ssize_t send_with(int fd, std::string_view text, const std::vector<UniqueFd>& descriptors);
// Reads octets into `text` and descriptors, all close-on-exec; the number of octets, 0 at the end, or -1 with errno.
ssize_t receive_with(int fd, std::string& text, std::vector<UniqueFd>& descriptors);

}  // namespace usernic::ctl
// Explained best by: ctl/connection_test.cc
