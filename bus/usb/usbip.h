// SPDX-License-Identifier: Apache-2.0 OR MIT
// usb: the USB/IP protocol's messages, as octets and back.
//
// [Linux, Documentation/usb/usbip_protocol.rst]. Big-endian, but for the setup packet, which is as on a USB wire.
// First an operation: list, or import one device by its bus id; after an import the connection carries transfers:
//
//   submit ->  (+ data, out)      <- return of a submit (+ data, in)
//   unlink ->                     <- return of an unlink
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bus/usb/transfer.h"

namespace usernic::usb::usbip {

inline constexpr uint16_t kTcpPort = 3240;
inline constexpr uint16_t kVersion = 0x0111;
inline constexpr size_t kOperationBytes = 8, kBusIdBytes = 32, kRecordBytes = 312, kHeaderBytes = 48;
inline constexpr size_t kReadBytes = 64 * 1024;  // from a socket, at most at once
inline constexpr size_t kListCountBytes = 4, kInterfaceBytes = 4;

enum class Operation : uint16_t { kListRequest = 0x8005, kList = 0x0005, kImportRequest = 0x8003, kImport = 0x0003 };
enum class Status : uint32_t { kOk = 0, kNotAvailable = 1, kBusy = 2, kError = 3, kNoDevice = 4 };

struct OperationHeader {
  uint16_t version = kVersion;
  Operation operation{};
  Status status = Status::kOk;
};

struct Record {
  std::string path, bus_id;
  uint32_t bus = 0, device = 0, speed = 0;
  uint16_t vendor = 0, product = 0, release = 0;
  uint8_t device_class = 0, subclass = 0, protocol = 0;
  uint8_t configuration = 0, configurations = 0, interfaces = 0;

  uint32_t device_id() const { return bus << 16 | device; }
};

enum class Command : uint32_t { kSubmit = 1, kUnlink = 2, kReturnSubmit = 3, kReturnUnlink = 4 };
inline constexpr uint32_t kZeroPacket = 0x40;  // a flag of a submit

struct Header {
  Command command{};
  uint32_t sequence = 0;
  uint32_t device_id = 0;
  bool in = false;
  uint32_t endpoint = 0;  // number
  // Submit: flags. Unlink: the sequence of the submit that it is about. Returns: zero, or an errno below zero.
  uint32_t detail = 0;
  uint32_t length = 0;    // submit: of the data, or of the room for it; its return: what was transferred
  uint32_t interval = 0;  // submit: Endpoint::period of an interrupt endpoint
  Setup setup{};
};

// Appended to `to`.
void encode(const OperationHeader& header, std::vector<uint8_t>& to);
void encode(const Record& record, std::vector<uint8_t>& to);
void encode(const Header& header, std::vector<uint8_t>& to);
void encode_bus_id(const std::string& bus_id, std::vector<uint8_t>& to);
void encode_u32(uint32_t value, std::vector<uint8_t>& to);
// Requires: as many octets as the constants above say.
OperationHeader decode_operation(std::span<const uint8_t> octets);
Record decode_record(std::span<const uint8_t> octets);
Header decode_header(std::span<const uint8_t> octets);
std::string decode_bus_id(std::span<const uint8_t> octets);
uint32_t decode_u32(std::span<const uint8_t> octets);

// A transfer's result as the status of a return, and back.
uint32_t status_of(const Result<uint32_t>& result);
std::errc error_of(uint32_t status);

}  // namespace usernic::usb::usbip
// Explained best by: bus/usb/usbip_test.cc
