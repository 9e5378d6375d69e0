// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/usb_device.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <vector>

#include "bus/usb/emulated.h"
#include "bus/usb/location.h"
#include "bus/usb/usbip.h"
#include "bus/usb/usbip_server.h"
#include "ctl/did_you_mean.h"
#include "ctl/event_loop.h"
#include "ctl/exit_code.h"
#include "ctl/json.h"
#include "ctl/print.h"
#include "daemon/ending_signals.h"
#include "daemon/log_writer.h"
#include "daemon/privileges.h"
#include "daemon/usb_models.h"
#include "host/tap.h"
#include "usernic/refusal.h"

namespace usernic::daemon {
namespace {

using ctl::Json;
using ctl::kFailed;
using ctl::kUsage;

constexpr size_t kCableFrameMax = 9216;  // of what may be an MTU
constexpr size_t kCommandMax = 256;
constexpr int kFramesAtOnce = 64;

// --- What is said ---

std::string hex(std::span<const uint8_t> octets) {
  std::string text;
  for (const uint8_t octet : octets) text += fmt::format("{:02x}", octet);
  return text;
}

Json::Object members(const usb::NicFilter& filter) {
  const auto texts = [](const std::vector<MacAddress>& addresses) {
    Json::Array array;
    for (const MacAddress& address : addresses) array.push_back(address.to_string());
    return array;
  };
  Json::Array vlans;
  for (const uint16_t id : filter.vlans) vlans.push_back(id);
  return {{"receiving", filter.receiving},    {"own", filter.own.to_string()},
          {"directed", filter.directed},      {"broadcast", filter.broadcast},
          {"unicast", texts(filter.unicast)}, {"multicast", texts(filter.multicast)},
          {"hash", hex(filter.hash)},         {"allmulti", filter.allmulti},
          {"promisc", filter.promisc},        {"vlan_filter", filter.vlan_filter},
          {"vlans", std::move(vlans)},        {"accept", fmt::format("{:#x}", filter.accept)}};
}

Json::Object members(const usb::TransferCounts& counts) {
  return {{"transfers", counts.transfers.load()},
          {"controls", counts.controls.load()},
          {"vendor_writes", counts.vendor_writes.load()},
          {"in_flight", counts.in_flight.load()},
          {"in_flight_max", counts.in_flight_max.load()},
          {"age_max_ms", static_cast<double>(counts.age_max_us.load()) / 1000}};
}

// "NAME VALUE NAME VALUE".
std::string for_people(const Json::Object& object) {
  std::string line;
  for (const auto& [name, value] : object) {
    const std::string* const text = value.as<std::string>();
    line += fmt::format("  {} {}", name, text == nullptr ? ctl::to_text(value) : text->empty() ? "-" : *text);
  }
  return line;
}

// Nobody who says something waits for who reads it.
class Events {
 public:
  explicit Events(bool json) : json_(json), out_(writer(json)) { out_.start(); }

  // Context: process.
  void say(std::string_view event, Json::Object more = {}) {
    const double ms = std::chrono::duration<double, std::milli>(Clock::now() - begun_).count();
    if (json_) {
      more.insert(more.begin(), {{"event", event}, {"ms", ms}});
      out_.add(ctl::to_text(std::move(more)) + "\n");
    } else {
      out_.add(fmt::format("{:.3f} ms  {}{}\n", ms, event, for_people(more)));
    }
  }
  void finish() { out_.flush(Clock::now() + kPrintWait); }

 private:
  static LogWriter& writer(bool json) {
    static LogWriter& writer =
        json ? *new LogWriter(STDOUT_FILENO, gap) : *new LogWriter(STDOUT_FILENO);  // as in log.cc
    return writer;
  }
  static std::string gap(uint64_t lines) {
    return ctl::to_text(Json::Object{{"event", "dropped"}, {"lines", lines}}) + "\n";
  }
  const bool json_;
  const Time begun_ = Clock::now();
  LogWriter& out_;
};

// --- The adapter ---

class ServedAdapter final : usb::Cable, usb::PortWatch {
 public:
  ServedAdapter(std::unique_ptr<usb::NicModel> model, std::optional<Tap> tap, bool trace, Events& events)
      : events_(events), trace_(trace), tap_(std::move(tap)), model_(std::move(model)) {
    model_->connect_cable(this);
  }
  ~ServedAdapter() { model_->connect_cable(nullptr); }

  usb::EmulatedPort& port() { return port_; }
  usb::NicModel& model() { return *model_; }
  Tap* tap() { return tap_ ? &*tap_ : nullptr; }
  // Called by the port's thread when the device was pulled out of somebody's hands.
  std::move_only_function<void()> on_unplugged = [] {};

  // What the kernel sent on the TAP. False: the interface is gone.
  bool take_frames() {
    std::array<uint8_t, kCableFrameMax> frame;
    for (int n = 0; n < kFramesAtOnce; ++n) {
      const Result<size_t> size = tap_->queue(0).read(frame);
      if (!size) return size.error() == std::errc::resource_unavailable_try_again;
      model_->receive(std::span(frame).first(*size));
    }
    return true;
  }

