// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usb/libusb_port.h"

#include <fmt/format.h>
#include <libusb.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <list>

#include "bus/usb/socket.h"
#include "usernic/context.h"

namespace usernic::usb {
namespace {

constexpr int kPortsMax = 7;  // of hubs between a device and its bus [USB 3.2, 10.1]

std::errc error_of(int code) {
  switch (code) {
    case LIBUSB_ERROR_ACCESS:
      return std::errc::permission_denied;
    case LIBUSB_ERROR_NO_DEVICE:
      return std::errc::no_such_device;
    case LIBUSB_ERROR_BUSY:
      return std::errc::device_or_resource_busy;
    case LIBUSB_ERROR_NOT_FOUND:
    case LIBUSB_ERROR_PIPE:
      return std::errc::broken_pipe;  // it has no such thing
    case LIBUSB_ERROR_NO_MEM:
      return std::errc::not_enough_memory;
    case LIBUSB_ERROR_NOT_SUPPORTED:
      return std::errc::not_supported;
    default:
      return std::errc::io_error;
  }
}

Result<> result_of(int code) {
  return code >= 0 ? Result<>() : fail(error_of(code));
}

Speed speed_of(libusb_device* device) {
  switch (::libusb_get_device_speed(device)) {
    case LIBUSB_SPEED_LOW:
      return Speed::kLow;
    case LIBUSB_SPEED_FULL:
      return Speed::kFull;
    case LIBUSB_SPEED_HIGH:
      return Speed::kHigh;
    case LIBUSB_SPEED_SUPER:
    case LIBUSB_SPEED_SUPER_PLUS:
      return Speed::kSuper;
    default:
      return Speed::kUnknown;
  }
}

// One look at what is there.
class Bus {
 public:
  static Result<Bus> open() {
    libusb_context* context = nullptr;
    const int code = ::libusb_init(&context);
    if (code != 0)
      return fail(code == LIBUSB_ERROR_NO_MEM ? std::errc::not_enough_memory : std::errc::function_not_supported);
    return Bus(context);
  }
  Bus(Bus&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}
  Bus& operator=(Bus&&) = delete;
  ~Bus() {
    if (context_ != nullptr) ::libusb_exit(context_);
  }

  // Calls `look` with each device until it returns false.
  template <class Look>
  void each(Look&& look) const {
    libusb_device** devices = nullptr;
    const ssize_t count = ::libusb_get_device_list(context_, &devices);
    for (ssize_t n = 0; n < count && look(devices[n]); ++n) continue;
    if (count >= 0) ::libusb_free_device_list(devices, 1);
  }
  libusb_context* context() const { return context_; }

 private:
  explicit Bus(libusb_context* context) : context_(context) {}
  libusb_context* context_;
};

// "1-2.3"; a root hub has no ports.
std::string place_of(libusb_device* device) {
  uint8_t ports[kPortsMax];
  const int count = ::libusb_get_port_numbers(device, ports, kPortsMax);
  std::string place = std::to_string(::libusb_get_bus_number(device));
  for (int n = 0; n < count; ++n) place += (n == 0 ? "-" : ".") + std::to_string(ports[n]);
  return place;
}

bool is_at(libusb_device* device, const Location& location) {
  if (!location.place.empty()) return place_of(device) == location.place;
  libusb_device_descriptor descriptor;
  return ::libusb_get_device_descriptor(device, &descriptor) == 0 && descriptor.idVendor == location.vendor &&
         descriptor.idProduct == location.product;
}

// Takes down the network interfaces that the kernel's driver of it has made: Linux' rtl8150 (6.12) never comes back
// from being detached while its is up.
Result<> take_down(libusb_device* device, int configuration, int interface) {
  const auto folder = std::filesystem::path("/sys/bus/usb/devices") /
                      fmt::format("{}:{}.{}", place_of(device), configuration, interface) / "net";
  std::error_code none;
  const Socket socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    ifreq request{};
    entry.path().filename().string().copy(request.ifr_name, sizeof request.ifr_name - 1);
    if (::ioctl(socket.fd(), SIOCGIFFLAGS, &request) != 0 || (request.ifr_flags & IFF_UP) == 0) continue;
    request.ifr_flags = static_cast<short>(request.ifr_flags & ~IFF_UP);
    if (::ioctl(socket.fd(), SIOCSIFFLAGS, &request) != 0) return fail(static_cast<std::errc>(errno));
  }
  return {};
}

// --- A device, opened ---

class LibusbDevice final : public Device {
 public:
  LibusbDevice(Bus bus, libusb_device_handle* handle) : bus_(std::move(bus)), handle_(handle) {
    set_speed(speed_of(::libusb_get_device(handle)));
    (void)::libusb_get_configuration(handle, &found_configuration_);
    ::libusb_set_pollfd_notifiers(bus_.context(), nullptr, fd_removed, this);
  }
  ~LibusbDevice() override;

