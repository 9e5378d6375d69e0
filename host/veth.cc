// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/veth.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "bus/netif/packet_writer.h"
#include "host/interface_kind.h"
#include "host/netlink_socket.h"
#include "host/veth_queue.h"
#include "usernic/lock.h"
#include "usernic/refusal.h"

namespace usernic {
namespace {

constexpr char kOurs[] = "usernic";
constexpr uint32_t kMtuMax = 65'535;
constexpr uint32_t kBufferBytes = 4 << 20;
constexpr size_t kAnswerBytes = 16 * 1024;
constexpr int kIflaTargetNetnsid = 46;  // IFLA_TARGET_NETNSID
constexpr int kAddrGenModeNone = 1;     // IN6_ADDR_GEN_MODE_NONE

// What the kernel may leave to who receives from the interface. Of the rest of its kind our header can say nothing.
struct Named {
  std::string_view name;
  std::optional<Feature> kind;  // none: never
};
constexpr Named kOffloads[] = {
    {"tx-checksum-ip-generic", Feature::kTxSum},
    {"tx-tcp-segmentation", Feature::kTso4},
    {"tx-tcp6-segmentation", Feature::kTso6},
    {"tx-tcp-ecn-segmentation", Feature::kTsoEcn},
    {"tx-udp-segmentation", Feature::kUso},
    {"tx-tcp-mangleid-segmentation", {}},
    {"tx-tcp-accecn-segmentation", {}},
    {"tx-gre-segmentation", {}},
    {"tx-gre-csum-segmentation", {}},
    {"tx-ipxip4-segmentation", {}},
    {"tx-ipxip6-segmentation", {}},
    {"tx-udp_tnl-segmentation", {}},
    {"tx-udp_tnl-csum-segmentation", {}},
    {"tx-gso-partial", {}},
    {"tx-gso-list", {}},
    {"tx-tunnel-remcsum-segmentation", {}},
    {"tx-esp-segmentation", {}},
    {"tx-sctp-segmentation", {}},
    {"tx-checksum-sctp", {}},
};

HostError in_words(const std::string& what, std::errc error) {
  return {error, fmt::format("{}: {}", what, refusal(error))};
}

Result<> ethtool(int door, const std::string& interface, void* what) noexcept {
  ifreq request{};
  std::memcpy(request.ifr_name, interface.data(), std::min(interface.size(), sizeof request.ifr_name - 1));
  request.ifr_data = static_cast<char*>(what);
  // More than 0: of the features that were asked for some cannot be.
  return ::ioctl(door, SIOCETHTOOL, &request) >= 0 ? Result<>() : fail(static_cast<std::errc>(errno));
}

// The features' names, in the order of their numbers.
std::vector<std::string> feature_names(int door, const std::string& interface) {
  std::array<uint32_t, (sizeof(ethtool_sset_info) + sizeof(uint32_t)) / sizeof(uint32_t)> info_room{};
  auto* const info = reinterpret_cast<ethtool_sset_info*>(info_room.data());
  info->cmd = ETHTOOL_GSSET_INFO;
  info->sset_mask = 1ull << ETH_SS_FEATURES;
  if (!ethtool(door, interface, info) || info->sset_mask == 0) return {};
  const uint32_t count = info_room.back();
  std::vector<uint8_t> room(sizeof(ethtool_gstrings) + size_t{count} * ETH_GSTRING_LEN);
  auto* const strings = reinterpret_cast<ethtool_gstrings*>(room.data());
  strings->cmd = ETHTOOL_GSTRINGS;
  strings->string_set = ETH_SS_FEATURES;
  strings->len = count;
  if (!ethtool(door, interface, strings)) return {};
  std::vector<std::string> names;
  for (uint32_t n = 0; n < std::min(strings->len, count); ++n) {
    const auto* const name = reinterpret_cast<const char*>(strings->data + size_t{n} * ETH_GSTRING_LEN);
    names.emplace_back(name, ::strnlen(name, ETH_GSTRING_LEN));
  }
  return names;
}

// Switches these on, and the others that are offloads off.
Result<> set_offloads(int door, const std::string& interface, Features on) {
  const std::vector<std::string> names = feature_names(door, interface);
  const auto blocks = static_cast<uint32_t>((names.size() + 31) / 32);
  std::vector<uint8_t> room(sizeof(ethtool_sfeatures) + blocks * sizeof(ethtool_set_features_block));
  auto* const wanted = reinterpret_cast<ethtool_sfeatures*>(room.data());
  wanted->cmd = ETHTOOL_SFEATURES;
  wanted->size = blocks;
  for (const Named& each : kOffloads) {
    const auto at = std::ranges::find(names, each.name);
    if (at == names.end()) continue;
    const auto bit = static_cast<uint32_t>(at - names.begin());
    ethtool_set_features_block& block = wanted->features[bit / 32];
    block.valid |= 1u << bit % 32;
    if (each.kind && on.has(*each.kind)) block.requested |= 1u << bit % 32;
  }
  return ethtool(door, interface, wanted);
}

// The paths of the namespaces that it may be in: those with a name, and those that this process holds, once each.
std::vector<std::string> known_namespaces() {
  std::vector<std::string> all;
  std::set<std::string> held;
  const auto take = [&](const std::string& folder, auto is_one) {
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), ::closedir);
    if (!entries) return;
    while (const dirent* const each = ::readdir(entries.get())) {
      if (each->d_name[0] == '.' || !is_one(::dirfd(entries.get()), each->d_name)) continue;
      all.push_back(folder + "/" + each->d_name);
    }
  };
  take("/run/netns", [](int, const char*) { return true; });
  take("/proc/self/fd", [&](int folder, const char* name) {
    char to[64] = {};
    const ssize_t bytes = ::readlinkat(folder, name, to, sizeof to);
    return bytes > 0 && std::string_view(to, 5) == "net:[" && held.emplace(to, static_cast<size_t>(bytes)).second;
  });
  return all;
}

}  // namespace

