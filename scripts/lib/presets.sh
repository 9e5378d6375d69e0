# SPDX-License-Identifier: Apache-2.0 OR MIT
# shellcheck shell=bash disable=SC2034
# Building and testing one preset of CMakePresets.json, and counting what was tested. Sourced, after stages.sh, by the
# scripts above.

JOBS=$(nproc)
TEST_JOBS=$((2 * JOBS))  # most tests wait: for events, for the kernel, for what runs out of something
PRESETS=(release debug checked coverage asan tsan rtsan clang fuzz)
AHEAD=()
AHEAD_PID=
PASSED=0
FAILED=0
SKIPPED=0

# A build or a check that is not CTest's counts as one test.
count_one() {
  if "$@"; then PASSED=$((PASSED + 1)); else FAILED=$((FAILED + 1)); return 1; fi
}

# The clang of this machine, the best first; empty when there is none.
clang_of_this_machine() {
  local name
  for name in clang++-22 clang++-19; do
    command -v "$name" && return
  done
}

# What has passed in debug by Clang has also been analysed; g++ compiles release.
preset_of_debug_tests() {
  if [[ -n $(clang_of_this_machine) ]]; then echo clang; else echo debug; fi
}

clang_is_missing() {
  say "clang skipped, and so its analysis of locks and contexts: neither clang++-22 nor clang++-19 is here"
  SKIPPED=$((SKIPPED + 1))
}

# RealtimeSanitizer came with clang 20. The runtimes of sanitizers and libFuzzer are in a package of their own.
clang_runtimes_are_here() {
  echo 'int main() {}' | clang++-22 -fsanitize=realtime -x c++ - -o /dev/null 2>/dev/null
}

# asan and tsan can be g++'s, too, which takes twice as long to compile them.
compiler_of_sanitizers() {
  if clang_runtimes_are_here; then echo clang++-22; else echo g++; fi
}

# ThreadSanitizer of GCC 12 cannot start where the kernel randomises more than 28 bits of an address.
with_plain_addresses() {
  local bits
  bits=$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)
  if ((bits > 28)) && setarch -R true 2>/dev/null; then setarch -R "$@"; else "$@"; fi
}

preset_compile() {
  local preset=$1 compiler='' options=()
  # Precompiled headers are found again by what is in them.
  command -v ccache >/dev/null &&
    options+=("-DCMAKE_CXX_COMPILER_LAUNCHER=env;CCACHE_SLOPPINESS=pch_defines,time_macros;ccache")
  [[ $preset == clang ]] && compiler=$(clang_of_this_machine)
  [[ $preset == asan || $preset == tsan ]] && compiler=$(compiler_of_sanitizers)
  if [[ -n $compiler ]]; then
    options+=(-DCMAKE_CXX_COMPILER="$compiler")
    # Where the compiler has changed, CMake forgets all else that the preset says.
    grep -qs "^CMAKE_CXX_COMPILER:.*=.*${compiler##*/}\$" "build/$preset/CMakeCache.txt" || options+=(--fresh)
  fi
  # With its memory in large pages, many of them at a time, Clang takes a quarter less time; g++ takes as long as without.
  cmake --preset "$preset" "${options[@]}" &&
    GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.top_pad=67108864 cmake --build --preset "$preset" --parallel "$JOBS"
}

# preset_build PRESET: leaves it in build/PRESET.
preset_build() {
  if [[ " ${AHEAD[*]} " == *" $1 "* ]]; then
    stage "building $1" preset_await "$1"
  else
    stage "building $1" preset_compile "$1"
  fi
}

# presets_build_ahead PRESET...: built one after the other behind whatever the script does, which preset_build waits for.
# Tests wait more than they work: the compiler, being nicer, has what they leave of the machine.
presets_build_ahead() {
  local preset
  AHEAD=("$@")
  mkdir -p "$LOGS"
  for preset; do
    : >"$LOGS/ahead-$preset.log"
    rm -f "$LOGS/ahead-$preset.status"
  done
  set -m  # a process group of its own, so that the whole of it can be ended
  (
    renice -n 10 "$BASHPID"
    for preset; do
      preset_compile "$preset" >"$LOGS/ahead-$preset.log" 2>&1
      echo $? >"$LOGS/ahead-$preset.status"
    done
  ) >/dev/null 2>&1 </dev/null &
  AHEAD_PID=$!
  set +m
}

