// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/capture.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "cli/capture_files.h"
#include "cli/verbs.h"
#include "ctl/print.h"

namespace usernic::cli {
namespace {

// The stream, for who interrupts: asked to end it ends by itself, with its statistics. A second signal ends us.
volatile sig_atomic_t stream_fd = -1;
volatile sig_atomic_t was_interrupted = 0;

void ask_to_end(int) {
  const int before = errno;
  was_interrupted = 1;
  ::shutdown(stream_fd, SHUT_WR);
  errno = before;
}

void end_when_interrupted(int stream) {
  stream_fd = stream;
  struct sigaction once {};
  once.sa_handler = ask_to_end;
  once.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    const bool is_ignored = ::sigaction(number, nullptr, &before) == 0 && before.sa_handler == SIG_IGN;  // nohup
    if (!is_ignored) ::sigaction(number, &once, nullptr);
  }
}

ctl::Outcome<UniqueFd> ask_for_stream(const Command& command) {
  auto client = connect(command);
  if (!client) return ctl::refuse(client.error());
  std::vector<UniqueFd> descriptors;
  const auto answer = client->call({.verb = "capture",
                                    .dev = command.dev,
                                    .snap_bytes = command.capture.snap_bytes,
                                    .buffer_bytes = command.capture.buffer_bytes},
                                   &descriptors);
  if (!answer) return ctl::refuse(answer.error());
  if (descriptors.size() != 1) return ctl::refuse(ctl::kMakesNoSense);
  return std::move(descriptors.front());
}

// What the stream says at its end.
struct Ending {
  bool has_statistics = false;
  std::string why;
};

ctl::Outcome<Ending> copy_stream(int stream, CaptureFiles& files, uint64_t count) {
  pcapng::BlockReader reader;
  std::array<char, 256 << 10> buffer;
  Ending ending;
  while (true) {
    const ssize_t got = ::read(stream, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno != ECONNRESET)
      return ctl::refuse(fmt::format("cannot read the capture: {}", std::strerror(errno)));
    if (got <= 0) return ending;
    reader.feed({buffer.data(), static_cast<size_t>(got)});
    while (true) {
      const auto block = reader.next();
      if (!block) return ctl::refuse(block.error());
      if (!*block) break;
      if (const auto added = files.add(**block); !added) return ctl::refuse(added.error());
      if (const auto statistics = (*block)->statistics()) ending = {true, std::string(statistics->comment)};
      if (count != 0 && files.counted().delivered == count) return Ending{.has_statistics = true};
    }
    if (const auto written = files.flush(); !written) return ctl::refuse(written.error());
  }
}

std::string summary(const CaptureFiles& files, const std::string& ended, bool json) {
  const pcapng::Statistics& counted = files.counted();
  if (json) {
    ctl::Json::Array names(files.names().begin(), files.names().end());
    return ctl::to_text(ctl::Json(ctl::Json::Object{
               {"frames", counted.delivered}, {"lost", counted.lost}, {"files", std::move(names)}, {"ended", ended}})) +
           "\n";
  }
  return fmt::format("{} frame{} captured, {} lost\n", counted.delivered, counted.delivered == 1 ? "" : "s",
                     counted.lost);
}

}  // namespace

ctl::Outcome<> capture_to(CaptureFiles& files, const Command& command) {
  auto stream = ask_for_stream(command);
  if (!stream) return ctl::refuse(stream.error());
  for (const int number : {SIGPIPE, SIGXFSZ}) ::signal(number, SIG_IGN);  // they are errors like others
  if (const auto opened = files.open(); !opened) return opened;
  end_when_interrupted(stream->get());
  const auto ending = copy_stream(stream->get(), files, command.capture.count);
  // Ctrl-C ends the reader of a pipe as well.
  const auto leaves = [&] { return was_interrupted != 0 && files.reader_is_gone(); };
  if (!ending) return leaves() ? ctl::Outcome<>() : ctl::refuse(ending.error());
  const auto ended = files.end();
  if (!ended) return leaves() ? ctl::Outcome<>() : ended;
  if (!ending->has_statistics) return ctl::refuse("the capture broke off: frames at its end may be missing");
  return ending->why.empty() ? ctl::Outcome<>() : ctl::refuse(fmt::format("{}: {}", command.dev, ending->why));
}

int capture(const Command& command) {
  if (command.capture.files.path == "-" && ::isatty(STDOUT_FILENO) == 1) {
    return failed("a capture is not for a terminal: -w FILE, or -w - into a pipe");
  }
  CaptureFiles files(command.capture.files);
  const auto done = capture_to(files, command);
  if (files.names().empty()) return failed(done.error());  // it did not begin
  const std::string ended = done ? "" : done.error();
  if (!done) failed(done.error());
  ctl::print(command.json ? stdout : stderr, summary(files, ended, command.json));
  const int shown = printed();
  return done ? shown : kFailed;
}

}  // namespace usernic::cli
