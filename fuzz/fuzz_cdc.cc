// SPDX-License-Identifier: Apache-2.0 OR MIT
// What a USB network function sends, whatever it is: descriptors, a string, notifications, NCM blocks, RNDIS messages.
// Nothing is read beyond it, and what is found lies in it. And what we send by the parameters that it chose is found
// again where it wanted it.
#include "bus/usb/descriptors.h"
#include "drivers/cdc/ncm.h"
#include "drivers/cdc/rndis.h"
#include "fuzz/adapter.h"

namespace usernic::cdc {
namespace {

using fuzz::must, fuzz::Octets, fuzz::rest_of;
using usb::NtbLayout, usb::NtbReader, usb::RndisLayout, usb::RndisReader;

void check_descriptors(const Octets& octets) {
  const auto configuration = usb::Configuration::parse(octets);
  if (!configuration) return;
  const auto function = find_function({.configurations = {*configuration}});
  if (!function) return;
  must(function->bulk_in > usb::kIn && function->bulk_out != 0 && function->bulk_out < usb::kIn, "no bulk endpoints");
  must(function->configuration == configuration->value, "another configuration");
}

template <class Reader>
void check_reader(std::span<const uint8_t> octets) {
  Reader reader(octets);
  size_t all = 0;
  while (const auto frame = reader.next()) {
    must(frame->empty() ||
             (frame->data() >= octets.data() && frame->data() + frame->size() <= octets.data() + octets.size()),
         "a frame is not in its transfer");
    all += frame->size();
    must(all <= octets.size(), "more frames than octets");
  }
  must(!reader.next(), "there is more behind the end");
}

void check_messages(std::span<const uint8_t> octets) {
  const auto message = parse_rndis_message(octets);
  if (!message || message->info.empty()) return;
  must(message->info.data() >= octets.data() &&
           message->info.data() + message->info.size() <= octets.data() + octets.size(),
       "information is not in its message");
}

// Frames of lengths that the input says are packed until one does not fit, and read again.
template <class Reader, class Add, class Seal>
void check_round(fuzz::Input& input, Add&& add, Seal&& seal) {
  Octets room(1 + input.number<uint16_t>() % Protocol::kTransferMax);
  usb::TxBlock block{.room = room};
  std::vector<Octets> frames;
  for (uint32_t n = 0; n < 64; ++n) {
    Octets frame(kHeaderBytes + input.number<uint16_t>() % 2000, static_cast<uint8_t>(n));
    if (!add(block, frame)) break;
    frames.push_back(std::move(frame));
  }
  must(block.frames == frames.size(), "it counts otherwise");
  if (frames.empty()) return;
  seal(block);
  must(block.size <= room.size(), "a block is larger than its room");
  Reader reader(std::span<const uint8_t>(room).first(block.size));
  for (const Octets& frame : frames) {
    const auto found = reader.next();
    must(found && std::ranges::equal(*found, frame), "a frame is not found again");
  }
  must(!reader.next() && !reader.broken(), "there is more than was packed");
}

void check_ntb_round(fuzz::Input& input) {
  const auto octets = input.take(kNtbParameterBytes);
  const auto parameters = usb::parse_ntb_parameters(octets, Protocol::kTransferMax);
  if (!parameters) return;
  const NtbLayout& layout = parameters->out;
  check_round<NtbReader>(
      input, [&](usb::TxBlock& block, std::span<const uint8_t> frame) { return layout.add(block, frame); },
      [&](usb::TxBlock& block) {
        layout.seal(block, 1);
        must(block.size <= layout.block_max && block.frames <= layout.datagrams_max, "more than the function takes");
        must(layout.table() % layout.table_alignment == 0, "the table is not where it is wanted");
        for (uint32_t n = 0; n < block.frames; ++n) {
          const uint32_t index = le(block.room, layout.entry(n), layout.wide ? 4 : 2);
          must((index + kHeaderBytes) % layout.divisor == layout.remainder, "a payload is not where it is wanted");
        }
      });
}

void check_rndis_round(fuzz::Input& input) {
  Octets answer(kRndisInitializeDoneBytes);
  std::ranges::copy(input.take(answer.size()), answer.begin());
  const RndisLayout layout = usb::parse_rndis_layout(answer, Protocol::kTransferMax);
  check_round<RndisReader>(
      input, [&](usb::TxBlock& block, std::span<const uint8_t> frame) { return layout.add(block, frame); },
      [&](usb::TxBlock& block) {
        must(block.size <= layout.transfer_max && block.frames <= layout.packets_max, "more than the function takes");
        must(block.size % layout.alignment == 0, "a message is not aligned");
      });
}

}  // namespace
}  // namespace usernic::cdc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace usernic::cdc;
  usernic::fuzz::Input input(data, size);
  switch (input.below(7)) {
    case 0:
      check_descriptors(rest_of(input));
      break;
    case 1:
      (void)parse_mac_string(rest_of(input));
      break;
    case 2: {
      const auto octets = rest_of(input);
      for (const Framing framing : {Framing::kEcm, Framing::kRndis}) (void)parse_notifications(framing, octets);
      break;
    }
    case 3:
      check_reader<NtbReader>(rest_of(input));
      break;
    case 4: {
      const auto octets = rest_of(input);
      check_reader<RndisReader>(octets);
      check_messages(octets);
      break;
    }
    case 5:
      check_ntb_round(input);
      break;
    default:
      check_rndis_round(input);
  }
  return 0;
}
