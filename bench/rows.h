// SPDX-License-Identifier: Apache-2.0 OR MIT
// bench: runs a program's rows and reports them by the names that they were registered under. Google Benchmark adds
// how a row was measured ("/manual_time", "/iterations:3"), and whoever looks a row up would have to know that. Only
// --benchmark_filter still sees those.
#pragma once

#include <benchmark/benchmark.h>

#include <string_view>

namespace usernic {

template <class Reporter>
class ByName final : public Reporter {
 public:
  using Reporter::Reporter;
  void ReportRuns(const std::vector<benchmark::BenchmarkReporter::Run>& runs) override {
    auto named = runs;
    for (auto& run : named) {
      run.run_name.time_type.clear();
      run.run_name.iterations.clear();
    }
    Reporter::ReportRuns(named);
  }
};

// What `main` returns: 2 when an option is not known, or no row has a name that was asked for.
inline int run_rows(int argc, char** argv) {
  bool to_file = false;
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    to_file |= option.starts_with("--benchmark_out=");
    json |= option == "--benchmark_format=json";
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  using benchmark::ConsoleReporter;
  ByName<ConsoleReporter> table(ConsoleReporter::OO_Tabular);
  ByName<benchmark::JSONReporter> object, file;
  benchmark::BenchmarkReporter& display = json ? static_cast<benchmark::BenchmarkReporter&>(object) : table;
  return benchmark::RunSpecifiedBenchmarks(&display, to_file ? &file : nullptr) != 0 ? 0 : 2;
}

}  // namespace usernic