  Result<> begin(const Wait& wait);
  void kick() noexcept USERNIC_NONBLOCKING override { kick_.kick(); }
  Result<> set_configuration(uint8_t value, const Wait& wait) override;
  Result<> set_interface(uint8_t interface, uint8_t alternate, const Wait& wait) override;
  Result<> clear_halt(uint8_t endpoint, const Wait& wait) override;

 private:
  // A transfer that libusb has.
  struct Carried {
    LibusbDevice& device;
    Transfer& transfer;
    libusb_transfer* raw;
    std::vector<uint8_t> control{};  // setup and data, as libusb wants them
    std::list<Carried>::iterator self{};
  };

  Result<> claim();
  void release();
  void run();
  bool exchange();
  void wait_for_events();
  EndpointType type_of(uint8_t endpoint) const;
  Result<> carry(Transfer& transfer);
  static void over(libusb_transfer* raw);
  static void fd_removed(int fd, void* self);
  void finish(Carried& carried);

  Bus bus_;
  libusb_device_handle* const handle_;
  int found_configuration_ = 0;
  std::vector<uint8_t> detached_;  // interfaces whose driver gets them back
  uint8_t claimed_ = 0;            // so many interfaces, from the first
  Kick kick_;
  Atomic<bool> closing_{false};
  // The thread's.
  Transfers taken_;
  std::list<Carried> carried_;  // of those
  bool lost_ = false;           // it is unplugged, says libusb
  std::vector<pollfd> fds_;     // ours, then libusb's; empty: ask again
  Thread thread_;
};

// The thread is last: who fails on the way here has none.
Result<> LibusbDevice::begin(const Wait& wait) {
  if (const Result<> claimed = claim(); !claimed) return claimed;
  thread_ = Thread("usb-libusb", [this] { run(); });
  return read_descriptors(wait);
}

LibusbDevice::~LibusbDevice() {
  closing_.store(true);
  kick();
  if (thread_.joinable()) thread_.join();
  ::libusb_set_pollfd_notifiers(bus_.context(), nullptr, nullptr, nullptr);
  release();
  int configuration = 0;
  const bool known = ::libusb_get_configuration(handle_, &configuration) == 0;
  if (known && configuration != found_configuration_) (void)::libusb_set_configuration(handle_, found_configuration_);
  for (const uint8_t interface : detached_) (void)::libusb_attach_kernel_driver(handle_, interface);
  ::libusb_close(handle_);
}

// All interfaces of the active configuration.
Result<> LibusbDevice::claim() {
  libusb_config_descriptor* active = nullptr;
  const int code = ::libusb_get_active_config_descriptor(::libusb_get_device(handle_), &active);
  if (code == LIBUSB_ERROR_NOT_FOUND) return {};  // it is not configured yet
  if (code != 0) return fail(error_of(code));
  const uint8_t interfaces = active->bNumInterfaces;
  const uint8_t value = active->bConfigurationValue;
  ::libusb_free_config_descriptor(active);
  for (; claimed_ < interfaces; ++claimed_) {
    if (::libusb_kernel_driver_active(handle_, claimed_) == 1) {
      const Result<> down = take_down(::libusb_get_device(handle_), value, claimed_);
      if (!down) return down;
      const bool detached = ::libusb_detach_kernel_driver(handle_, claimed_) == 0;
      if (detached && std::ranges::find(detached_, claimed_) == detached_.end()) detached_.push_back(claimed_);
    }
    if (const int claimed = ::libusb_claim_interface(handle_, claimed_); claimed != 0) return fail(error_of(claimed));
  }
  return {};
}

void LibusbDevice::release() {
  while (claimed_ > 0) (void)::libusb_release_interface(handle_, --claimed_);
}

// --- Calls that the kernel carries out ---

Result<> LibusbDevice::set_configuration(uint8_t value, const Wait& wait) {
  might_sleep();
  if (wait.stop.stop_requested()) return fail(std::errc::operation_canceled);
  if (gone()) return fail(std::errc::no_such_device);
  release();  // the kernel takes no configuration from under somebody
  const Result<> set = result_of(::libusb_set_configuration(handle_, value));
  const Result<> claimed = claim();  // again, whichever configuration it is now
  return set ? claimed : set;
}

Result<> LibusbDevice::set_interface(uint8_t interface, uint8_t alternate, const Wait& wait) {
  might_sleep();
  if (wait.stop.stop_requested()) return fail(std::errc::operation_canceled);
  if (gone()) return fail(std::errc::no_such_device);
  return result_of(::libusb_set_interface_alt_setting(handle_, interface, alternate));
}

Result<> LibusbDevice::clear_halt(uint8_t endpoint, const Wait& wait) {
  might_sleep();
  if (wait.stop.stop_requested()) return fail(std::errc::operation_canceled);
  if (gone()) return fail(std::errc::no_such_device);
  return result_of(::libusb_clear_halt(handle_, endpoint));
}

// --- The thread ---

void LibusbDevice::run() {
  while (!closing_.load() && exchange()) wait_for_events();
  if (!lost_) return;
  while (!carried_.empty()) {
    for (const Carried& carried : carried_) (void)::libusb_cancel_transfer(carried.raw);
    wait_for_events();
  }
  end_all(taken_);
}

// Gives libusb what was submitted, and ends what was cancelled. False: the device is unplugged.
bool LibusbDevice::exchange() {
  kick_.clear();
  Transfers cancelled;
  take(taken_, cancelled);
  while (!cancelled.empty()) {
    Transfer& transfer = cancelled.front();
    cancelled.pop_front();
    const auto carried = std::ranges::find(carried_, &transfer, [](const Carried& each) { return &each.transfer; });
    if (carried == carried_.end()) {
      complete(transfer, fail(std::errc::operation_canceled));
    } else {
      taken_.push_back(transfer);  // until libusb lets go of its memory
      (void)::libusb_cancel_transfer(carried->raw);
    }
  }
  for (auto next = taken_.begin(); next != taken_.end() && !lost_;) {
    Transfer& transfer = *next++;
    if (tag(transfer) != 0) continue;
    tag(transfer) = 1;
    if (const Result<> carrying = carry(transfer); !carrying) {
      lost_ |= carrying.error() == std::errc::no_such_device;
      if (lost_) return false;
      taken_.erase(taken_.iterator_to(transfer));
      complete(transfer, fail(carrying.error()));
    }
  }
  return !lost_;
}

EndpointType LibusbDevice::type_of(uint8_t endpoint) const {
  for (const Configuration& configuration : descriptors().configurations) {
    for (const Interface& interface : configuration.interfaces) {
      const auto found = std::ranges::find(interface.endpoints, endpoint, &Endpoint::address);
      if (found != interface.endpoints.end()) return found->type;
    }
  }
  return EndpointType::kBulk;
}

Result<> LibusbDevice::carry(Transfer& transfer) {
  libusb_transfer* const raw = ::libusb_alloc_transfer(0);
  if (raw == nullptr) return fail(std::errc::not_enough_memory);
  Carried& carried = carried_.emplace_back(*this, transfer, raw);
  carried.self = std::prev(carried_.end());
  const auto size = static_cast<int>(transfer.data.size());
  if (transfer.endpoint == 0) {
    const Setup& setup = transfer.setup;
    carried.control.resize(LIBUSB_CONTROL_SETUP_SIZE + transfer.data.size());
    ::libusb_fill_control_setup(carried.control.data(), setup.request_type, setup.request, setup.value, setup.index,
                                static_cast<uint16_t>(size));
    std::ranges::copy(transfer.data, carried.control.begin() + LIBUSB_CONTROL_SETUP_SIZE);
    ::libusb_fill_control_transfer(raw, handle_, carried.control.data(), over, &carried, 0);
  } else {
    ::libusb_fill_bulk_transfer(raw, handle_, transfer.endpoint, transfer.data.data(), size, over, &carried, 0);
    if (type_of(transfer.endpoint) == EndpointType::kInterrupt) raw->type = LIBUSB_TRANSFER_TYPE_INTERRUPT;
    if (transfer.zero_packet) raw->flags |= LIBUSB_TRANSFER_ADD_ZERO_PACKET;
  }
  const int code = ::libusb_submit_transfer(raw);
  if (code == 0) return {};
  ::libusb_free_transfer(raw);
  carried_.pop_back();
  return fail(error_of(code));
}

void LibusbDevice::over(libusb_transfer* raw) {
  Carried& carried = *static_cast<Carried*>(raw->user_data);
  carried.device.finish(carried);
}

// Of a device that is unplugged nothing ends here, but in end_all.
void LibusbDevice::finish(Carried& carried) {
  Transfer& transfer = carried.transfer;
  const libusb_transfer& raw = *carried.raw;
  const auto length = static_cast<uint32_t>(raw.actual_length);
  Result<uint32_t> result = length;
  switch (raw.status) {
    case LIBUSB_TRANSFER_COMPLETED:
      if (transfer.endpoint == 0 && transfer.in()) {
        std::copy_n(carried.control.begin() + LIBUSB_CONTROL_SETUP_SIZE, length, transfer.data.begin());
      }
      break;
    case LIBUSB_TRANSFER_NO_DEVICE:
      lost_ = true;
      break;
    case LIBUSB_TRANSFER_CANCELLED:
      result = fail(std::errc::operation_canceled);
      break;
    case LIBUSB_TRANSFER_STALL:
      result = fail(std::errc::broken_pipe);
      break;
    case LIBUSB_TRANSFER_OVERFLOW:
      result = fail(std::errc::value_too_large);
      break;
    default:
      result = fail(std::errc::io_error);
  }
  ::libusb_free_transfer(carried.raw);
  carried_.erase(carried.self);
  if (lost_) return;
  taken_.erase(taken_.iterator_to(transfer));
  complete(transfer, result);
}

// libusb stops looking at a device that is gone.
void LibusbDevice::fd_removed(int, void* self) {
  auto& device = *static_cast<LibusbDevice*>(self);
  device.lost_ = true;
  device.fds_.clear();
}

void LibusbDevice::wait_for_events() {
  if (fds_.empty()) {
    fds_.push_back({.fd = kick_.fd(), .events = POLLIN});
    const libusb_pollfd** const theirs = ::libusb_get_pollfds(bus_.context());
    for (const libusb_pollfd** next = theirs; next != nullptr && *next != nullptr; ++next) {
      fds_.push_back({.fd = (*next)->fd, .events = (*next)->events});
    }
    ::libusb_free_pollfds(theirs);
  }
  ::poll(fds_.data(), fds_.size(), -1);
  timeval none{};
  (void)::libusb_handle_events_timeout_completed(bus_.context(), &none, nullptr);
}

}  // namespace

