# SPDX-License-Identifier: Apache-2.0 OR MIT
"""The counterpart of rows.h for benchmarks in Python: the options of Google Benchmark's, and its report."""

import argparse
import datetime
import json
import os
import pathlib

SMOKE = "USERNIC_BENCH_SMOKE" in os.environ


def parse(description, argv=None):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark_filter", default="", metavar="REGEX")
    parser.add_argument("--benchmark_format", choices=["console", "json"], default="console")
    parser.add_argument("--benchmark_out", type=pathlib.Path)
    parser.add_argument("--benchmark_out_format", choices=["json"], default="json")
    parser.add_argument("--benchmark_min_time", help="as Google Benchmark's; a row is one run here")
    return parser.parse_args(argv)


def row(name, real_time, time_unit, counters):
    return {"name": name, "run_name": name, "run_type": "iteration", "iterations": 1, "real_time": real_time,
            "time_unit": time_unit} | counters


def skipped(name, reason):
    return {"name": name, "label": f"skipped: {reason}"}


def report(options, program, rows):
    """Writes them where the options say. For the console the caller has shown them."""
    text = json.dumps({"context": {"date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
                                   "executable": program, "num_cpus": os.cpu_count(), "load_avg": os.getloadavg()},
                       "benchmarks": rows}, indent=2)
    if options.benchmark_format == "json":
        print(text)
    if options.benchmark_out:
        options.benchmark_out.write_text(text + "\n")