# What a build ahead has said so far, and says until it is over. bash loses an interrupt that comes while it starts a
# command in the foreground; it loses none in `wait`.
preset_await() {
  local status=$LOGS/ahead-$1.status
  while [[ ! -s $status ]] && kill -0 "$AHEAD_PID" 2>/dev/null; do sleep 0.2; done &
  tail -n +1 -f -s 0.2 --pid=$! "$LOGS/ahead-$1.log" &
  wait $!
  [[ -s $status && $(<"$status") == 0 ]] && STAGE_NOTE="built ahead"
}

presets_ahead_end() {
  if [[ -n $AHEAD_PID && ! -s $LOGS/ahead-${AHEAD[-1]}.status ]]; then kill -- "-$AHEAD_PID" 2>/dev/null; fi
}
trap 'stage_tick_end; presets_ahead_end' EXIT

# Of CTest's tests of many cases ("core_test.1of4"): how many of them passed, how many of all their cases passed, and how
# many were skipped, as gtest has said.
preset_cases() {
  awk '/^[0-9]+\/[0-9]+ Test: / { name = $3; many = name ~ /[0-9]of[0-9]+$/ }
    many && /^Test Passed\./ { tests[name] }
    many && /^Test Fail/ { delete tests[name] }
    many && /^\[       OK \]/ && !seen[name $4]++ { passed++ }
    many && /^\[  SKIPPED \].* ms\)$/ && !seen[name $4]++ { skipped++ }
    END { print length(tests), passed + 0, skipped + 0 }' "build/$1/Testing/Temporary/LastTest.log"
}

# Adds what CTest has reported to the sums. CTest counts a skipped test among the passed, a disabled one nowhere.
preset_count() {
  local total failed skipped disabled tests cases skipped_cases
  read -r failed total < <(sed -nE 's/.* ([0-9]+) tests? failed out of ([0-9]+)$/\1 \2/p' "$STAGE_LOG" | tail -n 1)
  total=${total:-0} failed=${failed:-0}
  skipped=$(grep -cE '^\s+[0-9]+ - .* \(Skipped\)$' "$STAGE_LOG")
  disabled=$(grep -cE '^\s+[0-9]+ - .* \(Disabled\)$' "$STAGE_LOG")
  ((total)) && read -r tests cases skipped_cases < <(preset_cases "$1")
  total=$((total - tests + cases + skipped_cases)) skipped=$((skipped + skipped_cases))
  STAGE_FAILED=$failed
  STAGE_NOTE="$((total - failed - skipped)) passed, $failed failed"
  ((skipped + disabled)) && STAGE_NOTE+=", $((skipped + disabled)) skipped"
  PASSED=$((PASSED + total - failed - skipped))
  FAILED=$((FAILED + failed))
  SKIPPED=$((SKIPPED + skipped + disabled))
}

preset_ctest() {
  local preset=$1 status addr2line run=()
  shift
  [[ $preset == tsan ]] && run=(with_plain_addresses)
  addr2line=$(command -v addr2line)
  ASAN_OPTIONS=external_symbolizer_path=$addr2line \
    UBSAN_OPTIONS=print_stacktrace=1:external_symbolizer_path=$addr2line TSAN_OPTIONS=second_deadlock_stack=1 \
    "${run[@]}" ctest --test-dir "build/$preset" --parallel "$TEST_JOBS" --timeout 900 --output-on-failure "$@"
  status=$?
  preset_count "$preset"
  if ((status != 0 && STAGE_FAILED == 0)); then FAILED=$((FAILED + 1)); fi
  return "$status"
}

# preset_test PRESET WHAT [CTEST OPTION...]: WHAT is for the reader of the stage's line.
preset_test() {
  local preset=$1 what=$2
  shift 2
  stage "testing $preset${what:+, $what}" preset_ctest "$preset" "$@"
}

# preset_check PRESET WHAT [CTEST OPTION...]: built, then tested; a build that fails is one failure.
preset_check() {
  if preset_build "$1"; then
    preset_test "$@"
  else
    FAILED=$((FAILED + 1))
    return 1
  fi
}

# Each rule is broken once more in a release build, where its checks are switched on when it runs.
preset_check_rules() {
  preset_check checked "the rules, in release" -R '^rules[.]'
}