 private:
  void hear(std::span<const uint8_t> frame) noexcept override {
    if (tap_) (void)tap_->queue(0).write(frame);  // down: nobody hears it
  }
  void control(const usb::Setup& setup, std::span<const uint8_t> data,
               const Result<uint32_t>& result) noexcept override {
    if (trace_) {
      events_.say("control", {{"type", setup.request_type},
                              {"request", setup.request},
                              {"value", setup.value},
                              {"index", setup.index},
                              {"length", setup.length},
                              {"data", hex(data)},
                              {"result", result ? std::string("ok") : std::string(errno_name(result.error()))}});
    }
    usb::NicFilter now = model_->filter();
    if (now == filter_) return;
    filter_ = std::move(now);
    events_.say("filter", members(filter_));
  }
  void unplugged() noexcept override {
    events_.say("unplugged", members(port_.counts()));
    on_unplugged();
  }

  Events& events_;
  const bool trace_;
  std::optional<Tap> tap_;
  const std::unique_ptr<usb::NicModel> model_;
  usb::NicFilter filter_;  // as it was last said; the port's thread's
  usb::EmulatedPort port_{*model_, "served", this};
};

// --- What is asked for, on stdin ---

class Commands {
 public:
  Commands(ServedAdapter& adapter, Events& events) : adapter_(adapter), events_(events) {}

  // Reads what is there. False: there is nothing more to come.
  bool take() {
    char octets[4096];
    const ssize_t size = ::read(STDIN_FILENO, octets, sizeof octets);
    if (size < 0) return errno == EINTR || errno == EAGAIN;
    for (const char octet : std::string_view(octets, static_cast<size_t>(size))) {
      if (octet == '\n') {
        obey(std::exchange(line_, {}));
      } else if (line_.size() < kCommandMax) {
        line_ += octet;
      }
    }
    return size > 0;
  }
  void plug() {
    if (adapter_.port().plugged()) return;
    adapter_.port().plug();
    events_.say("plugged");
  }

 private:
  struct Word {
    std::string_view name;
    bool (Commands::*obey)(std::string_view argument);  // false: not understood
  };
  static constexpr std::string_view kNames[] = {"state", "link", "unplug", "plug", "slow", "fail", "unplug-at"};

  void obey(const std::string& line) {
    const size_t space = line.find(' ');
    const std::string_view name = std::string_view(line).substr(0, space);
    const std::string_view argument = space == std::string::npos ? "" : std::string_view(line).substr(space + 1);
    if (carry_out(name, argument)) return events_.say("done", {{"command", line}});
    const bool known = std::ranges::find(kNames, name) != std::end(kNames);
    events_.say("refused", {{"command", ctl::shortened(line)},
                            {"why", known ? fmt::format("'{}' does not go with it", ctl::shortened(argument))
                                          : "no such command" + ctl::suggestion(name, kNames)}});
  }

  bool carry_out(std::string_view name, std::string_view argument) {
    usb::EmulatedPort& port = adapter_.port();
    if (name == "link") {
      if (argument != "up" && argument != "down") return false;
      adapter_.model().set_link(argument == "up");
      if (Tap* const tap = adapter_.tap()) (void)tap->set_carrier(argument == "up");
      return true;
    }
    if (name == "slow" || name == "fail" || name == "unplug-at") {
      uint64_t number = 0;
      const auto [end, error] = std::from_chars(argument.begin(), argument.end(), number);
      if (error != std::errc{} || end != argument.end() || number > UINT32_MAX) return false;
      if (name == "slow") port.faults().control_ns.store(number * 1'000'000);
      if (name == "fail") port.faults().fail_every.store(number);
      if (name == "unplug-at") port.faults().unplug_at.store(number == 0 ? 0 : port.counts().transfers.load() + number);
      return true;
    }
    if (!argument.empty()) return false;
    if (name == "state") {
      Json::Object state = members(adapter_.model().filter());
      for (Json::Member& member : members(port.counts())) state.push_back(std::move(member));
      state.push_back({"plugged", port.plugged()});
      return events_.say("state", std::move(state)), true;
    }
    if (name == "unplug") return port.unplug(), true;
    if (name == "plug") return plug(), true;
    return false;
  }

