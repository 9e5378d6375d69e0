// SPDX-License-Identifier: Apache-2.0 OR MIT
// Text as an Ethernet address: what parses is what it prints, and nothing else parses.
#include <cctype>

#include "fuzz/input.h"
#include "usernic/mac_address.h"

namespace usernic::fuzz {
namespace {

// "xx:xx:xx:xx:xx:xx", read character by character.
bool is_address(std::string_view text) {
  if (text.size() != 17) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool colon = i % 3 == 2;
    if (colon ? text[i] != ':' : !std::isxdigit(static_cast<unsigned char>(text[i]))) return false;
  }
  return true;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

}  // namespace
}  // namespace usernic::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace usernic;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = MacAddress::parse(text);
  fuzz::must(parsed.has_value() == fuzz::is_address(text), "the parser and the grammar differ");
  if (parsed) fuzz::must(parsed->to_string() == fuzz::lower(text), "it prints something else than it read");

  const MacAddress any = MacAddress::from_u64(fuzz::Input(data, size).number<uint64_t>());
  fuzz::must(MacAddress::parse(any.to_string()) == any, "it does not read what it prints");
  fuzz::must(MacAddress::from_u64(any.to_u64()) == any, "as a number it is another");
  return 0;
}