# Clang checks locks and contexts when it compiles; what it makes is debug once more, by another compiler.
preset_check_clang() {
  if [[ -n $(clang_of_this_machine) ]]; then
    preset_check clang "" -LE 'long|tree'
  else
    clang_is_missing
  fi
}

# All presets but fuzz are unity builds, in which a source may live on what another one includes, or on what is
# precompiled: here each is read alone.
sources_alone() {
  cmake --preset debug -B build/alone -DCMAKE_UNITY_BUILD=OFF -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON &&
    python3 - build/alone/compile_commands.json "$JOBS" <<'PYTHON'
import concurrent.futures, json, re, shlex, subprocess, sys

def reads(each):
    command = shlex.split(re.sub(r" -o \S+", " -fsyntax-only", each["command"]))
    return subprocess.run(command, cwd=each["directory"], check=False).returncode == 0

with concurrent.futures.ThreadPoolExecutor(int(sys.argv[2])) as pool:
    commands = {each["file"]: each for each in json.load(open(sys.argv[1]))}  # sources of two targets are read once
    results = dict(zip(commands, pool.map(reads, commands.values())))
sys.exit("\n".join(name for name, good in results.items() if not good) or None)
PYTHON
}

# A driver that blocks is stopped; the core and the drivers, which do not, are not.
preset_check_rtsan() {
  if clang_runtimes_are_here; then
    preset_check rtsan "what must not block" -L 'core|stress' -LE long
  else
    say "rtsan skipped: it needs clang++-22 and libclang-rt-22-dev"
    SKIPPED=$((SKIPPED + 1))
  fi
}

# A benchmark's report is one JSON object with at least one row and no row in error.
bench_smoke_one() {
  local report=$LOGS/${1##*/}.json
  USERNIC_BENCH_SMOKE=1 timeout 600 "$1" --benchmark_min_time=0.01 \
    --benchmark_out="$report" --benchmark_out_format=json &&
    python3 - "$report" <<'PYTHON'
import json, sys
rows = json.load(open(sys.argv[1]))["benchmarks"]
errors = [f'{row["name"]}: {row["error_message"]}' for row in rows if row.get("error_occurred")]
sys.exit("\n".join(errors) if errors else None if rows else "no rows")
PYTHON
}

# Every benchmark of build/release, as short as it goes, several at a time: nobody looks at what they measure.
bench_smokes() {
  local benches passed
  mapfile -t benches < <(find build/release/bench -maxdepth 1 -type f -executable -name 'bench_*')
  export LOGS
  export -f bench_smoke_one
  printf '%s\n' "${benches[@]}" |
    xargs -P "$TEST_JOBS" -I{} bash -c '{ bench_smoke_one {} && echo "{} is fine"; } || echo "{} has failed"'
  passed=$(grep -c ' is fine$' "$STAGE_LOG")
  STAGE_NOTE="$passed of ${#benches[@]}"
  PASSED=$((PASSED + passed))
  FAILED=$((FAILED + ${#benches[@]} - passed))
  ((passed > 0 && passed == ${#benches[@]}))
}
bench_smoke() {
  stage "bench smokes" bench_smokes
}

# The program that people run is built hardened.
release_hardened() {
  count_one stage "release is hardened" python3 tests/hardening/hardening_test.py build/release/usernic --release
}

# g++ compiles the program that people run, and Clang the one that is tested elsewhere: some tests of frames are run on
# the former.
release_end_to_end() {
  stage "testing release, end to end" env USERNIC_PROGRAM="$PWD/build/release/usernic" PYTHONDONTWRITEBYTECODE=1 \
    python3 tests/e2e/program_test.py AccountingTest OffloadTest StacksTest TrafficTest
  case $? in
    0) PASSED=$((PASSED + 1)) ;;
    77) SKIPPED=$((SKIPPED + 1)) ;;
    *) FAILED=$((FAILED + 1)) && return 1 ;;
  esac
}

release_check() {
  count_one preset_build release && release_hardened && release_end_to_end && bench_smoke
}

# The last line of a script that tests. Returns 0 when nothing failed and something passed.
print_sums() {
  printf '%d passed, %d failed' "$PASSED" "$FAILED"
  if ((SKIPPED)); then printf ', %d skipped' "$SKIPPED"; fi
  printf '\n'
  ((FAILED == 0 && PASSED > 0))
}