// --- The port ---

LibusbPort::LibusbPort(Location location, Duration look_again)
    : location_(std::move(location)), look_again_(look_again) {}

Result<std::unique_ptr<Device>> LibusbPort::open(const Wait& wait) {
  might_sleep();
  std::errc error = std::errc::no_such_device;
  for (size_t n = 0;; ++n) {
    Result<std::unique_ptr<Device>> opened = open_nth(n, wait);
    if (opened || opened.error() == std::errc::no_such_device) return opened ? std::move(opened) : fail(error);
    error = opened.error();
    if (error != std::errc::device_or_resource_busy) return opened;
  }
}

// The n-th of those that are meant.
Result<std::unique_ptr<Device>> LibusbPort::open_nth(size_t n, const Wait& wait) const {
  Result<Bus> bus = Bus::open();
  if (!bus) return fail(bus.error());
  libusb_device* found = nullptr;
  bus->each([&](libusb_device* device) {
    if (is_at(device, location_) && n-- == 0) found = ::libusb_ref_device(device);
    return found == nullptr;
  });
  if (found == nullptr) return fail(std::errc::no_such_device);
  libusb_device_handle* handle = nullptr;
  const int code = ::libusb_open(found, &handle);
  ::libusb_unref_device(found);
  if (code != 0) return fail(error_of(code));
  auto device = std::make_unique<LibusbDevice>(*std::move(bus), handle);
  if (const Result<> begun = device->begin(wait); !begun) return fail(begun.error());
  return device;
}

