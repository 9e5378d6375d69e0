// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/capture_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace usernic::cli {

namespace {

constexpr uint64_t kStatisticsBytes = 200;  // and a little more

bool is_regular(int fd) noexcept {
  struct stat what {};
  return ::fstat(fd, &what) == 0 && S_ISREG(what.st_mode);
}

}  // namespace

std::string CaptureFiles::numbered(const std::string& path, uint64_t number) {
  const std::filesystem::path whole(path);
  std::filesystem::path name = whole.stem();
  name += fmt::format("_{:05}", number);
  name += whole.extension();
  return (whole.parent_path() / name).string();
}

ctl::Outcome<> CaptureFiles::open() {
  return next_file();
}

// Others may not read what is on a network.
ctl::Outcome<> CaptureFiles::next_file() {
  if (line_.path == "-") {
    file_.reset(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
    names_ = {"-"};
    return file_ ? ctl::Outcome<>() : ctl::refuse(fmt::format("cannot write to stdout: {}", std::strerror(errno)));
  }
  const std::string name = line_.file_bytes == 0 ? line_.path : numbered(line_.path, ++number_);
  file_.reset(::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file_) return ctl::refuse(fmt::format("cannot open {}: {}", name, std::strerror(errno)));
  if (is_regular(file_.get()) && ::fchmod(file_.get(), 0600) != 0) {
    return ctl::refuse(fmt::format("cannot keep {} from being read by others: {}", name, std::strerror(errno)));
  }
  names_.push_back(name);
  if (line_.files_max != 0 && names_.size() > line_.files_max) {
    ::unlink(names_.front().c_str());
    names_.pop_front();
  }
  bytes_ = packets_ = 0;
  of_file_ = {};
  return {};
}

ctl::Outcome<> CaptureFiles::flush() {
  for (size_t written = 0; written < unwritten_.size();) {
    const ssize_t now = ::write(file_.get(), unwritten_.data() + written, unwritten_.size() - written);
    if (now >= 0) {
      written += static_cast<size_t>(now);
    } else if (errno != EINTR) {
      return cannot_write(written, errno);
    }
  }
  bytes_ += unwritten_.size();
  unwritten_.clear();
  flushed_ = counted_;
  return {};
}

// Of a block that did not fit, nothing stays, and it does not count. Stdout is not cut: what else is there, and where
// that ends, others know.
std::unexpected<std::string> CaptureFiles::cannot_write(size_t written, int error) {
  counted_ = flushed_;
  pcapng::BlockReader blocks;
  blocks.feed(unwritten_);
  size_t whole = 0;
  for (auto block = blocks.next(); block && *block; block = blocks.next()) {
    if (whole + (*block)->octets.size() > written) break;
    whole += (*block)->octets.size();
    count(**block);
  }
  unwritten_.clear();
  [[maybe_unused]] const bool cut =
      line_.path != "-" && is_regular(file_.get()) && ::ftruncate(file_.get(), static_cast<off_t>(bytes_ + whole)) == 0;
  reader_is_gone_ = error == EPIPE;
  return ctl::refuse(
      fmt::format("cannot write to {}: {}", line_.path == "-" ? "stdout" : names_.back(), std::strerror(error)));
}

ctl::Outcome<> CaptureFiles::add(const pcapng::Block& block) {
  using pcapng::BlockType;
  if (block.type == BlockType::kSection || block.type == BlockType::kInterface) {
    head_ += block.octets;
    unwritten_ += block.octets;
    return {};
  }
  const uint64_t with_it = bytes_ + unwritten_.size() + block.octets.size() + kStatisticsBytes;
  const bool full = line_.file_bytes != 0 && packets_ != 0 && with_it > line_.file_bytes;
  if (full && block.type == BlockType::kPacket) {
    if (const auto ended = end(); !ended) return ended;
    if (const auto opened = next_file(); !opened) return opened;
    unwritten_ += head_;
  }
  if (const auto statistics = block.statistics(); statistics && number_ > 1) {
    add_statistics_of_file(*statistics);
  } else {
    unwritten_ += block.octets;
  }
  count(block);
  return {};
}

// The stream's are of all files. What was lost after the last packet is this one's.
void CaptureFiles::add_statistics_of_file(const pcapng::Statistics& of_all) {
  pcapng::Statistics mine = of_file_;
  mine.lost += of_all.lost - std::min(counted_.lost, of_all.lost);
  mine.to_ns = of_all.to_ns;
  mine.comment = of_all.comment;
  pcapng::add_statistics(unwritten_, mine);
}

void CaptureFiles::count(const pcapng::Block& block) {
  has_statistics_ = block.type == pcapng::BlockType::kStatistics;
  if (const auto statistics = block.statistics()) counted_ = *statistics, counted_.comment = {};
  if (block.type != pcapng::BlockType::kPacket) return;
  ++packets_;
  for (pcapng::Statistics* const each : {&counted_, &of_file_}) {
    ++each->delivered;
    each->lost += block.lost_before();
    each->to_ns = block.time_ns();
    if (each->from_ns == 0) each->from_ns = each->to_ns;
  }
}

ctl::Outcome<> CaptureFiles::end() {
  if (!file_) return {};
  if (!has_statistics_ && !head_.empty()) pcapng::add_statistics(unwritten_, of_file_);
  if (const auto written = flush(); !written) return written;
  has_statistics_ = false;
  const int closed = ::close(file_.release());  // where a full disk is told late
  return closed == 0 ? ctl::Outcome<>()
                     : ctl::refuse(fmt::format("cannot write to {}: {}", names_.back(), std::strerror(errno)));
}

}  // namespace usernic::cli