class Veth::Impl {
 public:
  Impl(NetNamespace ours, std::string name, NetlinkSocket there, PacketSocket socket, UniqueFd door) noexcept
      : ours_(std::move(ours)),
        name_(std::move(name)),
        there_(std::move(there)),
        socket_(std::move(socket)),
        door_(std::move(door)),
        last_name_(name_) {}
  ~Impl() { close(); }

  HostResult<> make(const NetNamespace& netns);
  Features take(Features kinds) noexcept;
  Result<> set_carrier(bool on) noexcept;
  Result<std::string> name_now();
  HostResult<NetNamespace> netns_now();
  void close() noexcept;
  const std::string& name() const noexcept { return name_; }
  PacketSocket& socket() noexcept { return socket_; }

 private:
  static constexpr LockClass kClass{"host_veth"};
  // Where the interface is, as our end sees it.
  struct Far {
    int ifindex = 0;
    std::optional<int> nsid;
  };
  HostResult<> put_up();
  bool takes_udp_superframes();
  Result<> change_ours(unsigned flags, unsigned change);
  Result<Far> far() USERNIC_REQUIRES(lock_);
  Result<std::string> ask_name() USERNIC_REQUIRES(lock_);
  bool reach() USERNIC_REQUIRES(lock_);
  std::optional<int> nsid_of(int netns_fd) USERNIC_REQUIRES(lock_);

  const NetNamespace ours_;
  const std::string name_;
  Mutex lock_{kClass};
  NetlinkSocket there_;  // in the namespace of our end; used under the lock
  PacketSocket socket_;
  int ifindex_ = 0;  // of our end
  bool udp_superframes_ = false;
  UniqueFd door_ USERNIC_GUARDED_BY(lock_);  // in the namespace of the interface
  std::string last_name_ USERNIC_GUARDED_BY(lock_);
  bool closed_ USERNIC_GUARDED_BY(lock_) = false;
};

namespace {

NetlinkMessage new_link(int flags, int ifindex, unsigned up = 0, unsigned change = 0) {
  ifinfomsg header{};
  header.ifi_index = ifindex;
  header.ifi_flags = up;
  header.ifi_change = change;
  return netlink_message(RTM_NEWLINK, flags, &header, sizeof header);
}

void put_name(nl_msg* message, const std::string& name) {
  nla_put_string(message, IFLA_IFNAME, name.c_str());
}

// A cable: its end of that name where the question is asked, the other in `ours`.
NetlinkMessage cable(const std::string& name, int ours) {
  NetlinkMessage message = new_link(NLM_F_CREATE | NLM_F_EXCL, 0);
  put_name(message.get(), name);
  nlattr* const info = nla_nest_start(message.get(), IFLA_LINKINFO);
  nla_put_string(message.get(), IFLA_INFO_KIND, "veth");
  nlattr* const data = nla_nest_start(message.get(), IFLA_INFO_DATA);
  nlattr* const peer = nla_nest_start(message.get(), VETH_INFO_PEER);
  ifinfomsg header{};
  nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO);
  put_name(message.get(), kOurs);
  nla_put_u32(message.get(), IFLA_MTU, kMtuMax);
  nla_put_u32(message.get(), IFLA_NET_NS_FD, static_cast<uint32_t>(ours));
  nla_nest_end(message.get(), peer);
  nla_nest_end(message.get(), data);
  nla_nest_end(message.get(), info);
  return message;
}

