// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usb/usbip_port.h"

#include <poll.h>

#include <algorithm>
#include <map>
#include <optional>

#include "usernic/kick.h"
#include "usernic/thread.h"

namespace usernic::usb {

using usbip::Command;
using usbip::Header;
using usbip::Operation;
using usbip::OperationHeader;
using usbip::Record;

namespace {

constexpr size_t kOutMax = 256 * 1024;  // more than this is not buffered while the server does not read
constexpr uint32_t kListMax = 1024;

class UsbipDevice final : public Device {
 public:
  UsbipDevice(Socket socket, const Record& record, Kick kick)
      : socket_(std::move(socket)),
        device_id_(record.device_id()),
        kick_(std::move(kick)),
        thread_("usb-usbip", [this] { run(); }) {
    set_speed(static_cast<Speed>(record.speed));
  }
  ~UsbipDevice() override {
    closing_.store(true);
    kick();
    thread_.join();
  }
  Result<> begin(const Wait& wait) { return read_descriptors(wait); }
  void kick() noexcept USERNIC_NONBLOCKING override { kick_.kick(); }

 private:
  // A submit whose transfer was cancelled: what may still come of it.
  struct Abandoned {
    bool in;
    size_t size;
    uint32_t unlink;  // sequence of its unlink
  };

  void run();
  bool exchange();
  void drop_cancelled(Transfers& cancelled);
  void submit_fresh();
  uint32_t period_of(const Transfer& transfer) const;
  bool read();
  std::optional<size_t> understand(std::span<const uint8_t> octets);
  std::optional<size_t> returned(const Header& header, std::span<const uint8_t> octets);
  Transfer* find(uint32_t sequence);
  // Never 0, which is the tag of what was not sent yet.
  uint32_t next_sequence() { return sequence_ += sequence_ == UINT32_MAX ? 2 : 1; }

