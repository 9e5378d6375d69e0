// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usb/usbip_server.h"

#include <poll.h>

#include <algorithm>
#include <vector>

namespace usernic::usb {

using usbip::Command;
using usbip::Header;
using usbip::Operation;
using usbip::OperationHeader;
using usbip::Status;

namespace {

constexpr size_t kConnectionsMax = 16;
constexpr size_t kServedMax = 1024;
constexpr uint32_t kTransferMax = 1 << 20;
constexpr uint32_t kBus = 1, kDeviceNumber = 2;
constexpr Duration kOpenMost = std::chrono::seconds(30);
constexpr size_t kInterfacesMax = UINT8_MAX;

// Those of the first configuration, each once: another setting of an interface is no other interface.
std::vector<Interface> interfaces_of(const Device& device) {
  std::vector<Interface> interfaces;
  if (device.descriptors().configurations.empty()) return interfaces;
  for (const Interface& interface : device.descriptors().configurations.front().interfaces) {
    const bool known = std::ranges::find(interfaces, interface.number, &Interface::number) != interfaces.end();
    if (!known && interfaces.size() < kInterfacesMax) interfaces.push_back(interface);
  }
  return interfaces;
}

}  // namespace

struct UsbipServer::Connection {
  Socket socket;
  std::vector<uint8_t> in{}, out{};
  bool over = false;
};

// A submit that the device has.
struct UsbipServer::Served {
  UsbipServer& server;
  uint32_t sequence = 0;
  uint32_t unlink = 0;  // sequence of the unlink that asked for its end
  std::vector<uint8_t> data{};
  Served* next_completed = nullptr;
  Transfer transfer{[](void* self, Transfer&) noexcept USERNIC_NONBLOCKING {
                      Served& served = *static_cast<Served*>(self);
                      UsbipServer& server = served.server;
                      SpinGuard guard(server.lock_);
                      served.next_completed = server.completed_;
                      server.completed_ = &served;
                      server.kick_.kick();
                    },
                    this};
};

Result<std::unique_ptr<UsbipServer>> UsbipServer::create(Port& port, std::string bus_id, const std::string& address,
                                                         uint16_t tcp_port) {
  Result<Socket> listener = Socket::listen(address, tcp_port);
  if (!listener) return fail(listener.error());
  const Result<uint16_t> bound = listener->local_port();
  if (!bound) return fail(bound.error());
  Result<Kick> kick = Kick::make();
  if (!kick) return fail(kick.error());
  return std::unique_ptr<UsbipServer>(
      new UsbipServer(port, std::move(bus_id), *std::move(listener), *bound, *std::move(kick)));
}

UsbipServer::UsbipServer(Port& port, std::string bus_id, Socket listener, uint16_t tcp_port, Kick kick)
    : port_(port),
      bus_id_(std::move(bus_id)),
      listener_(std::move(listener)),
      tcp_port_(tcp_port),
      kick_(std::move(kick)),
      thread_("usbip-server", [this] { run(); }) {}

UsbipServer::~UsbipServer() {
  closing_.store(true);
  kick_.kick();
  thread_.join();
}

void UsbipServer::run() {
  std::vector<pollfd> fds;
  while (true) {
    kick_.clear();  // before the look: a kick in between is seen
    if (closing_.load()) break;
    answer_completed();
    let_go_if_gone();
    accept();
    for (auto next = connections_.begin(); next != connections_.end();) {
      const auto connection = next++;
      if (!connection->over && serve(*connection)) continue;
      if (&*connection == importer_) let_go();
      connections_.erase(connection);
    }
    fds.assign({{.fd = kick_.fd(), .events = POLLIN}, {.fd = listener_.fd(), .events = POLLIN}});
    for (const Connection& connection : connections_) {
      const short events = connection.out.empty() ? POLLIN : POLLIN | POLLOUT;
      fds.push_back({.fd = connection.socket.fd(), .events = events});
    }
    ::poll(fds.data(), fds.size(), -1);
  }
  let_go();
}

void UsbipServer::accept() {
  while (Result<Socket> socket = listener_.accept()) {
    if (connections_.size() < kConnectionsMax) connections_.push_back({.socket = *std::move(socket)});
  }
}

// Reads, understands and writes what can be without waiting. False: the connection is over.
bool UsbipServer::serve(Connection& connection) {
  std::vector<uint8_t> buffer(usbip::kReadBytes);
  for (;;) {
    const Result<size_t> received = connection.socket.receive_some(buffer);
    if (!received) return false;
    if (*received == 0) break;
    connection.in.insert(connection.in.end(), buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(*received));
    if (!understand(connection)) return false;
  }
  while (!connection.out.empty()) {
    const Result<size_t> sent = connection.socket.send_some(connection.out);
    if (!sent) return false;
    if (*sent == 0) break;
    connection.out.erase(connection.out.begin(), connection.out.begin() + static_cast<ptrdiff_t>(*sent));
  }
  return true;
}

bool UsbipServer::understand(Connection& connection) {
  size_t used = 0;
  bool ends = false;
  while (!ends) {
    const auto left = std::span<const uint8_t>(connection.in).subspan(used);
    const size_t size = &connection == importer_ ? command(connection, left, ends) : operation(connection, left, ends);
    if (size == 0) break;
    used += size;
  }
  connection.in.erase(connection.in.begin(), connection.in.begin() + static_cast<ptrdiff_t>(used));
  return !ends;
}

// Takes one request: its octets, or 0 when it is not whole yet. `ends`: it is none.
size_t UsbipServer::operation(Connection& connection, std::span<const uint8_t> octets, bool& ends) {
  if (octets.size() < usbip::kOperationBytes) return 0;
  const OperationHeader header = usbip::decode_operation(octets);
  if (header.operation == Operation::kListRequest) {
    list(connection);
    return usbip::kOperationBytes;
  }
  if (header.operation != Operation::kImportRequest) return ends = true, 0;
  if (octets.size() < usbip::kOperationBytes + usbip::kBusIdBytes) return 0;
  const std::string bus_id = usbip::decode_bus_id(octets.subspan(usbip::kOperationBytes));
  (void)import(connection, bus_id);
  return usbip::kOperationBytes + usbip::kBusIdBytes;
}

void UsbipServer::list(Connection& connection) {
  let_go_if_gone();
  const Wait wait{.deadline = Clock::now() + kOpenMost};
  std::unique_ptr<Device> opened;
  if (device_ == nullptr) opened = port_.open(wait).value_or(nullptr);
  const Device* const there = device_ != nullptr ? device_.get() : opened.get();
  usbip::encode(OperationHeader{.operation = Operation::kList}, connection.out);
  usbip::encode_u32(there != nullptr, connection.out);
  if (there == nullptr) return;
  usbip::encode(record(*there), connection.out);
  for (const Interface& interface : interfaces_of(*there)) {
    for (const uint8_t octet : {interface.interface_class, interface.subclass, interface.protocol, uint8_t{0}}) {
      connection.out.push_back(octet);
    }
  }
}

// False: refused, and said so.
bool UsbipServer::import(Connection& connection, const std::string& bus_id) {
  const auto refuse = [&](Status status) {
    usbip::encode(OperationHeader{.operation = Operation::kImport, .status = status}, connection.out);
    return false;
  };
  if (bus_id != bus_id_) return refuse(Status::kNoDevice);
  let_go_if_gone();
  if (device_ != nullptr) return refuse(Status::kBusy);
  Result<std::unique_ptr<Device>> opened = port_.open({.deadline = Clock::now() + kOpenMost});
  if (!opened) {
    return refuse(opened.error() == std::errc::device_or_resource_busy ? Status::kBusy : Status::kNoDevice);
  }
  device_ = *std::move(opened);
  importer_ = &connection;
  usbip::encode(OperationHeader{.operation = Operation::kImport}, connection.out);
  usbip::encode(record(*device_), connection.out);
  device_->watch([](void* self) noexcept USERNIC_NONBLOCKING { static_cast<UsbipServer*>(self)->kick_.kick(); }, this);
  return true;
}

usbip::Record UsbipServer::record(const Device& device) const {
  const Descriptors& descriptors = device.descriptors();
  usbip::Record record{.path = "/sys/devices/usernic/" + bus_id_,
                       .bus_id = bus_id_,
                       .bus = kBus,
                       .device = kDeviceNumber,
                       .speed = static_cast<uint32_t>(device.speed()),
                       .vendor = descriptors.vendor,
                       .product = descriptors.product,
                       .release = descriptors.release,
                       .device_class = descriptors.device_class,
                       .subclass = descriptors.subclass,
                       .protocol = descriptors.protocol,
                       .configurations = static_cast<uint8_t>(descriptors.configurations.size())};
  if (!descriptors.configurations.empty()) record.configuration = descriptors.configurations.front().value;
  record.interfaces = static_cast<uint8_t>(interfaces_of(device).size());
  return record;
}

// Takes one message of the importer, like `operation`.
size_t UsbipServer::command(Connection& connection, std::span<const uint8_t> octets, bool& ends) {
  if (octets.size() < usbip::kHeaderBytes) return 0;
  const Header header = usbip::decode_header(octets);
  if (header.command == Command::kUnlink) {
    unlink(connection, header);
    return usbip::kHeaderBytes;
  }
  if (header.command != Command::kSubmit || header.length > kTransferMax || header.endpoint > 15) {
    return ends = true, 0;
  }
  const size_t size = usbip::kHeaderBytes + (header.in ? 0 : header.length);
  if (octets.size() < size) return 0;
  if (!submit(connection, header, octets.subspan(usbip::kHeaderBytes, size - usbip::kHeaderBytes))) ends = true;
  return size;
}

// As Linux does: an interrupt endpoint is asked at intervals.
Result<> UsbipServer::accepted(Transfer& transfer, const Header& header) {
  const std::optional<Endpoint> endpoint = device_->descriptors().at(transfer.endpoint);
  const bool interrupt = endpoint && endpoint->type == EndpointType::kInterrupt;
  if (interrupt && header.interval == 0) return fail(std::errc::invalid_argument);
  return device_->submit(transfer);
}

bool UsbipServer::submit(Connection& connection, const Header& header, std::span<const uint8_t> data) {
  if (served_.size() >= kServedMax) return false;
  Served& served = served_.emplace_back(*this);
  served.sequence = header.sequence;
  served.data.assign(data.begin(), data.end());
  served.data.resize(header.length);
  served.transfer.endpoint = static_cast<uint8_t>(header.endpoint | (header.in && header.endpoint != 0 ? kIn : 0));
  served.transfer.setup = header.setup;
  served.transfer.data = served.data;
  served.transfer.zero_packet = (header.detail & usbip::kZeroPacket) != 0;
  if (const Result<> submitted = accepted(served.transfer, header); !submitted) {
    usbip::encode(Header{.command = Command::kReturnSubmit,
                         .sequence = header.sequence,
                         .detail = usbip::status_of(fail(submitted.error()))},
                  connection.out);
    served_.pop_back();
  }
  return true;
}

void UsbipServer::unlink(Connection& connection, const Header& header) {
  for (Served& served : served_) {
    if (served.sequence != header.detail || served.unlink != 0) continue;
    served.unlink = header.sequence;
    return device_->cancel(served.transfer);
  }
  // It is over, and its return was sent.
  usbip::encode(Header{.command = Command::kReturnUnlink, .sequence = header.sequence}, connection.out);
}

void UsbipServer::answer_completed() {
  Served* completed = nullptr;
  {
    SpinGuard guard(lock_);
    std::swap(completed, completed_);
  }
  Served* first = nullptr;  // the oldest
  while (completed != nullptr) {
    Served* const next = std::exchange(completed->next_completed, first);
    first = std::exchange(completed, next);
  }
  while (first != nullptr) {
    Served& served = *std::exchange(first, first->next_completed);
    device_->kill(served.transfer);  // it is over, but for the last steps of its completion
    answer(served);
    std::erase_if(served_, [&](const Served& other) { return &other == &served; });
  }
}

void UsbipServer::answer(Served& served) {
  if (importer_ == nullptr) return;
  const Result<uint32_t>& result = served.transfer.result;
  std::vector<uint8_t>& out = importer_->out;
  const bool unlinked = served.unlink != 0 && !result && result.error() == std::errc::operation_canceled;
  if (!unlinked) {
    const uint32_t length = result.value_or(0);
    usbip::encode(Header{.command = Command::kReturnSubmit,
                         .sequence = served.sequence,
                         .detail = usbip::status_of(result),
                         .length = length},
                  out);
    if (served.transfer.in()) out.insert(out.end(), served.data.begin(), served.data.begin() + length);
  }
  if (served.unlink == 0) return;
  usbip::encode(Header{.command = Command::kReturnUnlink,
                       .sequence = served.unlink,
                       .detail = unlinked ? usbip::status_of(result) : 0},
                out);
}

// Whoever imported a device that was unplugged hears it by losing the connection.
void UsbipServer::let_go_if_gone() {
  if (device_ == nullptr || !device_->gone()) return;
  importer_->over = true;
  let_go();
}

// The importer is gone, or the device.
void UsbipServer::let_go() {
  importer_ = nullptr;
  if (device_ == nullptr) return;
  for (Served& served : served_) device_->kill(served.transfer);
  answer_completed();
  device_ = nullptr;
}

}  // namespace usernic::usb
