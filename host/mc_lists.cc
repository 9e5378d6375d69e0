// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/mc_lists.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace usernic {

namespace {

constexpr size_t kReadBytes = 64 * 1024;

// The next word of a line, which it leaves.
std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

// Twelve digits without colons.
std::optional<MacAddress> parse_octets(std::string_view digits) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
  if (digits.size() != 12 || error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return MacAddress::from_u64(number);
}

template <class Visit>
void for_each_entry(std::string_view text, Visit visit) {
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::string_view index = take_word(line);
    int number = 0;
    const auto [end, error] = std::from_chars(index.data(), index.data() + index.size(), number);
    if (error != std::errc{} || end != index.data() + index.size()) continue;
    take_word(line), take_word(line), take_word(line);  // its name; how many hold the address, and globally
    if (const auto address = parse_octets(take_word(line))) visit(number, *address);
  }
}

}  // namespace

std::vector<MacAddress> parse_mc_list(std::string_view text, int ifindex) {
  std::vector<MacAddress> list;
  for_each_entry(text, [&](int index, const MacAddress& address) {
    if (index == ifindex) list.push_back(address);
  });
  return list;
}

std::optional<bool> uc_list_was_empty(const std::vector<MacAddress>& dump, const std::vector<MacAddress>& mc_list) {
  if (dump.size() < mc_list.size()) return std::nullopt;
  if (!std::equal(mc_list.rbegin(), mc_list.rend(), dump.rbegin())) return std::nullopt;
  return dump.size() == mc_list.size();
}

McLists McLists::open(const NetNamespace& netns) {
  UniqueFd file;
  (void)netns.run([&] { file.reset(::open("/proc/thread-self/net/dev_mcast", O_RDONLY | O_CLOEXEC)); });
  return McLists(std::move(file));
}

std::optional<std::vector<MacAddress>> McLists::read(int ifindex) {
  const auto text = read_text();
  if (!text) return std::nullopt;
  return parse_mc_list(*text, ifindex);
}

std::optional<std::unordered_map<int, std::vector<MacAddress>>> McLists::read_all() {
  const auto text = read_text();
  if (!text) return std::nullopt;
  std::unordered_map<int, std::vector<MacAddress>> lists;
  for_each_entry(*text, [&](int ifindex, const MacAddress& address) { lists[ifindex].push_back(address); });
  return lists;
}

// Valid until the next call.
std::optional<std::string_view> McLists::read_text() {
  if (!file_) return std::nullopt;
  size_t size = 0;
  for (;;) {
    text_.resize(size + kReadBytes);
    const ssize_t n = ::pread(file_.get(), text_.data() + size, kReadBytes, static_cast<off_t>(size));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::nullopt;
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  return std::string_view(text_).substr(0, size);
}

}  // namespace usernic
