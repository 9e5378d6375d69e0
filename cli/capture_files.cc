// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/capture_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace usernic::cli {

namespace {
constexpr uint64_t kStatisticsBytes = 200;  // and a little more
}

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
  names_.push_back(name);
  if (line_.files_max != 0 && names_.size() > line_.files_max) {
    ::unlink(names_.front().c_str());
    names_.pop_front();
  }
  bytes_ = packets_ = 0;
  return {};
}

// Of a block that does not fit, nothing stays.
ctl::Outcome<> CaptureFiles::write(std::string_view octets) {
  for (size_t written = 0; written < octets.size();) {
    const ssize_t now = ::write(file_.get(), octets.data() + written, octets.size() - written);
    if (now >= 0) {
      written += static_cast<size_t>(now);
    } else if (errno != EINTR) {
      const int error = errno;
      struct stat what {};
      const bool regular = ::fstat(file_.get(), &what) == 0 && S_ISREG(what.st_mode);
      if (regular && ::ftruncate(file_.get(), static_cast<off_t>(bytes_)) != 0) bytes_ += written;
      reader_is_gone_ = error == EPIPE;
      return ctl::refuse(
          fmt::format("cannot write to {}: {}", line_.path == "-" ? "stdout" : names_.back(), std::strerror(error)));
    }
  }
  bytes_ += octets.size();
  return {};
}

ctl::Outcome<> CaptureFiles::add(const pcapng::Block& block) {
  using pcapng::BlockType;
  if (block.type == BlockType::kSection || block.type == BlockType::kInterface) {
    head_ += block.octets;
    return write(block.octets);
  }
  const bool full =
      line_.file_bytes != 0 && packets_ != 0 && bytes_ + block.octets.size() + kStatisticsBytes > line_.file_bytes;
  if (full && block.type == BlockType::kPacket) {
    if (const auto ended = end(); !ended) return ended;
    if (const auto opened = next_file(); !opened) return opened;
    if (const auto begun = write(head_); !begun) return begun;
  }
  if (const auto written = write(block.octets); !written) return written;
  count(block);
  return {};
}

void CaptureFiles::count(const pcapng::Block& block) {
  has_statistics_ = block.type == pcapng::BlockType::kStatistics;
  if (const auto statistics = block.statistics()) counted_ = *statistics, counted_.comment = {};
  if (block.type != pcapng::BlockType::kPacket) return;
  ++packets_;
  ++counted_.delivered;
  counted_.lost += block.lost_before();
  counted_.to_ns = block.time_ns();
  if (counted_.from_ns == 0) counted_.from_ns = counted_.to_ns;
}

ctl::Outcome<> CaptureFiles::end() {
  if (!file_) return {};
  if (!has_statistics_ && !head_.empty()) {
    std::string block;
    pcapng::add_statistics(block, counted_);
    if (const auto written = write(block); !written) return written;
  }
  has_statistics_ = false;
  const int closed = ::close(file_.release());  // where a full disk is told late
  return closed == 0 ? ctl::Outcome<>()
                     : ctl::refuse(fmt::format("cannot write to {}: {}", names_.back(), std::strerror(errno)));
}

}  // namespace usernic::cli
