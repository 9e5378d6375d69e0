// SPDX-License-Identifier: Apache-2.0 OR MIT
// What a client sends down the control socket: lines come out of the connection as they went in, however they were
// cut; what decodes encodes back to the same; what does not is one sentence.
#include <sys/socket.h>
#include <unistd.h>

#include <tuple>
#include <vector>

#include "ctl/connection.h"
#include "ctl/messages.h"
#include "fuzz/input.h"

namespace usernic::ctl {
namespace {

using fuzz::must;

void check_request(std::string_view line) {
  const auto request = parse_request(line);
  if (!request) {
    fuzz::must_be_a_sentence(request.error());
    const auto told = parse_answer(error_line(request.error()));
    return must(!told && told.error() == request.error(), "a refusal reaches the client in other words");
  }
  const auto back = parse_request(request_line(*request));
  must(back.has_value(), "a request that was read cannot be sent on");
  const auto all_of = [](const Request& r) {
    return std::tie(r.verb, r.dev, r.host, r.address, r.timeout_ms, r.changes, r.snap_bytes, r.buffer_bytes);
  };
  must(all_of(*back) == all_of(*request), "a request changes on its way");
}

template <class... Messages>
void check_messages(const Json& json) {
  const auto check = [&]<class Message>(std::optional<Message> message) {
    if (!message) return;
    const Json written = to_json(*message);
    const auto back = from_json<Message>(written);
    must(back && to_text(to_json(*back)) == to_text(written), "a message changes on its way");
  };
  (check(from_json<Messages>(json)), ...);
}

void check_line(std::string_view line) {
  check_request(line);
  if (const auto answer = parse_answer(line)) {
    const auto again = parse_answer(result_line(*answer));
    must(again && to_text(*again) == to_text(*answer), "an answer changes on its way");
  }
  const auto json = parse_json(line);
  if (!json) return;
  const std::string text = to_text(*json);
  const auto back = parse_json(text);
  must(back && to_text(*back) == text, "a value changes on its way");
  check_messages<LinkRow, std::vector<LinkRow>, RxModeReport, StatsReport, WaitReport, AddressReport, BurstReport,
                 Event, HelloReport>(*json);
}

// Sends `text` in pieces of `piece` octets; the lines that the connection finds in it.
std::vector<std::string> lines_of(std::string_view text, size_t piece) {
  int ends[2];
  must(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0, "no socket");
  const UniqueFd peer(ends[1]);
  Connection connection{UniqueFd(ends[0])};
  std::vector<std::string> lines;
  for (; !text.empty() && !connection.line_too_long(); text.remove_prefix(std::min(piece, text.size()))) {
    const auto part = text.substr(0, piece);
    must(::write(peer.get(), part.data(), part.size()) == static_cast<ssize_t>(part.size()), "the socket is full");
    must(connection.receive(), "a client that is there is taken for gone");
    while (auto line = connection.take_line()) lines.push_back(std::move(*line));
  }
  return lines;
}

}  // namespace
}  // namespace usernic::ctl

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  usernic::fuzz::Input input(data, size);
  const size_t piece = 1 + input.number();
  const auto octets = input.take(usernic::ctl::kRequestBytesMax - 1);
  std::string_view text(reinterpret_cast<const char*>(octets.data()), octets.size());
  for (const std::string& line : usernic::ctl::lines_of(text, piece)) {
    usernic::fuzz::must(text.starts_with(line) && text[line.size()] == '\n', "a line that nobody sent");
    text.remove_prefix(line.size() + 1);
    usernic::ctl::check_line(line);
  }
  usernic::fuzz::must(!text.contains('\n'), "a line is missing");
  usernic::ctl::check_line(text);
  return 0;
}
