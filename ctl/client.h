// SPDX-License-Identifier: Apache-2.0 OR MIT
// ctl: the caller's side of the control socket: blocking, one request at a time.
#pragma once

#include <string>
#include <vector>

#include "ctl/messages.h"
#include "usernic/env.h"
#include "usernic/unique_fd.h"

namespace usernic::ctl {

inline constexpr Duration kAnswerTime = std::chrono::seconds(15);

class Client {
 public:
  // `path` as socket_path() gives it. Fails with a sentence when no daemon of ours answers there.
  static Outcome<Client> connect(const std::string& path);

  // The result of a request; its refusal or the trouble with the connection as a sentence. Descriptors that came with
  // the answer are appended to `descriptors`, if given.
  Outcome<Json> call(const Request& request, std::vector<UniqueFd>* descriptors = nullptr,
                     Duration answer_time = kAnswerTime);
  // The same, as the report it must be.
  template <class Report>
  Outcome<Report> ask(const Request& request, Duration answer_time = kAnswerTime) {
    if (auto sent = send(request); !sent) return refuse(sent.error());
    return receive_report<Report>(answer_time);
  }
  template <class Report>
  Outcome<Report> receive_report(Duration answer_time = kAnswerTime) {
    const Outcome<Json> json = receive(nullptr, answer_time);
    if (!json) return refuse(json.error());
    std::optional<Report> report = from_json<Report>(*json);
    if (!report) return refuse(kMakesNoSense);
    return *std::move(report);
  }
  // The two halves of `call`, for who has something to do between them.
  Outcome<> send(const Request& request);
  Outcome<Json> receive(std::vector<UniqueFd>* descriptors = nullptr, Duration answer_time = kAnswerTime);
  // The next line of a stream that a call has opened.
  Outcome<Event> next_event(Time deadline = kForever);

  int fd() const noexcept { return fd_.get(); }

 private:
  explicit Client(UniqueFd fd) : fd_(std::move(fd)) {}
  Outcome<std::string> read_line(std::vector<UniqueFd>* descriptors, Time deadline);

  UniqueFd fd_;
  std::string in_;
};

}  // namespace usernic::ctl
// Explained best by: ctl/server_test.cc
