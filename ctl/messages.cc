// SPDX-License-Identifier: Apache-2.0 OR MIT
// Each message lists its fields once; writing and reading walk the same list.
#include "ctl/messages.h"

#include <fmt/format.h>

#include <concepts>
#include <type_traits>

namespace usernic::ctl {
namespace {

template <class T, class Message>
concept Is = std::same_as<std::remove_const_t<T>, Message>;

void fields(auto& f, Is<RefusedWish> auto& m) {
  f("wish", m.wish), f("answer", m.answer), f("at_us", m.at_us);
}
void fields(auto& f, Is<Drops> auto& m) {
  f("filter", m.filter), f("ring_full", m.ring_full), f("too_long", m.too_long), f("no_carrier", m.no_carrier);
  f("refused", m.refused), f("overrun", m.overrun);
}
void fields(auto& f, Is<LinkRow> auto& m) {
  f("name", m.name), f("nic", m.nic), f("driver", m.driver), f("address", m.address), f("mtu", m.mtu), f("up", m.up);
  f("carrier", m.carrier), f("host", m.host), f("where", m.where), f("port", m.port), f("io", m.io);
  f("rx_queues", m.rx_queues);
  f("tx_queues", m.tx_queues), f("refused", m.refused);
  f("rx_packets", m.rx_packets), f("tx_packets", m.tx_packets);
  f("rx_dropped", m.rx_dropped), f("tx_dropped", m.tx_dropped), f("rx_filtered", m.rx_filtered);
  f("drops", m.drops);
}
void fields(auto& f, Is<RxModeReport::Generation> auto& m) {
  f("wanted", m.wanted), f("programmed", m.programmed);
}
void fields(auto& f, Is<RxModeReport::Mode> auto& m) {
  f("unicast", m.unicast), f("multicast", m.multicast), f("reason", m.reason);
}
void fields(auto& f, Is<RxModeReport::Wanted> auto& m) {
  f("unicast", m.unicast), f("multicast", m.multicast), f("promiscuity", m.promiscuity), f("allmulti", m.allmulti);
  f("vlans", m.vlans);
}
void fields(auto& f, Is<RxModeReport::Programmed> auto& m) {
  f("unicast", m.unicast), f("multicast", m.multicast), f("promisc", m.promisc), f("allmulti", m.allmulti);
  f("vlans", m.vlans);
}
void fields(auto& f, Is<RxModeReport::Failed> auto& m) {
  f("address", m.address), f("error", m.error), f("attempts", m.attempts), f("next_retry_ms", m.next_retry_ms);
}
void fields(auto& f, Is<RxModeReport::Lag> auto& m) {
  f("p50", m.p50), f("p99", m.p99), f("max", m.max);
}
void fields(auto& f, Is<RxModeReport::Stats> auto& m) {
  f("changes", m.changes), f("runs", m.runs), f("driver_calls", m.driver_calls), f("coalesced", m.coalesced);
  f("retries", m.retries), f("failures", m.failures), f("lag_us", m.lag_us);
}
void fields(auto& f, Is<RxModeReport> auto& m) {
  f("dev", m.dev), f("address", m.address), f("up", m.up), f("where", m.where), f("generation", m.generation);
  f("mode", m.mode);
  f("wanted", m.wanted), f("programmed", m.programmed), f("failed", m.failed), f("stats", m.stats);
}
void fields(auto& f, Is<StatsReport::Rx> auto& m) {
  f("packets", m.packets), f("bytes", m.bytes), f("dropped", m.dropped), f("errors", m.errors);
  f("filtered", m.filtered), f("off", m.off), f("pause", m.pause), f("refused", m.refused);
}
void fields(auto& f, Is<StatsReport::Tx> auto& m) {
  f("packets", m.packets), f("bytes", m.bytes), f("dropped", m.dropped), f("errors", m.errors);
  f("pause", m.pause), f("oversized", m.oversized), f("timeouts", m.timeouts);
}
void fields(auto& f, Is<StatsReport::Queue> auto& m) {
  f("packets", m.packets), f("bytes", m.bytes), f("dropped", m.dropped);
}
void fields(auto& f, Is<StatsReport> auto& m) {
  f("dev", m.dev), f("rx", m.rx), f("tx", m.tx), f("rx_queues", m.rx_queues), f("tx_queues", m.tx_queues);
  f("drops", m.drops), f("rx_mode", m.rx_mode);
}
void fields(auto& f, Is<EthtoolReport::Link> auto& m) {
  f("speed_mbps", m.speed_mbps), f("duplex", m.duplex), f("autoneg", m.autoneg), f("port", m.port);
}
void fields(auto& f, Is<EthtoolReport::Rings> auto& m) {
  f("rx", m.rx), f("tx", m.tx), f("rx_max", m.rx_max), f("tx_max", m.tx_max);
}
void fields(auto& f, Is<EthtoolReport::Coalesce> auto& m) {
  f("rx_usecs", m.rx_usecs), f("rx_frames", m.rx_frames), f("tx_usecs", m.tx_usecs), f("tx_frames", m.tx_frames);
}
void fields(auto& f, Is<EthtoolReport::Counter> auto& m) {
  f("name", m.name), f("value", m.value);
}
void fields(auto& f, Is<EthtoolReport::Feature> auto& m) {
  f("name", m.name), f("on", m.on), f("fixed", m.fixed);
}
void fields(auto& f, Is<FeatureWish> auto& m) {
  f("name", m.name), f("on", m.on);
}
void fields(auto& f, Is<EthtoolReport::Register> auto& m) {
  f("name", m.name), f("offset", m.offset), f("value", m.value);
}
void fields(auto& f, Is<EthtoolReport> auto& m) {
  f("dev", m.dev), f("driver", m.driver), f("version", m.version), f("firmware", m.firmware), f("bus", m.bus);
  f("features", m.features);
  f("link", m.link), f("rings", m.rings), f("coalesce", m.coalesce), f("counters", m.counters);
  f("registers", m.registers);
}
void fields(auto& f, Is<WaitReport> auto& m) {
  f("covered", m.covered), f("missing", m.missing), f("reason", m.reason);
}
void fields(auto& f, Is<AddressReport> auto& m) {
  f("covered", m.covered), f("wanted_at_us", m.wanted_at_us), f("covered_at_us", m.covered_at_us);
  f("mode", m.mode), f("error", m.error);
}
void fields(auto& f, Is<BurstReport> auto& m) {
  f("changes", m.changes), f("driver_calls", m.driver_calls), f("change_p50_us", m.change_p50_us);
  f("change_p99_us", m.change_p99_us), f("change_max_us", m.change_max_us), f("settled_us", m.settled_us);
  f("settled", m.settled);
}
void fields(auto& f, Is<Event> auto& m) {
  f("event", m.what);
  if (m.link || m.what.starts_with("link")) f("link", m.link);
  if (m.what == "hang" || m.what == "report" || m.what == "notice") f("dev", m.dev), f("says", m.says);
  if (m.what == "rx-mode") f("dev", m.dev), f("generation", m.generation), f("mode", m.mode);
}
void fields(auto& f, Is<HelloReport> auto& m) {
  f("version", m.version), f("protocol", m.protocol), f("pid", m.pid), f("hosts", m.hosts);
}

struct Writer {
  Json::Object object;