  Socket socket_;
  const uint32_t device_id_;
  Kick kick_;
  Atomic<bool> closing_{false};
  // The thread's.
  Transfers taken_;
  std::map<uint32_t, Abandoned> abandoned_;  // by sequence
  uint32_t sequence_ = 0;
  std::vector<uint8_t> out_, in_;
  std::vector<uint8_t> buffer_ = std::vector<uint8_t>(usbip::kReadBytes);
  Thread thread_;
};

void UsbipDevice::run() {
  while (!closing_.load()) {
    if (!exchange()) return end_all(taken_);
    pollfd fds[] = {{.fd = kick_.fd(), .events = POLLIN},
                    {.fd = socket_.fd(), .events = static_cast<short>(out_.empty() ? POLLIN : POLLIN | POLLOUT)}};
    ::poll(fds, 2, -1);
  }
}

// Everything that can be done without waiting. False: there is nobody to talk to any more.
bool UsbipDevice::exchange() {
  kick_.clear();
  Transfers cancelled;
  take(taken_, cancelled);
  drop_cancelled(cancelled);
  submit_fresh();
  while (!out_.empty()) {
    const Result<size_t> sent = socket_.send_some(out_);
    if (!sent) return false;
    if (*sent == 0) break;
    out_.erase(out_.begin(), out_.begin() + static_cast<ptrdiff_t>(*sent));
    submit_fresh();
  }
  return read();
}

void UsbipDevice::drop_cancelled(Transfers& cancelled) {
  while (!cancelled.empty()) {
    Transfer& transfer = cancelled.front();
    cancelled.pop_front();
    if (const uint32_t victim = tag(transfer); victim != 0) {
      abandoned_[victim] = {.in = transfer.in(), .size = transfer.data.size(), .unlink = next_sequence()};
      usbip::encode(
          Header{.command = Command::kUnlink, .sequence = sequence_, .device_id = device_id_, .detail = victim}, out_);
    }
    complete(transfer, fail(std::errc::operation_canceled));
  }
}

void UsbipDevice::submit_fresh() {
  for (Transfer& transfer : taken_) {
    if (out_.size() >= kOutMax) return;
    if (tag(transfer) != 0) continue;
    tag(transfer) = next_sequence();
    const bool in = transfer.in();
    usbip::encode(Header{.command = Command::kSubmit,
                         .sequence = sequence_,
                         .device_id = device_id_,
                         .in = in,
                         .endpoint = transfer.endpoint & 0x0fu,
                         .detail = transfer.zero_packet ? usbip::kZeroPacket : 0,
                         .length = static_cast<uint32_t>(transfer.data.size()),
                         .interval = period_of(transfer),
                         .setup = transfer.setup},
                  out_);
    if (!in) out_.insert(out_.end(), transfer.data.begin(), transfer.data.end());
  }
}

// Linux' server ends the connection at an interrupt transfer without one.
uint32_t UsbipDevice::period_of(const Transfer& transfer) const {
  if (transfer.endpoint == 0) return 0;  // and the descriptors may not be read yet
  const std::optional<Endpoint> endpoint = descriptors().at(transfer.endpoint);
  return endpoint && endpoint->type == EndpointType::kInterrupt ? endpoint->period(speed()) : 0;
}

bool UsbipDevice::read() {
  for (;;) {
    const Result<size_t> received = socket_.receive_some(buffer_);
    if (!received) return false;
    if (*received == 0) return true;
    in_.insert(in_.end(), buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(*received));
    size_t used = 0;
    for (;;) {
      const std::optional<size_t> understood = understand(std::span(in_).subspan(used));
      if (!understood) return false;
      if (*understood == 0) break;
      used += *understood;
    }
    in_.erase(in_.begin(), in_.begin() + static_cast<ptrdiff_t>(used));
  }
}

// Takes one message: its octets, 0 when it is not whole yet, nothing when it breaks the protocol.
std::optional<size_t> UsbipDevice::understand(std::span<const uint8_t> octets) {
  if (octets.size() < usbip::kHeaderBytes) return 0;
  const Header header = usbip::decode_header(octets);
  if (header.command == Command::kReturnSubmit) return returned(header, octets);
  if (header.command != Command::kReturnUnlink) return std::nullopt;
  std::erase_if(abandoned_, [&](const auto& entry) { return entry.second.unlink == header.sequence; });
  return usbip::kHeaderBytes;
}

std::optional<size_t> UsbipDevice::returned(const Header& header, std::span<const uint8_t> octets) {
  Transfer* const transfer = find(header.sequence);
  const auto abandoned = abandoned_.find(header.sequence);
  if (transfer == nullptr && abandoned == abandoned_.end()) return std::nullopt;
  const size_t room = transfer != nullptr ? transfer->data.size() : abandoned->second.size;
  const bool in = transfer != nullptr ? transfer->in() : abandoned->second.in;
  if (in && header.length > room) return std::nullopt;
  const size_t size = usbip::kHeaderBytes + (in ? header.length : 0);
  if (octets.size() < size) return 0;
  if (transfer == nullptr) return size;  // its unlink is returned too
  if (in) std::copy_n(octets.begin() + usbip::kHeaderBytes, header.length, transfer->data.begin());
  taken_.erase(taken_.iterator_to(*transfer));
  const auto moved = static_cast<uint32_t>(std::min<size_t>(header.length, room));
  complete(*transfer,
           header.detail == 0 ? Result<uint32_t>(in ? header.length : moved) : fail(usbip::error_of(header.detail)));
  return size;
}

Transfer* UsbipDevice::find(uint32_t sequence) {
  const auto found = std::ranges::find_if(taken_, [&](Transfer& transfer) { return tag(transfer) == sequence; });
  return found == taken_.end() || sequence == 0 ? nullptr : &*found;
}

std::errc refusal(usbip::Status status) {
  if (status == usbip::Status::kBusy) return std::errc::device_or_resource_busy;
  return status == usbip::Status::kError ? std::errc::io_error : std::errc::no_such_device;
}

// Sends a request and receives the head of its reply.
Result<> ask(Socket& socket, Operation request, const std::vector<uint8_t>& more, Operation reply, const Wait& wait) {
  std::vector<uint8_t> octets;
  usbip::encode(OperationHeader{.operation = request}, octets);
  octets.insert(octets.end(), more.begin(), more.end());
  if (const Result<> sent = socket.send(octets, wait); !sent) return sent;
  octets.resize(usbip::kOperationBytes);
  if (const Result<> received = socket.receive(octets, wait); !received) return received;
  const OperationHeader header = usbip::decode_operation(octets);
  if (header.operation != reply) return fail(std::errc::bad_message);
  if (header.status != usbip::Status::kOk) return fail(refusal(header.status));
  return {};
}

Result<Record> receive_record(Socket& socket, const Wait& wait) {
  std::vector<uint8_t> octets(usbip::kRecordBytes);
  if (const Result<> received = socket.receive(octets, wait); !received) return fail(received.error());
  return usbip::decode_record(octets);
}

}  // namespace

UsbipPort::UsbipPort(std::string host, uint16_t tcp_port, std::string bus_id, Duration look_again)
    : host_(std::move(host)), tcp_port_(tcp_port), bus_id_(std::move(bus_id)), look_again_(look_again) {}

std::string UsbipPort::name() const {
  const bool ip6 = host_.find(':') != std::string::npos;
  return "usbip:" + (ip6 ? "[" + host_ + "]" : host_) + ":" + std::to_string(tcp_port_) + "/" + bus_id_;
}

Result<std::unique_ptr<Device>> UsbipPort::open(const Wait& wait) {
  Result<Socket> socket = Socket::connect(host_, tcp_port_, wait);
  if (!socket) return fail(socket.error());
  std::vector<uint8_t> which;
  usbip::encode_bus_id(bus_id_, which);
  if (const Result<> imported = ask(*socket, Operation::kImportRequest, which, Operation::kImport, wait); !imported) {
    return fail(imported.error());
  }
  const Result<Record> record = receive_record(*socket, wait);
  if (!record) return fail(record.error());
  return usbip_device(*std::move(socket), *record, wait);
}

Result<std::unique_ptr<Device>> usbip_device(Socket socket, const Record& record, const Wait& wait) {
  Result<Kick> kick = Kick::make();
  if (!kick) return fail(kick.error());
  auto device = std::make_unique<UsbipDevice>(std::move(socket), record, *std::move(kick));
  if (const Result<> begun = device->begin(wait); !begun) return fail(begun.error());
  return device;
}

Result<std::vector<UsbipListed>> usbip_list(const std::string& host, uint16_t tcp_port, const Wait& wait) {
  Result<Socket> socket = Socket::connect(host, tcp_port, wait);
  if (!socket) return fail(socket.error());
  if (const Result<> asked = ask(*socket, Operation::kListRequest, {}, Operation::kList, wait); !asked) {
    return fail(asked.error());
  }
  std::vector<uint8_t> count(usbip::kListCountBytes);
  if (const Result<> received = socket->receive(count, wait); !received) return fail(received.error());
  const uint32_t devices = usbip::decode_u32(count);
  if (devices > kListMax) return fail(std::errc::bad_message);
  std::vector<UsbipListed> list;
  for (uint32_t n = 0; n < devices; ++n) {
    Result<Record> record = receive_record(*socket, wait);
    if (!record) return fail(record.error());
    std::vector<uint8_t> interfaces(record->interfaces * usbip::kInterfaceBytes);
    if (const Result<> received = socket->receive(interfaces, wait); !received) return fail(received.error());
    UsbipListed& listed = list.emplace_back(*std::move(record));
    for (size_t n = 0; n < interfaces.size(); n += usbip::kInterfaceBytes) {
      listed.interfaces.push_back({interfaces[n], interfaces[n + 1], interfaces[n + 2]});
    }
  }
  return list;
}

}  // namespace usernic::usb
