// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "bus/usb/usbip.h"

#include <algorithm>

namespace usernic::usb::usbip {
namespace {

constexpr size_t kPathBytes = 256;
constexpr uint32_t kErrnoMax = 4095;

class Writer {
 public:
  explicit Writer(std::vector<uint8_t>& to) : to_(to) {}
  Writer& u8(uint8_t value) { return to_.push_back(value), *this; }
  Writer& u16(uint16_t value) { return u8(static_cast<uint8_t>(value >> 8)).u8(static_cast<uint8_t>(value)); }
  Writer& u32(uint32_t value) { return u16(static_cast<uint16_t>(value >> 16)).u16(static_cast<uint16_t>(value)); }
  Writer& le16(uint16_t value) { return u8(static_cast<uint8_t>(value)).u8(static_cast<uint8_t>(value >> 8)); }
  // Filled with zeros, one at least.
  Writer& text(const std::string& value, size_t size) {
    for (size_t i = 0; i < size; ++i) u8(i < value.size() && i + 1 < size ? static_cast<uint8_t>(value[i]) : 0);
    return *this;
  }

 private:
  std::vector<uint8_t>& to_;
};

class Reader {
 public:
  explicit Reader(std::span<const uint8_t> from) : from_(from) {}
  uint8_t u8() {
    const uint8_t value = from_[0];
    from_ = from_.subspan(1);
    return value;
  }
  uint16_t u16() {
    const uint8_t high = u8();
    return static_cast<uint16_t>(high << 8 | u8());
  }
  uint32_t u32() {
    const uint32_t high = u16();
    return high << 16 | u16();
  }
  uint16_t le16() {
    const uint8_t low = u8();
    return static_cast<uint16_t>(low | u8() << 8);
  }
  std::string text(size_t size) {
    const auto field = from_.first(size);
    from_ = from_.subspan(size);
    return {field.begin(), std::ranges::find(field, 0)};
  }

 private:
  std::span<const uint8_t> from_;
};

}  // namespace

void encode(const OperationHeader& header, std::vector<uint8_t>& to) {
  Writer(to).u16(header.version).u16(static_cast<uint16_t>(header.operation)).u32(static_cast<uint32_t>(header.status));
}

OperationHeader decode_operation(std::span<const uint8_t> octets) {
  Reader from(octets);
  OperationHeader header;
  header.version = from.u16();
  header.operation = static_cast<Operation>(from.u16());
  header.status = static_cast<Status>(from.u32());
  return header;
}

void encode(const Record& record, std::vector<uint8_t>& to) {
  Writer(to)
      .text(record.path, kPathBytes)
      .text(record.bus_id, kBusIdBytes)
      .u32(record.bus)
      .u32(record.device)
      .u32(record.speed)
      .u16(record.vendor)
      .u16(record.product)
      .u16(record.release)
      .u8(record.device_class)
      .u8(record.subclass)
      .u8(record.protocol)
      .u8(record.configuration)
      .u8(record.configurations)
      .u8(record.interfaces);
}

Record decode_record(std::span<const uint8_t> octets) {
  Reader from(octets);
  Record record;
  record.path = from.text(kPathBytes);
  record.bus_id = from.text(kBusIdBytes);
  record.bus = from.u32();
  record.device = from.u32();
  record.speed = from.u32();
  record.vendor = from.u16();
  record.product = from.u16();
  record.release = from.u16();
  record.device_class = from.u8();
  record.subclass = from.u8();
  record.protocol = from.u8();
  record.configuration = from.u8();
  record.configurations = from.u8();
  record.interfaces = from.u8();
  return record;
}

void encode(const Header& header, std::vector<uint8_t>& to) {
  Writer(to)
      .u32(static_cast<uint32_t>(header.command))
      .u32(header.sequence)
      .u32(header.device_id)
      .u32(header.in)
      .u32(header.endpoint)
      .u32(header.detail)
      .u32(header.length)
      .u32(0)  // start frame and number of packets are isochronous
      .u32(0)
      .u32(header.interval)
      .u8(header.setup.request_type)
      .u8(header.setup.request)
      .le16(header.setup.value)
      .le16(header.setup.index)
      .le16(header.setup.length);
}

Header decode_header(std::span<const uint8_t> octets) {
  Reader from(octets);
  Header header;
  header.command = static_cast<Command>(from.u32());
  header.sequence = from.u32();
  header.device_id = from.u32();
  header.in = from.u32() != 0;
  header.endpoint = from.u32();
  header.detail = from.u32();
  header.length = from.u32();
  from.u32();
  from.u32();
  header.interval = from.u32();
  header.setup.request_type = from.u8();
  header.setup.request = from.u8();
  header.setup.value = from.le16();
  header.setup.index = from.le16();
  header.setup.length = from.le16();
  return header;
}

void encode_bus_id(const std::string& bus_id, std::vector<uint8_t>& to) {
  Writer(to).text(bus_id, kBusIdBytes);
}
std::string decode_bus_id(std::span<const uint8_t> octets) {
  return Reader(octets).text(kBusIdBytes);
}
void encode_u32(uint32_t value, std::vector<uint8_t>& to) {
  Writer(to).u32(value);
}
uint32_t decode_u32(std::span<const uint8_t> octets) {
  return Reader(octets).u32();
}

uint32_t status_of(const Result<uint32_t>& result) {
  if (result) return 0;
  const std::errc error =
      result.error() == std::errc::operation_canceled ? std::errc::connection_reset : result.error();
  return -static_cast<uint32_t>(error);
}

std::errc error_of(uint32_t status) {
  const uint32_t error = -status;
  if (error == 0 || error > kErrnoMax) return std::errc::io_error;
  if (static_cast<std::errc>(error) == std::errc::connection_reset) return std::errc::operation_canceled;
  return static_cast<std::errc>(error);
}

}  // namespace usernic::usb::usbip