  template <class T>
  void operator()(const char* name, const T& value) {
    object.push_back({name, write(value)});
  }

  static Json write(const std::string& value) { return value; }
  static Json write(const MacAddress& value) { return value.to_string(); }
  template <class T>
  requires std::is_arithmetic_v<T>
  static Json write(T value) { return value; }
  template <class T>
  static Json write(const std::optional<T>& value) {
    return value ? write(*value) : Json();
  }
  template <class T>
  static Json write(const std::vector<T>& values) {
    Json::Array array;
    array.reserve(values.size());
    for (const T& value : values) array.push_back(write(value));
    return array;
  }
  template <class T>
  requires(!std::is_arithmetic_v<T>) static Json write(const T& message) {
    Writer writer;
    fields(writer, message);
    return std::move(writer.object);
  }
};

struct Reader {
  const Json& json;
  bool ok = true;

  template <class T>
  void operator()(const char* name, T& value) {
    const Json* member = json.find(name);
    ok = ok && member != nullptr && read(*member, value);
  }

  template <class T>
  requires std::same_as<T, bool> || std::same_as<T, std::string>
  static bool read(const Json& json, T& value) {
    const T* found = json.as<T>();
    if (found != nullptr) value = *found;
    return found != nullptr;
  }
  static bool read(const Json& json, uint64_t& value) {
    if (const auto* small = json.as<int64_t>(); small != nullptr && *small >= 0) {
      return value = static_cast<uint64_t>(*small), true;
    }
    const auto* large = json.as<uint64_t>();
    if (large != nullptr) value = *large;
    return large != nullptr;
  }
  static bool read(const Json& json, double& value) {
    if (const auto* integer = json.as<int64_t>()) return value = static_cast<double>(*integer), true;
    const auto* found = json.as<double>();
    if (found != nullptr) value = *found;
    return found != nullptr;
  }
  static bool read(const Json& json, MacAddress& value) {
    const auto* text = json.as<std::string>();
    const auto address = text != nullptr ? MacAddress::parse(*text) : std::nullopt;
    if (address) value = *address;
    return address.has_value();
  }
  template <class T>
  static bool read(const Json& json, std::optional<T>& value) {
    if (json.as<std::nullptr_t>() != nullptr) return value.reset(), true;
    return read(json, value.emplace());
  }
  template <class T>
  static bool read(const Json& json, std::vector<T>& values) {
    const auto* array = json.as<Json::Array>();
    if (array == nullptr) return false;
    values.resize(array->size());
    for (size_t i = 0; i < array->size(); ++i) {
      if (!read((*array)[i], values[i])) return false;
    }
    return true;
  }
  template <class T>
  static bool read(const Json& json, T& message) {
    Reader reader{json};
    fields(reader, message);
    return reader.ok;
  }
};

std::string line(Json::Object object) {
  return to_text(Json(std::move(object))) + "\n";
}

}  // namespace

template <class Message>
Json to_json(const Message& message) {
  return Writer::write(message);
}
template <class Message>
std::optional<Message> from_json(const Json& json) {
  Message message;
  if (!Reader::read(json, message)) return std::nullopt;
  return message;
}

#define USERNIC_MESSAGE(M)         \
  template Json to_json(const M&); \
  template std::optional<M> from_json(const Json&);
USERNIC_MESSAGE(LinkRow)
USERNIC_MESSAGE(std::vector<LinkRow>)
USERNIC_MESSAGE(RxModeReport)
USERNIC_MESSAGE(StatsReport)
USERNIC_MESSAGE(EthtoolReport)
USERNIC_MESSAGE(WaitReport)
USERNIC_MESSAGE(AddressReport)
USERNIC_MESSAGE(BurstReport)
USERNIC_MESSAGE(Event)
USERNIC_MESSAGE(HelloReport)
#undef USERNIC_MESSAGE

Outcome<Request> parse_request(std::string_view text) {
  const std::optional<Json> json = parse_json(text);
  if (!json) return refuse("a request is one JSON object on one line");
  uint64_t version = 0;
  const Json* v = json->find("v");
  if (v == nullptr || !Reader::read(*v, version)) return refuse("a request has \"v\", the protocol version");
  if (version != kProtocolVersion) {
    return refuse(fmt::format("this usernic speaks version {} of the protocol, not {}", kProtocolVersion, version));
  }
  Request request;
  const Json* verb = json->find("verb");
  if (verb == nullptr || !Reader::read(*verb, request.verb)) return refuse("a request has \"verb\", a text");
  // Each may be left out.
  const auto argument = [&](const char* name, auto& value, std::string_view what) -> Outcome<> {
    const Json* member = json->find(name);
    if (member == nullptr || Reader::read(*member, value)) return {};
    return refuse(fmt::format("\"{}\" is {}", name, what));
  };
  const auto number = [&](const char* name, uint64_t& value, uint64_t max) -> Outcome<> {
    const std::string what = fmt::format("a number from 0 to {}", max);
    const Outcome<> is_one = argument(name, value, what);
    return is_one && value > max ? refuse(fmt::format("\"{}\" is {}", name, what)) : is_one;
  };
  for (const Outcome<>& each :
       {argument("dev", request.dev, "the name of a nic"), argument("host", request.host, "the name of a host"),
        argument("address", request.address, "an address like \"33:33:00:00:00:01\""),
        number("timeout_ms", request.timeout_ms, kTimeoutMaxMs), number("changes", request.changes, kBurstChangesMax),
        argument("features", request.features, "a list of {\"name\",\"on\"}"),
        number("snap_bytes", request.snap_bytes, kSnapBytesMax),
        number("buffer_bytes", request.buffer_bytes, kBufferBytesMax)}) {
    if (!each) return refuse(each.error());
  }
  return request;
}

std::string request_line(const Request& request) {
  Json::Object object{{"v", kProtocolVersion}, {"verb", request.verb}};
  if (!request.dev.empty()) object.push_back({"dev", request.dev});
  if (!request.host.empty()) object.push_back({"host", request.host});
  if (request.address) object.push_back({"address", request.address->to_string()});
  if (request.timeout_ms != 0) object.push_back({"timeout_ms", request.timeout_ms});
  if (request.changes != 0) object.push_back({"changes", request.changes});
  if (request.snap_bytes != 0) object.push_back({"snap_bytes", request.snap_bytes});
  if (request.buffer_bytes != 0) object.push_back({"buffer_bytes", request.buffer_bytes});
  if (!request.features.empty()) object.push_back({"features", Writer::write(request.features)});
  return line(std::move(object));
}

std::string result_line(Json result) {
  return line({{"v", kProtocolVersion}, {"ok", true}, {"result", std::move(result)}});
}
std::string error_line(std::string_view sentence) {
  return line({{"v", kProtocolVersion}, {"ok", false}, {"error", sentence}});
}
std::string event_line(const Event& event) {
  return result_line(to_json(event));
}

Outcome<Json> parse_answer(std::string_view text) {
  const std::optional<Json> json = parse_json(text);
  const Json* ok = json ? json->find("ok") : nullptr;
  const bool* done = ok != nullptr ? ok->as<bool>() : nullptr;
  const Json* body = done != nullptr ? json->find(*done ? "result" : "error") : nullptr;
  if (body == nullptr) return refuse(kMakesNoSense);
  if (*done) return *body;
  const auto* sentence = body->as<std::string>();
  return refuse(sentence != nullptr ? *sentence : std::string("the daemon refused and did not say why"));
}

}  // namespace usernic::ctl
