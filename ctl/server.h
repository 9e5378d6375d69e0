// SPDX-License-Identifier: Apache-2.0 OR MIT
// ctl: the daemon's side of the control socket.
//
// One event loop serves every client; nobody's behaviour costs another client more than its turn:
//   garbage             is answered with a sentence, and the next line is read
//   half a request      is closed `request_time` after its first octet, however it drips
//   an idle client      costs a descriptor; when `clients_max` are connected, the longest idle one makes room
//   who never reads     is closed `answer_time` after its last octet; a watcher also when `backlog_bytes_max` wait
//   another user        is refused; the caller's uid must be the daemon's own, or root
//   no memory           for what a client wants: it is told so and closed
//   no descriptor       for another client: the longest idle one makes room; where nobody is idle it is told so
//
// A request goes to the handler with a Responder, which may be answered from any thread, later. A client sends its
// next request after the answer: one at a time, so a client cannot make work pile up.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ctl/connection.h"
#include "ctl/event_loop.h"
#include "ctl/messages.h"
#include "ctl/socket_path.h"

namespace usernic::ctl {

class Server;

// The way back to the client of one request. Copies stand for the same request; the first answer counts. An answer
// for a client that has gone is dropped. Requires: the Server outlives it.
class Responder {
 public:
  // Any thread.
  void answer(Json result, std::vector<UniqueFd> descriptors = {}) const;
  void refuse(std::string sentence) const;
  // After an `answer` that opened a stream: one more line. Only after `open_stream`.
  void event(const Event& event) const;

  // The loop's thread. The client stays and is sent events from now on; `gone` is called when it leaves.
  void open_stream(EventLoop::Call gone) const;
  // The loop's thread. Calls `gone` when the client leaves before the answer.
  void on_gone(EventLoop::Call gone) const;
  // The loop's thread. Who has no answer by now is told that there was no memory for it, and closed.
  void close_unanswered() const noexcept;

 private:
  friend class Server;
  Responder(Server& server, uint64_t client, uint64_t request) : server_(&server), client_(client), request_(request) {}
  Server* server_;
  uint64_t client_;
  uint64_t request_;
};

struct ServerLimits {
  size_t clients_max = 1200;
  size_t backlog_bytes_max = 1 << 20;    // of a client with an open stream
  size_t unsent_bytes_max = 256u << 20;  // of all clients together
  Duration request_time = std::chrono::seconds(5);
  Duration answer_time = std::chrono::seconds(10);
};

class Server {
 public:
  using Handler = std::function<void(const Request&, Responder)>;

  // Everything from the loop's thread. Requires: the loop outlives it. Destruction closes every connection and calls
  // nobody's `gone`.
  static Outcome<std::unique_ptr<Server>> create(EventLoop& loop, ListeningSocket socket, Handler handler,
                                                 ServerLimits limits = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  const std::string& path() const noexcept { return socket_.path(); }
  const ListeningSocket& socket() const noexcept { return socket_; }
  size_t clients() const noexcept { return clients_.size(); }

 private:
  friend class Responder;
  struct Client {
    Connection connection;
    uint64_t watch = 0;
    uint64_t request = 0;  // the number of the newest one
    bool answering = false;
    bool streams = false;
    bool no_more_input = false;
    bool close_when_sent = false;
    bool turn_coming = false;  // `serve` is posted
    EventLoop::Call gone;
  };
  using Clients = std::map<uint64_t, Client>;

  Server(EventLoop& loop, ListeningSocket socket, UniqueFd spare, Handler handler, ServerLimits limits);
  void accept_one();
  void cannot_accept(int error);
  void refuse_for_want_of_descriptor();
  // A turn of one client. What it finds no memory for ends with this client, and harms no other.
  template <class Turn>
  void take_turn(uint64_t id, Turn&& turn);
  void out_of_memory(uint64_t id) noexcept;
  bool make_room();
  void ready(uint64_t id, uint32_t events);
  void serve_soon(uint64_t id);
  void serve(uint64_t id);
  void send(uint64_t id, uint64_t request, std::string line, std::vector<UniqueFd> descriptors, bool is_event);
  void reply(uint64_t id, std::string_view line);
  void refuse_and_close(uint64_t id, std::string_view sentence);
  void update_watch(Client& client);
  void drop(uint64_t id) noexcept;
  void sweep_from_now_on();
  bool sweep();
  bool overdue(const Client& client, Time now) const;

  EventLoop& loop_;
  ListeningSocket socket_;
  UniqueFd spare_;  // a descriptor for who is to be told that none is left
  const Handler handler_;
  const ServerLimits limits_;
  const long own_uid_;
  uint64_t listen_watch_ = 0;
  Clients clients_;
  uint64_t next_client_ = 1;
  bool sweeping_ = false;
};

}  // namespace usernic::ctl
// Explained best by: ctl/server_test.cc