// A kernel without IPv6, or one that is switched off, has none to keep quiet.
bool has_no_ip6(std::errc error) {
  return error == std::errc::address_family_not_supported || error == std::errc::operation_not_supported ||
         error == std::errc::invalid_argument;
}

HostError cannot_make(const std::string& name, const NetNamespace& netns, const HostError& why) {
  if (why.error == std::errc::file_exists) {
    std::string kind;
    (void)netns.run([&] { kind = kind_of_interface(name); });
    return {std::errc::device_or_resource_busy,
            fmt::format("cannot make interface \"{}\": the name is in use in that network namespace, by {}", name,
                        kind.empty() ? "another interface" : fmt::format("a {}", kind))};
  }
  if (why.error == std::errc::operation_not_permitted) {
    return {why.error,
            fmt::format("cannot make interface \"{}\": that needs root, or a user namespace of one's own", name)};
  }
  if (why.error == std::errc::operation_not_supported) {
    return {why.error, fmt::format("cannot make interface \"{}\": this kernel has no veth", name)};
  }
  return {why.error, fmt::format("cannot make interface \"{}\" as a veth: {}", name, why.sentence)};
}

}  // namespace

HostResult<Veth> Veth::create(const NetNamespace& netns, const std::string& name) {
  if (const std::string wrong = wrong_interface_name(name); !wrong.empty()) return host_fail(EINVAL, wrong);
  HostResult<NetNamespace> ours = NetNamespace::create();
  if (!ours) return std::unexpected(ours.error());
  HostResult<NetlinkSocket> there = NetlinkSocket::open(*ours, kAnswerBytes, 64 * 1024);
  if (!there) return std::unexpected(there.error());
  Result<PacketSocket> socket = fail(std::errc::io_error);
  if (const HostResult<> ran = ours->run([&] { socket = PacketSocket::open(kBufferBytes); }); !ran) {
    return std::unexpected(ran.error());
  }
  if (!socket) return std::unexpected(in_words("cannot open a packet socket", socket.error()));
  UniqueFd door;
  int error = 0;
  const HostResult<> ran = netns.run([&] {
    door.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    error = errno;
  });
  if (!ran) return std::unexpected(ran.error());
  if (!door) return std::unexpected(in_words("cannot open a socket", static_cast<std::errc>(error)));
  auto impl = std::make_unique<Impl>(*std::move(ours), name, *std::move(there), *std::move(socket), std::move(door));
  if (const HostResult<> made = impl->make(netns); !made) return std::unexpected(made.error());
  return Veth(std::move(impl));
}

HostResult<> Veth::Impl::make(const NetNamespace& netns) {
  HostResult<NetlinkSocket> here = NetlinkSocket::open(netns, kAnswerBytes, 64 * 1024);
  if (!here) return std::unexpected(here.error());
  udp_superframes_ = takes_udp_superframes();
  const NetlinkMessage pair = cable(name_, ours_.fd());
  if (const HostResult<> made = here->command(*pair); !made) {
    return std::unexpected(cannot_make(name_, netns, made.error()));
  }
  if (const HostResult<> done = put_up(); !done) {
    close();
    return host_fail(done.error().error, fmt::format("interface \"{}\": {}", name_, done.error().sentence));
  }
  MutexGuard guard(lock_);
  (void)set_offloads(door_.get(), name_, {});
  return {};
}

