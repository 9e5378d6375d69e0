// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usb/libusb_device.h"

#include <fmt/format.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "usernic/context.h"

namespace usernic::usb {
namespace {

Result<> result_of(int code) {
  return code >= 0 ? Result<>() : fail(error_of(code));
}

// Takes down the network interfaces that the kernel's driver of it has made: Linux' rtl8150 (6.12) never comes back
// from being detached while its is up.
Result<> take_down(libusb_device* device, int configuration, int interface) {
  const auto folder = std::filesystem::path("/sys/bus/usb/devices") /
                      fmt::format("{}:{}.{}", place_of(device), configuration, interface) / "net";
  std::error_code none;
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    ifreq request{};
    entry.path().filename().string().copy(request.ifr_name, sizeof request.ifr_name - 1);
    if (::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0 || (request.ifr_flags & IFF_UP) == 0) continue;
    request.ifr_flags = static_cast<short>(request.ifr_flags & ~IFF_UP);
    if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return fail(static_cast<std::errc>(errno));
  }
  return {};
}

}  // namespace

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
    const std::optional<Endpoint> endpoint = descriptors().at(transfer.endpoint);
    if (endpoint && endpoint->type == EndpointType::kInterrupt) raw->type = LIBUSB_TRANSFER_TYPE_INTERRUPT;
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

}  // namespace usernic::usb
