// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: the files that a capture is written to: one, stdout, or one after the other.
//
// Each is a whole pcapng: section and interface at its beginning, statistics at its end.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "capture/pcapng.h"
#include "ctl/outcome.h"
#include "usernic/unique_fd.h"

namespace usernic::cli {

struct CaptureFilesLine {
  std::string path;         // "-": stdout
  uint64_t file_bytes = 0;  // then comes the next; 0: there is one
  uint64_t files_max = 0;   // then the oldest goes; 0: all stay
};

class CaptureFiles {
 public:
  explicit CaptureFiles(CaptureFilesLine line) : line_(std::move(line)) {}
  // "FILE_00001.pcapng" for FILE.pcapng.
  static std::string numbered(const std::string& path, uint64_t number);

  ctl::Outcome<> open();
  ctl::Outcome<> add(const pcapng::Block& block);
  // Writes what was added. Error: a sentence; a file, but not stdout, ends with the last block that found room.
  ctl::Outcome<> flush();
  // Where the stream had none, ends with statistics of our own.
  ctl::Outcome<> end();

  const pcapng::Statistics& counted() const noexcept { return counted_; }
  const std::deque<std::string>& names() const noexcept { return names_; }  // of those that are there
  // Whoever read stdout, or the pipe, does not any more.
  bool reader_is_gone() const noexcept { return reader_is_gone_; }

 private:
  ctl::Outcome<> next_file();
  std::unexpected<std::string> cannot_write(size_t written, int error);
  void count(const pcapng::Block& block);
  void add_statistics_of_file(const pcapng::Statistics& of_all);

  const CaptureFilesLine line_;
  UniqueFd file_;
  std::string head_;  // section and interface
  uint64_t number_ = 0;
  std::string unwritten_;             // whole blocks
  uint64_t bytes_ = 0, packets_ = 0;  // of the file, written / with those that are not
  bool has_statistics_ = false;
  bool reader_is_gone_ = false;
  pcapng::Statistics counted_, flushed_, of_file_;  // of what was added, of what is written; of the file
  std::deque<std::string> names_;
};

}  // namespace usernic::cli
// Explained best by: cli/capture_files_test.cc