// Our end says nothing by itself, and its frames come to the socket.
HostResult<> Veth::Impl::put_up() {
  const HostResult<> found = ours_.run([&] { ifindex_ = static_cast<int>(::if_nametoindex(kOurs)); });
  if (!found || ifindex_ == 0) return host_fail(ENODEV, "its other end is not there");
  const NetlinkMessage quiet = new_link(0, ifindex_);
  nlattr* const families = nla_nest_start(quiet.get(), IFLA_AF_SPEC);
  nlattr* const ip6 = nla_nest_start(quiet.get(), AF_INET6);
  nla_put_u8(quiet.get(), IFLA_INET6_ADDR_GEN_MODE, kAddrGenModeNone);
  nla_nest_end(quiet.get(), ip6);
  nla_nest_end(quiet.get(), families);
  MutexGuard guard(lock_);
  if (const HostResult<> done = there_.command(*quiet); !done && !has_no_ip6(done.error().error)) {
    return host_fail(done.error().error, "cannot keep its other end from IPv6: " + done.error().sentence);
  }
  if (const Result<> bound = socket_.bind(ifindex_); !bound) {
    return std::unexpected(in_words("cannot bind a packet socket", bound.error()));
  }
  if (const Result<> open = socket_.pass_everything(); !open) {
    return std::unexpected(in_words("cannot open a packet socket", open.error()));
  }
  return {};
}

// Kernels before 6.2 do not. Nobody hears what is sent to the loopback of our end's namespace.
bool Veth::Impl::takes_udp_superframes() {
  bool takes = false;
  (void)ours_.run([&] {
    const int loopback = static_cast<int>(::if_nametoindex("lo"));
    if (!socket_.bind(loopback)) return;
    SkbPool pool(1, 200);
    SkbBatch one;
    Skb& skb = *pool.alloc();
    std::fill_n(skb.put(142), 142, uint8_t{0});
    skb.data()[12] = 0x08;  // IPv4
    skb.data()[14] = 0x45;  // without options
    skb.data()[23] = IPPROTO_UDP;
    skb.set_offload({.sum = FrameSum::kNeeded,
                     .gso = Gso::kUdp,
                     .sum_offset = 6,
                     .sum_start = 34,
                     .gso_size = 50,
                     .header_bytes = 42});
    one.push_back(skb);
    PacketWriter writer(socket_);
    SkbBatch refused;
    takes = writer.write(one, refused) && !writer.refuses_udp_superframes();
    SkbPool::free(one);
    SkbPool::free(refused);
  });
  return takes;
}

Result<> Veth::Impl::change_ours(unsigned flags, unsigned change) {
  const NetlinkMessage message = new_link(0, ifindex_, flags, change);
  MutexGuard guard(lock_);
  const HostResult<> done = there_.command(*message);
  return done ? Result<>() : fail(done.error().error);
}

Result<> Veth::Impl::set_carrier(bool on) noexcept {
  try {
    return change_ours(on ? IFF_UP : 0, IFF_UP);
  } catch (const std::bad_alloc&) {
    return fail(std::errc::not_enough_memory);
  }
}

Features Veth::Impl::take(Features kinds) noexcept {
  try {
    if (!udp_superframes_) kinds = kinds.without({Feature::kUso});
    MutexGuard guard(lock_);
    return reach() && set_offloads(door_.get(), last_name_, kinds) ? kinds : Features();
  } catch (const std::bad_alloc&) {
    return {};
  }
}

Result<Veth::Impl::Far> Veth::Impl::far() {
  ifinfomsg header{};
  header.ifi_index = ifindex_;
  const NetlinkMessage question = netlink_message(RTM_GETLINK, 0, &header, sizeof header);
  Far far;
  const auto answer = there_.ask(*question, [&](const nlmsghdr& message) {
    const nlattr* const link = nlmsg_find_attr(const_cast<nlmsghdr*>(&message), sizeof header, IFLA_LINK);
    const nlattr* const nsid = nlmsg_find_attr(const_cast<nlmsghdr*>(&message), sizeof header, IFLA_LINK_NETNSID);
    if (link != nullptr && nla_len(link) >= 4) far.ifindex = static_cast<int>(nla_get_u32(link));
    if (nsid != nullptr && nla_len(nsid) >= 4) far.nsid = static_cast<int>(nla_get_u32(nsid));
  });
  if (!answer || far.ifindex == 0) return fail(std::errc::bad_file_descriptor);
  return far;
}

Result<std::string> Veth::Impl::ask_name() {
  const Result<Far> far = this->far();
  if (!far) return fail(far.error());
  ifinfomsg header{};
  header.ifi_index = far->ifindex;
  const NetlinkMessage question = netlink_message(RTM_GETLINK, 0, &header, sizeof header);
  if (far->nsid) nla_put_u32(question.get(), kIflaTargetNetnsid, static_cast<uint32_t>(*far->nsid));
  std::string now = last_name_;
  (void)there_.ask(*question, [&](const nlmsghdr& message) {
    const nlattr* const name = nlmsg_find_attr(const_cast<nlmsghdr*>(&message), sizeof header, IFLA_IFNAME);
    if (name == nullptr) return;
    const auto* const text = static_cast<const char*>(nla_data(name));
    now.assign(text, ::strnlen(text, static_cast<size_t>(nla_len(name))));
  });
  return last_name_ = now;
}

