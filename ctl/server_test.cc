// SPDX-License-Identifier: Apache-2.0 OR MIT
// A server on a loop of its own thread, and clients that behave well and badly.
#include "ctl/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <new>

#include "ctl/client.h"
#include "ctl/no_more_descriptors.h"
#include "testing/test_folder.h"
#include "usernic/thread.h"

namespace usernic::ctl {
namespace {

using std::chrono::milliseconds;

constexpr Duration kLong = std::chrono::minutes(2);  // what must happen happens within it, anywhere
constexpr ServerLimits kPatient{.clients_max = 1050, .request_time = kLong, .answer_time = kLong};
constexpr ServerLimits kImpatient{.request_time = milliseconds(300), .answer_time = milliseconds(300)};

// Verbs: `echo` says the dev, `big` says as many octets as `changes`, `held` is kept, `stream` opens a stream, `fd`
// answers with the read end of a pipe.
class ServerTest : public testing::Test {
 protected:
  void SetUp() override { start(kPatient); }
  void TearDown() override { stop(); }

  void start(ServerLimits limits) {
    path_ = folder_.path() + "/s";
    auto socket = ListeningSocket::open({path_, ""});
    ASSERT_TRUE(socket) << socket.error();
    auto loop = EventLoop::create();
    ASSERT_TRUE(loop) << loop.error();
    loop_ = *std::move(loop);
    auto server = Server::create(
        *loop_, *std::move(socket), [this](const Request& request, Responder to) { handle(request, to); }, limits);
    ASSERT_TRUE(server) << server.error();
    server_ = *std::move(server);
    thread_ = Thread("server", [this] { loop_->run(); });
  }
  void stop() {
    if (!thread_.joinable()) return;
    loop_->stop();
    thread_.join();
    held_.clear();
    server_.reset();
    loop_.reset();
  }

  void restart(ServerLimits limits) {
    stop();
    start(limits);
  }

  void handle(const Request& request, Responder to) {
    if (request.verb == "echo") return to.answer(Json(request.dev));
    if (request.verb == "big") return to.answer(Json(std::string(request.changes, 'x')));
    if (request.verb == "held") {
      to.on_gone([this] { ++gone_; });
      held_.push_back(to);
      begun_.fetch_add(1);
      return wake_all(begun_);
    }
    if (request.verb == "release") {
      for (const Responder& responder : held_) responder.answer(Json("late"));
      return to.answer(Json(held_.size()));
    }
    if (request.verb == "no-memory") throw std::bad_alloc();
    if (request.verb == "stream-no-memory") {
      to.answer(Json(true));
      to.open_stream([this] { ++gone_; });
      throw std::bad_alloc();
    }
    if (request.verb == "unanswered") return to.close_unanswered();
    if (request.verb == "answered") {
      to.answer(Json("first"));
      return loop_->post([to] { to.close_unanswered(); });
    }
    if (request.verb == "stream") {
      to.answer(Json(true));
      to.open_stream([this] { ++gone_; });
      return held_.push_back(to);
    }
    if (request.verb == "tell") {
      for (uint64_t i = 0; i < request.changes; ++i) {
        for (const Responder& watcher : held_) watcher.event(Event{.what = "rx-mode", .dev = std::to_string(i)});
      }
      return to.answer(Json(true));
    }
    if (request.verb == "fd") {
      int ends[2];
      ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
      const UniqueFd write_end(ends[1]);
      EXPECT_EQ(::write(write_end.get(), "hi", 2), 2);
      std::vector<UniqueFd> descriptors;
      descriptors.emplace_back(ends[0]);
      return to.answer(Json("here"), std::move(descriptors));
    }
    to.refuse("no such verb");
  }