Result<std::vector<LibusbEntry>> libusb_list() {
  might_sleep();
  const Result<Bus> bus = Bus::open();
  if (!bus) return fail(bus.error());
  std::vector<LibusbEntry> entries;
  bus->each([&](libusb_device* device) {
    libusb_device_descriptor descriptor;
    if (::libusb_get_device_descriptor(device, &descriptor) != 0) return true;
    if (descriptor.bDeviceClass == LIBUSB_CLASS_HUB) return true;
    LibusbEntry& entry = entries.emplace_back(LibusbEntry{.place = place_of(device),
                                                          .vendor = descriptor.idVendor,
                                                          .product = descriptor.idProduct,
                                                          .speed = speed_of(device),
                                                          .device_class = descriptor.bDeviceClass});
    libusb_config_descriptor* active = nullptr;
    if (::libusb_get_active_config_descriptor(device, &active) != 0) return true;
    for (const libusb_interface& interface : std::span(active->interface, active->bNumInterfaces)) {
      for (const auto& setting :
           std::span(interface.altsetting, static_cast<size_t>(std::max(0, interface.num_altsetting)))) {
        entry.interfaces.push_back({.number = setting.bInterfaceNumber,
                                    .alternate = setting.bAlternateSetting,
                                    .interface_class = setting.bInterfaceClass,
                                    .subclass = setting.bInterfaceSubClass,
                                    .protocol = setting.bInterfaceProtocol});
      }
    }
    ::libusb_free_config_descriptor(active);
    return true;
  });
  return entries;
}

}  // namespace usernic::usb