// Is it the interface that has its last name where the door leads to? It may be gone, or elsewhere, and that another's.
bool Veth::Impl::reach() {
  if (closed_ || !ask_name()) return false;
  const Result<Far> far = this->far();
  const UniqueFd there(::ioctl(door_.get(), SIOCGSKNS));
  if (!far || !there || nsid_of(there.get()) != far->nsid) return false;
  ifreq about{};
  std::memcpy(about.ifr_name, last_name_.data(), std::min(last_name_.size(), sizeof about.ifr_name - 1));
  return ::ioctl(door_.get(), SIOCGIFINDEX, &about) == 0 && about.ifr_ifindex == far->ifindex;
}

Result<std::string> Veth::Impl::name_now() {
  MutexGuard guard(lock_);
  if (closed_) return fail(std::errc::bad_file_descriptor);
  return ask_name();
}

// How our end's namespace calls that one.
std::optional<int> Veth::Impl::nsid_of(int netns_fd) {
  rtgenmsg header{};
  const NetlinkMessage question = netlink_message(RTM_GETNSID, 0, &header, sizeof header);
  nla_put_u32(question.get(), NETNSA_FD, static_cast<uint32_t>(netns_fd));
  std::optional<int> nsid;
  (void)there_.ask(*question, [&](const nlmsghdr& message) {
    const nlattr* const said = nlmsg_find_attr(const_cast<nlmsghdr*>(&message), sizeof header, NETNSA_NSID);
    if (said != nullptr && nla_len(said) >= 4) nsid = static_cast<int>(nla_get_u32(said));
  });
  return nsid;
}

HostResult<NetNamespace> Veth::Impl::netns_now() {
  MutexGuard guard(lock_);
  const Result<Far> far = closed_ ? fail(std::errc::bad_file_descriptor) : this->far();
  if (!far) return host_fail(far.error(), "the interface is gone");
  if (!far->nsid) return std::unexpected(HostError{std::errc::no_such_file_or_directory, "it is with its other end"});
  for (const std::string& path : known_namespaces()) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd || nsid_of(fd.get()) != far->nsid) continue;
    HostResult<NetNamespace> there = NetNamespace::adopt(std::move(fd));
    if (!there) continue;
    UniqueFd door;
    const HostResult<> ran = there->run([&] { door.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)); });
    if (!ran) return std::unexpected(ran.error());
    if (door) door_ = std::move(door);
    (void)ask_name();
    return there;
  }
  return host_fail(std::errc::no_such_file_or_directory,
                   "it is in a network namespace that has no name and is not usernic's (ip netns attach NAME PID "
                   "names one)");
}

void Veth::Impl::close() noexcept {
  try {
    MutexGuard guard(lock_);
    if (std::exchange(closed_, true) || ifindex_ == 0) return;
    ifinfomsg header{};
    header.ifi_index = ifindex_;
    const NetlinkMessage question = netlink_message(RTM_DELLINK, 0, &header, sizeof header);
    (void)there_.command(*question);
  } catch (const std::bad_alloc&) {  // it goes with its namespace
  }
}

Veth::Veth(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Veth::Veth(Veth&&) noexcept = default;
Veth::~Veth() = default;

Features Veth::take_superframes(Features kinds) noexcept {
  constexpr Features kSums{Feature::kTxSum};
  return impl_->take(kinds | kSums).without(kSums);
}
void Veth::take_nothing_offloaded() noexcept {
  (void)impl_->take({});
}
Result<> Veth::set_carrier(bool on) noexcept {
  return impl_->set_carrier(on);
}
Result<std::string> Veth::name_now() const {
  return impl_->name_now();
}
HostResult<NetNamespace> Veth::netns_now() const {
  return impl_->netns_now();
}
void Veth::close() noexcept {
  impl_->close();
}
const std::string& Veth::name() const noexcept {
  return impl_->name();
}
std::unique_ptr<EndQueue> Veth::open_queue(size_t, Kick&, NetDevice* of) {
  return std::make_unique<VethQueue>(impl_->socket(), of);
}
PacketSocket& Veth::socket() noexcept {
  return impl_->socket();
}

}  // namespace usernic