  ServedAdapter& adapter_;
  Events& events_;
  std::string line_;
};

// --- From the options ---

struct Plan {
  const UsbModel* model = nullptr;
  MacAddress address;
  std::string listen_at;
  uint16_t listen_port = 0;
};

ctl::Outcome<Plan> make_plan(const UsbDeviceOptions& options) {
  Plan plan{.model = find_usb_model(options.model), .address = MacAddress::generate()};
  if (plan.model == nullptr) return ctl::refuse("MODEL " + no_usb_model(options.model));
  const std::string_view listen = options.listen;
  const bool any = listen.ends_with(":0");  // a port that no server has
  if (!usb::parse_server(any ? listen.substr(0, listen.size() - 2) : listen, plan.listen_at, plan.listen_port)) {
    return ctl::refuse(
        fmt::format("--listen takes ADDRESS:PORT, as in 127.0.0.1:3240, not '{}'", ctl::shortened(options.listen)));
  }
  if (any) plan.listen_port = 0;
  if (options.bus_id.empty() || options.bus_id.size() >= usb::usbip::kBusIdBytes) {
    return ctl::refuse(
        fmt::format("--bus-id takes 1 to {} letters, not {}", usb::usbip::kBusIdBytes - 1, options.bus_id.size()));
  }
  if (options.address.empty()) return plan;
  const std::optional<MacAddress> address = MacAddress::parse(options.address);
  if (!address || !address->is_valid_own()) {
    return ctl::refuse(fmt::format("--address takes the address of one adapter, as in 02:00:00:00:00:01, not '{}'",
                                   ctl::shortened(options.address)));
  }
  plan.address = *address;
  return plan;
}

ctl::Outcome<std::optional<Tap>> make_tap(const std::string& name) {
  if (name.empty()) return std::nullopt;
  const HostResult<NetNamespace> here = NetNamespace::current();
  if (!here) return ctl::refuse(here.error().sentence);
  HostResult<Tap> tap = Tap::create(*here, name);
  if (!tap) return ctl::refuse(tap.error().sentence);
  if (const Result<> on = tap->set_carrier(true); !on) {
    return ctl::refuse(fmt::format("cannot turn on the carrier of {}: {}", name, refusal(on.error())));
  }
  return *std::move(tap);
}

Duration from_ms(double ms) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(ms));
}

ctl::Outcome<> serve(const UsbDeviceOptions& options, const Plan& plan, ctl::EventLoop& loop,
                     const EndingSignals& signals) {
  auto tap = make_tap(options.tap);
  if (!tap) return ctl::refuse(tap.error());
  Events events(options.json);
  ServedAdapter adapter(plan.model->make(plan.address), *std::move(tap), options.trace, events);
  Commands commands(adapter, events);
  usb::Faults& faults = adapter.port().faults();
  faults.control_ns.store(static_cast<uint64_t>(from_ms(options.slow_ms).count()));
  faults.fail_every.store(options.fail_every);
  faults.unplug_at.store(options.unplug_at);
  if (options.replug_ms) {
    adapter.on_unplugged = [&] {
      loop.post([&] { loop.at(Clock::now() + from_ms(*options.replug_ms), [&] { commands.plug(); }); });
    };
  }
  const auto server = usb::UsbipServer::create(adapter.port(), options.bus_id, plan.listen_at, plan.listen_port);
  if (!server) return ctl::refuse(fmt::format("cannot listen on {}: {}", options.listen, refusal(server.error())));

  const auto end = [&](uint32_t) {
    if (signals.take()) loop.stop();
  };
  uint64_t frames = 0, words = 0;
  const auto take_frames = [&](uint32_t) {
    if (adapter.take_frames()) return;
    events.say("tap-gone");
    loop.forget(frames);
  };
  const auto take_words = [&](uint32_t) {
    if (!commands.take()) loop.forget(words);
  };
  bool watched = loop.watch(signals.fd(), EPOLLIN, end) != 0;
  if (adapter.tap() != nullptr)
    watched &= (frames = loop.watch(adapter.tap()->queue(0).fd(), EPOLLIN, take_frames)) != 0;
  if (!watched) return ctl::refuse("cannot wait for events: " + refusal(static_cast<std::errc>(errno)));
  if (options.commands && (words = loop.watch(STDIN_FILENO, EPOLLIN, take_words)) == 0) {
    return ctl::refuse("--commands reads a pipe or a terminal, and stdin is neither");
  }
  events.say("serving", {{"model", options.model},
                         {"address", plan.address.to_string()},
                         {"bus_id", options.bus_id},
                         {"listen", plan.listen_at},
                         {"port", (*server)->tcp_port()}});
  loop.run();
  events.say("ended", members(adapter.port().counts()));
  events.finish();
  return {};
}

}  // namespace

int usb_device(const UsbDeviceOptions& options) {
  const auto complain = [](const std::string& sentence, int exit_code) {
    ctl::print(stderr, fmt::format("usernic: {}\n", sentence));
    return exit_code;
  };
  for (const int number : {SIGPIPE, SIGXFSZ}) ::signal(number, SIG_IGN);
  const auto plan = make_plan(options);
  if (!plan) return complain(plan.error(), kUsage);
  const EndingSignals signals;
  if (signals.fd() < 0) {
    return complain("cannot make a signalfd: " + refusal(static_cast<std::errc>(errno)), kFailed);
  }
  const auto loop = ctl::EventLoop::create();
  if (!loop) return complain(loop.error(), kFailed);
  // Strangers send it octets.
  if (auto dropped = drop_other_capabilities(); !dropped) return complain(dropped.error(), kFailed);
  (void)deny_unneeded_calls();  // there are containers that have no seccomp to offer
  const ctl::Outcome<> served = serve(options, *plan, **loop, signals);
  return served ? 0 : complain(served.error(), kFailed);
}

}  // namespace usernic::daemon