  Client connect() {
    auto client = Client::connect(path_);
    EXPECT_TRUE(client) << client.error();
    return *std::move(client);
  }
  void expect_served() {
    Client client = connect();
    const auto answer = client.call({.verb = "echo", .dev = "still here"});
    ASSERT_TRUE(answer) << answer.error();
    EXPECT_EQ(to_text(*answer), "\"still here\"");
  }
  static void say(const Client& client, std::string_view text) {
    EXPECT_EQ(::send(client.fd(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // What comes until the server closes.
  static std::string read_to_end(const Client& client) {
    std::string text;
    char buffer[65536];
    for (ssize_t got; (got = ::recv(client.fd(), buffer, sizeof buffer, 0)) > 0;) text.append(buffer, got);
    return text;
  }
  static std::string read_line(const Client& client) {
    std::string line;
    for (char octet; !line.ends_with('\n') && ::recv(client.fd(), &octet, 1, 0) == 1;) line += octet;
    return line;
  }
  void wait_gone(int count) {
    for (int i = 0; gone_.load() < count && i < 1000; ++i) expect_served();
    EXPECT_EQ(gone_.load(), count);
  }

  TestFolder folder_;
  std::string path_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Server> server_;
  Thread thread_;
  std::vector<Responder> held_;
  Atomic<int> gone_{0};
  Atomic<uint32_t> begun_{0};  // of "held"
};

TEST_F(ServerTest, AnswersOneRequestAfterTheOther) {
  Client client = connect();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(to_text(*client.call({.verb = "echo", .dev = std::to_string(i)})), "\"" + std::to_string(i) + "\"");
  }
  EXPECT_EQ(client.call({.verb = "nonsense"}).error(), "no such verb");
  EXPECT_TRUE(client.call({.verb = "echo"}));
}

// --- No memory, no descriptors ---

TEST_F(ServerTest, ARequestThatThereIsNoMemoryForIsRefusedAndNobodyElseHearsOfIt) {
  Client other = connect();
  EXPECT_TRUE(other.call({.verb = "echo"}));
  for (int i = 0; i < 3; ++i) {
    Client client = connect();
    EXPECT_EQ(client.call({.verb = "no-memory"}).error(), "the daemon has no memory for this request");
    EXPECT_EQ(read_to_end(client), "") << "and closed";
    EXPECT_TRUE(other.call({.verb = "echo"}));
  }
}

TEST_F(ServerTest, AStreamThatThereIsNoMemoryForIsRefusedAndGone) {
  Client client = connect();
  EXPECT_EQ(client.call({.verb = "stream-no-memory"}).error(), "the daemon has no memory for this request");
  wait_gone(1);
}

TEST_F(ServerTest, WhoIsNotAnsweredByTheEndIsToldThatThereWasNoMemory) {
  Client client = connect();
  EXPECT_EQ(client.call({.verb = "unanswered"}).error(), "the daemon has no memory for this request");
  Client another = connect();
  EXPECT_EQ(to_text(*another.call({.verb = "answered"})), "\"first\"");
}

TEST_F(ServerTest, AClientWithoutADescriptorIsToldSo) {
  Client busy = connect();  // the only one: nobody is idle
  ASSERT_TRUE(busy.send({.verb = "held"}));
  while (begun_.load() == 0) wait_on(begun_, 0);
  const UniqueFd late(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  {
    const NoMoreDescriptors none;
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::connect(late.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    std::string said;
    char octet;
    while (::read(late.get(), &octet, 1) == 1) said += octet;
    const auto answer = parse_answer(said.substr(0, said.find('\n')));
    ASSERT_FALSE(answer);
    EXPECT_NE(answer.error().find("no descriptor left"), std::string::npos) << answer.error();
  }
  expect_served();
}

TEST_F(ServerTest, DescriptorsThatAClientSendsAreNotTaken) {
  const Client client = connect();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  std::vector<UniqueFd> passed;
  passed.emplace_back(ends[1]);
  const std::string line = request_line({.verb = "echo", .dev = "x"});
  ASSERT_EQ(send_with(client.fd(), line, passed), static_cast<ssize_t>(line.size()));
  passed.clear();
  ::shutdown(client.fd(), SHUT_WR);
  EXPECT_EQ(read_to_end(client), result_line(Json("x")));
  char octet;
  EXPECT_EQ(::read(read_end.get(), &octet, 1), 0) << "nobody holds the other end";
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  const Client client = connect();
  std::string lines, expected;
  for (int i = 0; i < 50; ++i) {
    lines += request_line({.verb = "echo", .dev = std::to_string(i)});
    expected += result_line(Json(std::to_string(i)));
  }
  say(client, lines);
  ::shutdown(client.fd(), SHUT_WR);
  EXPECT_EQ(read_to_end(client), expected);
}

TEST_F(ServerTest, GarbageIsAnsweredAndTheNextLineServed) {
  const Client client = connect();
  say(client, "\x01\xff{{{\n\n" + request_line({.verb = "echo", .dev = "x"}));
  ::shutdown(client.fd(), SHUT_WR);
  const std::string sentence = error_line("a request is one JSON object on one line");
  EXPECT_EQ(read_to_end(client), sentence + sentence + result_line(Json("x")));
}

TEST_F(ServerTest, FloodOfGarbageIsAnsweredAndOthersAreServedInBetween) {
  constexpr size_t kLines = 16'384;
  const Client client = connect();
  std::string answers;
  Thread reading("reader", [&] { answers = read_to_end(client); });
  say(client, std::string(kLines, '\n'));
  expect_served();
  ::shutdown(client.fd(), SHUT_WR);
  reading.join();
  EXPECT_EQ(answers.size(), kLines * error_line("a request is one JSON object on one line").size());
}

TEST_F(ServerTest, EndlessLineIsRefused) {
  const Client client = connect();
  const std::string noise(kRequestBytesMax, 'x');
  say(client, noise);
  EXPECT_EQ(read_to_end(client), error_line("a request has at most 65536 characters"));
  expect_served();
}

TEST_F(ServerTest, HalfARequestIsClosedInTime) {
  restart(kImpatient);
  for (int i = 0; i < 2; ++i) {  // nobody is looked at between the two
    const Client client = connect();
    say(client, "{\"v\":1,");
    EXPECT_EQ(read_to_end(client), "");
  }
  expect_served();
}

TEST_F(ServerTest, HalfARequestBehindOneThatIsBeingAnsweredIsNotOverdue) {
  restart(kImpatient);
  const std::string half = "{\"v\":1,";
  const Client waiting = connect(), watcher = connect();
  say(waiting, request_line({.verb = "held"}) + half);
  say(watcher, request_line({.verb = "stream"}) + half);
  EXPECT_EQ(read_line(watcher), result_line(Json(true)));
  const Client only_half = connect();
  say(only_half, half);
  EXPECT_EQ(read_to_end(only_half), "") << "the time of theirs is over, too";
  EXPECT_TRUE(connect().call({.verb = "release"}));
  EXPECT_EQ(read_line(waiting), result_line(Json("late")));
  EXPECT_TRUE(connect().call({.verb = "tell", .changes = 1}));
  EXPECT_EQ(read_line(watcher), event_line({.what = "rx-mode", .dev = "0"}));
}

TEST_F(ServerTest, DrippingRequestIsClosedInTime) {
  restart(kImpatient);
  const Client client = connect();
  const Time deadline = Clock::now() + kLong;
  pollfd hangup{.fd = client.fd(), .events = POLLRDHUP, .revents = 0};
  while (::poll(&hangup, 1, 10) == 0 && Clock::now() < deadline) {
    ::send(client.fd(), "x", 1, MSG_NOSIGNAL);
  }
  EXPECT_LT(Clock::now(), deadline);
  expect_served();
}

TEST_F(ServerTest, RequestInPiecesIsServed) {
  Client client = connect();
  const std::string line = request_line({.verb = "echo", .dev = "pieces"});
  for (const char c : line) say(client, {&c, 1});
  EXPECT_NE(to_text(*client.call({.verb = "echo", .dev = "next"})), "");
}

// Raises the limit, which is 1,024 for an ordinary user, as far as it may be. Both ends of a client are this process's.
bool has_descriptors_for(size_t clients) {
  rlimit limit;
  const rlim_t needed = 2 * clients + 100;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < needed) return false;
  limit.rlim_cur = std::max(limit.rlim_cur, needed);
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

TEST_F(ServerTest, ThousandIdleClientsCostNobodyAnything) {
  if (!has_descriptors_for(1000)) GTEST_SKIP() << "the hard RLIMIT_NOFILE is too low for a thousand clients";
  std::vector<Client> idle;
  for (int i = 0; i < 1000; ++i) idle.push_back(connect());
  expect_served();
  EXPECT_TRUE(idle.front().call({.verb = "echo"}));
  EXPECT_TRUE(idle.back().call({.verb = "echo"}));
}

TEST_F(ServerTest, FullHouseClosesTheLongestIdle) {
  if (!has_descriptors_for(kPatient.clients_max)) GTEST_SKIP() << "the hard RLIMIT_NOFILE is too low for so many";
  std::vector<Client> idle;
  for (size_t i = 0; i < kPatient.clients_max; ++i) idle.push_back(connect());
  expect_served();
  EXPECT_FALSE(idle.front().call({.verb = "echo"}));
  EXPECT_TRUE(idle.back().call({.verb = "echo"}));
}

TEST_F(ServerTest, FullHouseOfBusyClientsSaysSo) {
  restart({.clients_max = 2, .request_time = kLong, .answer_time = kLong});
  Client first = connect(), second = connect();
  EXPECT_TRUE(first.call({.verb = "stream"}));
  EXPECT_TRUE(second.call({.verb = "stream"}));
  const Client third = connect();
  EXPECT_EQ(read_to_end(third), error_line("too many clients are waiting for an answer; try again"));
}

TEST_F(ServerTest, ClientThatNeverReadsIsClosedInTime) {
  restart(kImpatient);
  const Client client = connect();
  say(client, request_line({.verb = "big", .changes = kBurstChangesMax}));
  say(client, request_line({.verb = "held"}));  // never served: the first answer is not read
  expect_served();
  pollfd hangup{.fd = client.fd(), .events = POLLRDHUP, .revents = 0};
  EXPECT_EQ(::poll(&hangup, 1, kLong / milliseconds(1)), 1);
  EXPECT_LT(read_to_end(client).size(), kBurstChangesMax);
  expect_served();
}

TEST_F(ServerTest, LargeAnswerArrivesWhole) {
  Client client = connect();
  const auto answer = client.call({.verb = "big", .changes = kBurstChangesMax});
  ASSERT_TRUE(answer) << answer.error();
  EXPECT_EQ(answer->as<std::string>()->size(), kBurstChangesMax);
}

TEST_F(ServerTest, UnreadAnswersAreBoundedOverAll) {
  restart({.unsent_bytes_max = 3'000'000, .request_time = kLong, .answer_time = kLong});
  std::vector<Client> never_reading;
  for (int i = 0; i < 3; ++i) {
    never_reading.push_back(connect());
    say(never_reading.back(), request_line({.verb = "big", .changes = kBurstChangesMax}));
  }
  expect_served();
  Client client = connect();
  EXPECT_EQ(client.call({.verb = "big", .changes = kBurstChangesMax}).error(),
            "other clients leave too much unread; try again");
}

TEST_F(ServerTest, LateAnswersArriveAndAnswersForTheGoneAreDropped) {
  Client waiting = connect();
  {
    const Client leaving = connect();
    say(leaving, request_line({.verb = "held"}));
    expect_served();
  }
  wait_gone(1);
  say(waiting, request_line({.verb = "held"}));
  expect_served();
  EXPECT_TRUE(connect().call({.verb = "release"}));
  EXPECT_TRUE(connect().call({.verb = "release"}));  // answered twice: the first one counts
  ::shutdown(waiting.fd(), SHUT_WR);
  EXPECT_EQ(read_to_end(waiting), result_line(Json("late")));
}

TEST_F(ServerTest, WatcherGetsEventsInOrder) {
  Client watcher = connect();
  EXPECT_TRUE(watcher.call({.verb = "stream"}));
  EXPECT_TRUE(connect().call({.verb = "tell", .changes = 100}));
  for (int i = 0; i < 100; ++i) {
    const auto event = watcher.next_event(Clock::now() + kLong);
    ASSERT_TRUE(event) << event.error();
    EXPECT_EQ(event->dev, std::to_string(i));
  }
  EXPECT_EQ(watcher.next_event(Clock::now() + milliseconds(20)).error(), "the daemon did not answer in time");
}

TEST_F(ServerTest, WatcherThatNeverReadsIsClosed) {
  Client watcher = connect();
  EXPECT_TRUE(watcher.call({.verb = "stream"}));
  EXPECT_TRUE(connect().call({.verb = "tell", .changes = 20'000}));
  wait_gone(1);
}

TEST_F(ServerTest, DescriptorsTravelWithTheAnswer) {
  Client client = connect();
  std::vector<UniqueFd> descriptors;
  EXPECT_TRUE(client.call({.verb = "fd"}, &descriptors));
  ASSERT_EQ(descriptors.size(), 1u);
  EXPECT_EQ(::fcntl(descriptors[0].get(), F_GETFD), FD_CLOEXEC);
  char text[3] = {};
  EXPECT_EQ(::read(descriptors[0].get(), text, 2), 2);
  EXPECT_STREQ(text, "hi");
}

TEST_F(ServerTest, DescriptorsFromClientsAreNotTaken) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const UniqueFd read_end(ends[0]);
  const Client client = connect();
  {
    std::vector<UniqueFd> write_end;
    write_end.emplace_back(ends[1]);
    send_with(client.fd(), request_line({.verb = "echo"}), write_end);
  }
  char octet;
  EXPECT_GT(::recv(client.fd(), &octet, 1, 0), 0);
  EXPECT_EQ(::read(read_end.get(), &octet, 1), 0) << "somebody still holds the write end";
}

TEST(ClientTest, HearsWhyItWasClosedBeforeItAsked) {
  const TestFolder folder;
  const auto socket = ListeningSocket::open({folder.path() + "/s", ""});
  ASSERT_TRUE(socket) << socket.error();
  auto client = Client::connect(socket->path());
  ASSERT_TRUE(client) << client.error();
  {
    const UniqueFd accepted(::accept(socket->fd(), nullptr, nullptr));
    send_with(accepted.get(), error_line("no room"), {});
  }
  EXPECT_EQ(client->call({.verb = "link"}).error(), "no room");
}

// What a client says of an answer that no daemon of this version gives, and of none.
class StrangeDaemonTest : public testing::Test {
 protected:
  void SetUp() override {
    auto socket = ListeningSocket::open({folder_.path() + "/s", ""});
    ASSERT_TRUE(socket) << socket.error();
    socket_.emplace(*std::move(socket));
    auto client = Client::connect(socket_->path());
    ASSERT_TRUE(client) << client.error();
    client_.emplace(*std::move(client));
    accepted_.reset(::accept(socket_->fd(), nullptr, nullptr));
  }
  std::string error_at(std::string_view answer) {
    send_with(accepted_.get(), answer, {});
    return client_->call({.verb = "link"}).error();
  }
  std::string error_at_event(std::string_view event) {
    send_with(accepted_.get(), event, {});
    return client_->next_event(Clock::now() + kLong).error();
  }
  int folder_fd() {
    folder_descriptor_.reset(::open(folder_.path().c_str(), O_RDONLY | O_CLOEXEC));
    return folder_descriptor_.get();
  }
  TestFolder folder_;
  UniqueFd folder_descriptor_;
  std::optional<ListeningSocket> socket_;
  std::optional<Client> client_;
  UniqueFd accepted_;
};

constexpr std::string_view kNoSense = "the daemon's answer makes no sense; is it another version of usernic?";

TEST_F(StrangeDaemonTest, AnAnswerThatMakesNoSenseIsASentence) {
  EXPECT_EQ(error_at("hello\n"), kNoSense);
  EXPECT_EQ(error_at("{\"v\":1,\"ok\":true}\n"), kNoSense);
  EXPECT_EQ(error_at("{\"v\":1,\"ok\":false,\"error\":7}\n"), "the daemon refused and did not say why");
}

TEST_F(StrangeDaemonTest, AnEventThatMakesNoSenseIsASentence) {
  EXPECT_EQ(error_at_event("hello\n"), kNoSense);
  EXPECT_EQ(error_at_event(result_line(Json(7))),
            "the daemon's event makes no sense; is it another version of usernic?");
  EXPECT_EQ(error_at_event(error_line("no")), "no");
}

TEST_F(StrangeDaemonTest, ADaemonThatGoesIsASentence) {
  accepted_.reset();
  EXPECT_EQ(client_->call({.verb = "link"}).error(), "usernic closed the control socket");
  EXPECT_EQ(client_->next_event(Clock::now() + kLong).error(), "usernic closed the control socket");
}

TEST_F(StrangeDaemonTest, ADaemonThatStaysSilentIsGivenUp) {
  EXPECT_EQ(client_->call({.verb = "link"}, nullptr, milliseconds(20)).error(), "the daemon did not answer in time");
}

TEST_F(StrangeDaemonTest, ASocketThatCannotBeUsedIsASentence) {
  ASSERT_EQ(::dup2(folder_fd(), client_->fd()), client_->fd());
  EXPECT_EQ(client_->send({.verb = "link"}).error(),
            "cannot write to the control socket: Socket operation on non-socket");
  EXPECT_EQ(client_->next_event(Clock::now() + kLong).error(),
            "cannot read from the control socket: Socket operation on non-socket");
}

}  // namespace
}  // namespace usernic::ctl
