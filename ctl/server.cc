// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "ctl/server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "usernic/refusal.h"

namespace usernic::ctl {
namespace {
constexpr Duration kSweepPeriod = std::chrono::milliseconds(250);
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);
// As error_line would write it, which needs memory.
constexpr std::string_view kNoMemoryLine =
    "{\"v\":1,\"ok\":false,\"error\":\"the daemon has no memory for this request\"}\n";

constexpr std::string_view kNoDescriptorLine =
    "{\"v\":1,\"ok\":false,\"error\":\"the daemon has no descriptor left for another client; "
    "raise its RLIMIT_NOFILE (ulimit -n, or LimitNOFILE=)\"}\n";

// Straight to the socket, which has room for a line: nothing else is on its way.
void say(int fd, std::string_view line) noexcept {
  [[maybe_unused]] const ssize_t sent = ::send(fd, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

// Something that takes a descriptor and nothing else.
UniqueFd spare_descriptor() noexcept {
  return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

}  // namespace

void Responder::answer(Json result, std::vector<UniqueFd> descriptors) const {
  server_->loop_.post([*this, line = result_line(std::move(result)), fds = std::move(descriptors)]() mutable {
    server_->take_turn(client_, [&] { server_->send(client_, request_, std::move(line), std::move(fds), false); });
  });
}

void Responder::refuse(std::string sentence) const {
  server_->loop_.post([*this, line = error_line(sentence)]() mutable {
    server_->take_turn(client_, [&] { server_->send(client_, request_, std::move(line), {}, false); });
  });
}

void Responder::event(const Event& event) const {
  server_->loop_.post([*this, line = event_line(event)]() mutable {
    server_->take_turn(client_, [&] { server_->send(client_, request_, std::move(line), {}, true); });
  });
}

void Responder::open_stream(EventLoop::Call gone) const {
  const auto found = server_->clients_.find(client_);
  if (found != server_->clients_.end()) found->second.streams = true;
  on_gone(std::move(gone));
}

void Responder::on_gone(EventLoop::Call gone) const {
  const auto found = server_->clients_.find(client_);
  if (found != server_->clients_.end()) found->second.gone = std::move(gone);
}

void Responder::close_unanswered() const noexcept {
  const auto found = server_->clients_.find(client_);
  if (found == server_->clients_.end() || found->second.request != request_ || !found->second.answering) return;
  server_->out_of_memory(client_);
}

Outcome<std::unique_ptr<Server>> Server::create(EventLoop& loop, ListeningSocket socket, Handler handler,
                                                ServerLimits limits) {
  UniqueFd spare = spare_descriptor();
  // One client at least is to find room.
  if (const UniqueFd client = spare_descriptor(); !spare || !client) {
    return ctl::refuse("no descriptor is left for a client: " + refusal(static_cast<std::errc>(errno)));
  }
  std::unique_ptr<Server> server(new Server(loop, std::move(socket), std::move(spare), std::move(handler), limits));
  server->listen_watch_ =
      loop.watch(server->socket_.fd(), EPOLLIN, [it = server.get()](uint32_t) { it->accept_one(); });
  if (server->listen_watch_ == 0) {
    return ctl::refuse("cannot watch the control socket: " + refusal(static_cast<std::errc>(errno)));
  }
  return server;
}

Server::Server(EventLoop& loop, ListeningSocket socket, UniqueFd spare, Handler handler, ServerLimits limits)
    : loop_(loop),
      socket_(std::move(socket)),
      spare_(std::move(spare)),
      handler_(std::move(handler)),
      limits_(limits),
      own_uid_(static_cast<long>(::geteuid())) {}

Server::~Server() {
  loop_.forget(listen_watch_);
  for (const auto& [_, client] : clients_) loop_.forget(client.watch);
}

void Server::accept_one() {
  UniqueFd fd(::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) return cannot_accept(errno);
  const bool room = clients_.size() < limits_.clients_max || make_room();
  const long uid = peer_uid(fd.get());
  const uint64_t id = next_client_++;
  try {
    clients_.emplace(id, Client{.connection = Connection(UniqueFd())});
  } catch (const std::bad_alloc&) {
    return say(fd.get(), kNoMemoryLine);
  }
  take_turn(id, [&] {
    Client& client = clients_.at(id);
    client.connection = Connection(std::move(fd));
    client.watch = loop_.watch(client.connection.fd(), EPOLLIN,
                               [this, id](uint32_t events) { take_turn(id, [&] { ready(id, events); }); });
    if (client.watch == 0) return drop(id);
    sweep_from_now_on();
    if (uid != own_uid_ && uid != 0) return refuse_and_close(id, "this socket belongs to another user");
    if (!room) refuse_and_close(id, "too many clients are waiting for an answer; try again");
  });
}

// Who waits to be accepted is reported again at once. What does not pass by itself is looked at later.
void Server::cannot_accept(int error) {
  if (error == EAGAIN || error == EINTR || error == ECONNABORTED) return;
  if (error == EMFILE || error == ENFILE) {
    if (make_room()) return;
    if (spare_) return refuse_for_want_of_descriptor();
    spare_ = spare_descriptor();
  }
  loop_.at(Clock::now() + kAcceptPause, [this] { loop_.change(listen_watch_, EPOLLIN); });
  loop_.change(listen_watch_, 0);
}

void Server::refuse_for_want_of_descriptor() {
  spare_.reset();
  if (const UniqueFd fd(::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)); fd) {
    say(fd.get(), kNoDescriptorLine);
  }
  spare_ = spare_descriptor();
}

template <class Turn>
void Server::take_turn(uint64_t id, Turn&& turn) {
  try {
    turn();
  } catch (const std::bad_alloc&) {
    out_of_memory(id);
  }
}

void Server::out_of_memory(uint64_t id) noexcept {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  const Client& client = found->second;
  // In the middle of a line, or of a stream, it would be no sentence.
  const bool streaming = client.streams && !client.answering;
  if (!streaming && client.connection.unsent_bytes() == 0) say(client.connection.fd(), kNoMemoryLine);
  drop(id);
}

// Closes the client that has been idle the longest. False when everybody is busy.
bool Server::make_room() {
  auto longest = clients_.end();
  for (auto i = clients_.begin(); i != clients_.end(); ++i) {
    const Client& client = i->second;
    if (client.answering || client.streams || client.connection.unsent_bytes() > 0) continue;
    if (longest == clients_.end() || client.connection.last_progress() < longest->second.connection.last_progress()) {
      longest = i;
    }
  }
  if (longest == clients_.end()) return false;
  drop(longest->first);
  return true;
}

void Server::ready(uint64_t id, uint32_t events) {
  Client& client = clients_.at(id);
  if ((events & (EPOLLHUP | EPOLLERR)) != 0 && (events & EPOLLIN) == 0) return drop(id);
  if ((events & EPOLLOUT) != 0 && !client.connection.flush()) return drop(id);
  if ((events & EPOLLIN) != 0 && !client.connection.receive()) client.no_more_input = true;
  serve_soon(id);
}

// Never at once: a client's lines would be answered inside one another, and before anybody else's.
void Server::serve_soon(uint64_t id) {
  if (std::exchange(clients_.at(id).turn_coming, true)) return;
  loop_.post([this, id] { take_turn(id, [&] { serve(id); }); });
}

// Takes the client's next request, if it may have one answered; one a turn, so that others get theirs.
void Server::serve(uint64_t id) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  Client& client = found->second;
  client.turn_coming = false;
  if (client.answering || client.streams || client.connection.unsent_bytes() > 0) return update_watch(client);
  if (client.close_when_sent) return drop(id);
  const std::optional<std::string> line = client.connection.take_line();
  if (!line) {
    if (client.no_more_input) return drop(id);
    if (client.connection.line_too_long()) return refuse_and_close(id, "a request has at most 65536 characters");
    return update_watch(client);
  }
  const Outcome<Request> request = parse_request(*line);
  if (!request) return reply(id, error_line(request.error()));
  client.answering = true;
  update_watch(client);
  handler_(*request, Responder(*this, id, ++client.request));
}

void Server::send(uint64_t id, uint64_t request, std::string line, std::vector<UniqueFd> descriptors, bool is_event) {
  const auto found = clients_.find(id);
  if (found == clients_.end() || found->second.request != request) return;
  Client& client = found->second;
  if (is_event ? !client.streams : !client.answering) return;
  if (!is_event) {
    client.answering = false;
    if (!client.streams) client.gone = nullptr;
    size_t unsent_bytes = line.size();
    for (const auto& [_, other] : clients_) unsent_bytes += other.connection.unsent_bytes();
    if (unsent_bytes > limits_.unsent_bytes_max) {
      return reply(id, error_line("other clients leave too much unread; try again"));
    }
  } else if (client.connection.unsent_bytes() + line.size() > limits_.backlog_bytes_max) {
    return drop(id);
  }
  client.connection.enqueue({}, std::move(descriptors));
  reply(id, line);
}

void Server::reply(uint64_t id, std::string_view line) {
  Client& client = clients_.at(id);
  client.connection.enqueue(line);
  if (!client.connection.flush()) return drop(id);
  update_watch(client);
  serve_soon(id);  // there may be another line
}

void Server::refuse_and_close(uint64_t id, std::string_view sentence) {
  clients_.at(id).close_when_sent = true;
  reply(id, error_line(sentence));
}

void Server::update_watch(Client& client) {
  const bool sending = client.connection.unsent_bytes() > 0;
  const bool reading = !sending && !client.answering && !client.streams && !client.no_more_input;
  loop_.change(client.watch, (sending ? uint32_t{EPOLLOUT} : 0u) | (reading ? uint32_t{EPOLLIN} : 0u));
}

void Server::drop(uint64_t id) noexcept {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  Client client = std::move(found->second);
  clients_.erase(found);
  loop_.forget(client.watch);
  if (client.gone) client.gone();
}

bool Server::overdue(const Client& client, Time now) const {
  if (client.connection.unsent_bytes() > 0) return now - client.connection.last_progress() > limits_.answer_time;
  const bool half = client.connection.has_part_of_a_line() && !client.answering && !client.streams;
  return half && now - client.connection.line_begun() > limits_.request_time;
}

void Server::sweep_from_now_on() {
  if (sweeping_) return;
  loop_.every(kSweepPeriod, [this] { return sweep(); });
  sweeping_ = true;
}

// False: there is nobody left to look at.
bool Server::sweep() {
  const Time now = Clock::now();
  for (auto next = clients_.begin(); next != clients_.end();) {
    const auto& [id, client] = *next++;
    if (overdue(client, now)) drop(id);
  }
  return sweeping_ = !clients_.empty();
}

}  // namespace usernic::ctl
