#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""The rules of the house, checked over the whole tree.

A rule is a function that takes a Tree and yields Faults; its first line of documentation is the rule. `tree_test.py`
checks them all, `tree_test.py RULE...` some, `--root DIR` another tree, `--list` names them. A fault says where it is,
what is wrong and what would be right; there is no way to switch a rule off for a line.
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

Fault = collections.namedtuple("Fault", "path line wrong right")

COLUMNS_MAX = 120
PUBLIC_HEADER_LINES_MAX = 200

PUBLIC = "include/usernic"
# Who may include whom: rooms, one driver, one folder, one file. Everyone may include the contract and what lives in their own room.
ARROWS = {
    PUBLIC: set(),
    "core": set(),
    "kernel": set(),
    "bus": set(),
    "drivers": {"bus"},
    "host": {"bus/netif"},
    "capture": set(),
    "ctl": set(),
    "daemon": {"ctl", "host", "capture", "drivers", "bus", "core"},
    "cli": {"ctl", "capture"},
    "sim": {"core", "testing", "kernel", "drivers/bond", "drivers/macvlan", "drivers/simnic", "drivers/vlan", "host/mirror.h"},
    "testing": {"core"},
    "tests": {"core", "testing", "drivers", "bus"},
    "bench": {"core", "testing", "capture/frame_ring.h", "host/device_wishes.h", "host/kick.h", "host/tap.h",
              "host/tap_reader.h", "host/tap_writer.h",
              "bus/netif/vnet_header.h"},
    "fuzz": {"bus", "capture", "core", "ctl", "daemon", "drivers", "host", "sim", "testing"},
    "examples": {"kernel"},  # written as by somebody outside
    "tools": set(),
    "usernic.cc": {"daemon", "cli"},  # the program: the only file that knows both
}
# The doors to the outside (design: time, threads, chance): the only files that may name a thread, a clock or an atomic.
DOORS = {f"{PUBLIC}/atomic.h", f"{PUBLIC}/env.h", "core/lock/env.cc", "core/lock/wall_clock.cc", "sim/door.cc",
         "core/lock/libc_watch.cc",  # watches who goes round them
         "tests/exhaust/refuse.cc"}  # stands before them

# The rooms of the core, the lowest first: each includes itself and those before it, without exception. Tests and
# fixtures, which stand beside their code, include what they need.
CORE_ROOMS = ("lock", "work", "contract", "frame", "list", "filter", "rx", "device", "stack")

# Units of core that include each other in a circle, 25 of them. A circle may only shrink, and then it shrinks here too.
CIRCLES = (
    {"bh_work", "device", "napi", "own_addresses", "poll_threads", "softirq"},  # a device and what polls it
    {"net", "net_impl", "notifier", "notifier_chain"},  # a net has notifiers, each of them is one of a net
    {"propagation", "put_off_syncs", "stack_graph", "wanted", "wanted_list"},  # lists that feed lists
    {"current_work", "work", "worker_pool"},
    {"context", "env", "held_locks", "lock", "lock_graph", "lock_report", "say"},  # checks of locks take locks
)

PASSED_OVER = {".git", "build", "__pycache__", ".cache", ".idea", ".vscode"}
FOLDERS_BANNED = {"utils", "util", "common", "misc", "manager", "managers", "helpers"}


class Tree:
    """The files of one checkout, read once."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.folders, self.files = [], {}
        for folder, folders, names in os.walk(self.root):
            folders[:] = sorted(name for name in folders if name not in PASSED_OVER)
            inside = pathlib.Path(folder).relative_to(self.root)
            self.folders += [(inside / name).as_posix() for name in folders]
            for name in sorted(set(names) - PASSED_OVER):  # .git is a file in a linked work tree
                try:
                    text = (self.root / inside / name).read_text(encoding="utf-8")
                except (UnicodeDecodeError, FileNotFoundError):
                    continue  # not text, or a dangling link
                self.files[(inside / name).as_posix()] = text

    def sources(self):
        return {path: text for path, text in self.files.items() if path.endswith((".h", ".cc"))}

    def public_headers(self):
        return [path for path in self.files if path.startswith(PUBLIC + "/") and path.endswith(".h")]

    def resolve(self, includer, name):
        """The path of the house's own file that `#include name` in `includer` means, or None."""
        for start in (os.path.dirname(includer), "", "include"):
            path = os.path.normpath(os.path.join(start, name)).replace(os.sep, "/")
            if path in self.files:
                return path
        return None


def room_of(path):
    """'drivers/simnic/simnic.cc' -> 'drivers'; the program and the contract are rooms of their own."""
    return PUBLIC if path.startswith(PUBLIC + "/") else path.split("/")[0]


def home_of(path):
    """The folder whose files may include each other: the room, but each driver and example is on its own."""
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] in ("drivers", "examples") and len(parts) > 2 else room_of(path)


def includes_of(text):
    """(line, name, quoted) of each include."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line):
            yield number, found[2], found[1] == '"'


NOISE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|(?<!\w)\'(?:\\.|[^\'\\\n])+\'',
    re.DOTALL,
)


def code_of(text):
    """The text without comments and literals, line for line."""
    return NOISE.sub(lambda noise: " " + "\n" * noise[0].count("\n"), text)


def line_at(text, offset):
    return text.count("\n", 0, offset) + 1


def is_test(path):
    """A test, or what several tests of a room begin with."""
    return re.search(r"_tests?\.(?:h|cc)$|_fixture\.(?:h|cc)$", path) is not None


def include_directions(tree):
    """An arrow down is the only include allowed."""
    for path, text in tree.sources().items():
        room, home = room_of(path), home_of(path)
        if room not in ARROWS:
            yield Fault(path, 1, f"'{room}' is no room of the house", f"a room of design: {', '.join(ARROWS)}")
            continue
        allowed = ARROWS[room] | {PUBLIC}
        if is_test(path):  # tests live beside the code
            allowed |= {"core", "testing", "tests"}
        for line, name, quoted in includes_of(text):
            target = tree.resolve(path, name)
            if target is None:
                if quoted:
                    yield Fault(path, line, f'"{name}" is not a file of this tree', "<...> for what is not ours")
            elif not target.startswith(home + "/") and allowed.isdisjoint(
                    {room_of(target), home_of(target), os.path.dirname(target), target}):
                where = ", ".join(sorted(allowed | {home}))
                yield Fault(path, line, f'{home} includes "{name}" of {home_of(target)}', f"{home} includes only {where}")


BANS = [
    (r"\bstd::atomic\w*", "Atomic<T> of usernic/env.h"),
    (r"\b(?:thread_local|__thread)\b", "Local<T, Tag> of usernic/env.h"),
    (r"\bstd::j?thread\b|\bstd::async\b|\bpthread_create\b", "Thread of usernic/thread.h"),
    (r"\bstd::this_thread\b", "wait_on or StopToken::wait_until of usernic/env.h"),
    (r"\bstd::(?:recursive_|timed_|recursive_timed_|shared_|shared_timed_)?mutex\b|\bpthread_(?:mutex|rwlock|spin)_\w+",
     "Mutex or SpinLock of usernic/lock.h"),
    (r"\bstd::condition_variable\w*|\bpthread_cond_\w+", "WaitQueue of usernic/lock.h"),
    (r"\bstd::(?:counting_semaphore|binary_semaphore|latch|barrier)\b", "WaitQueue of usernic/lock.h"),
    (r"\b(?:std::call_once|std::once_flag|pthread_once)\b", "an owner that constructs it"),
    (r"\bstd::stop_(?:token|source|callback)\b", "StopToken of usernic/env.h"),
    (r"\b(?:steady|system|high_resolution|utc|tai|gps|file)_clock\b", "Clock of usernic/env.h"),
    (r"\b(?:clock_gettime|gettimeofday|timespec_get|ftime)\s*\(", "Clock::now of usernic/env.h"),
    (r"(?<![\w.>:])(?:std::|::)?(?:time\s*\(\s*(?:nullptr|NULL|0|&)|clock\s*\(\s*\))", "Clock::now of usernic/env.h"),
    (r"(?<![\w.>:])(?:std::|::)?(?:sleep|usleep|nanosleep|clock_nanosleep)\s*\(",
     "wait_on or StopToken::wait_until of usernic/env.h"),
    (r"(?<![\w.>:])(?:std::|::)?(?:s?rand|rand_r|s?random|[dlm]rand48|arc4random\w*|getrandom|getentropy)\s*\(",
     "random_u64 of usernic/env.h, or a seed handed in"),
    (r"\brandom_device\b", "random_u64 of usernic/env.h, or a seed handed in"),
]


def outside_only_through_doors(tree):
    """No clock, thread, atomic or random number but through usernic/env.h and usernic/lock.h."""
    for path, text in tree.sources().items():
        if path in DOORS:
            continue
        code = code_of(text)
        for pattern, right in BANS:
            for found in re.finditer(pattern, code):
                yield Fault(path, line_at(code, found.start()), f"'{found[0].strip()}' behind the door's back", right)


def template_arguments(code, start):
    """The arguments of the template list whose '<' is at `start`."""
    arguments, depth, begin = [], 0, start + 1
    for at in range(start, len(code)):
        if code[at] in "<(":
            depth += 1
        elif code[at] in ">)" and code[at - 1] != "-":
            depth -= 1
            if depth == 0:
                return arguments + [code[begin:at].strip()]
        elif code[at] == "," and depth == 1:
            arguments.append(code[begin:at].strip())
            begin = at + 1
    return arguments


def no_pointer_order(tree):
    """No container is ordered or hashed by a pointer: its order would change from run to run."""
    container = re.compile(r"\b(unordered_|flat_)?(?:multi)?(map|set)\s*<")
    for path, text in tree.sources().items():
        code = code_of(text)
        for found in container.finditer(code):
            arguments = template_arguments(code, found.end() - 1)
            if not arguments or not re.search(r"\*(?:\s*const)?$|\b(?:shared|unique|weak|intrusive)_ptr\s*<", arguments[0]):
                continue
            order = arguments[2:] if found[2] == "map" else arguments[1:]
            if found[1] != "unordered_" and order and not re.match(r"std::(?:less|greater)\b", order[0]):
                continue  # a comparison of its own, by something that is the same in every run
            yield Fault(path, line_at(code, found.start()), f"a {found[2]} keyed by the pointer {arguments[0]}",
                        "a key that is the same in every run: a name, an index, an address on the wire")


def public_headers_stand_alone(tree, compiler=os.environ.get("CXX", "g++")):
    """Every public header compiles alone, twice in a row, without a warning."""
    command = [compiler, "-std=c++23", "-x", "c++", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-attributes",
               "-I", str(tree.root / "include"), "-"]

    def compiled(path):
        name = path.removeprefix("include/")
        return path, subprocess.run(command, input=f'#include "{name}"\n' * 2, capture_output=True, text=True)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, run in pool.map(compiled, tree.public_headers()):
            if run.returncode == 0:
                continue
            here = re.search(re.escape(path) + r":(\d+):[\d:]* (?:fatal )?error: (.*)", run.stderr)
            first = here or re.search(r":(\d+):[\d:]* (?:fatal )?(?:error|warning): (.*)", run.stderr)
            yield Fault(path, int(here[1]) if here else 1, first[2] if first else run.stderr.strip()[:300],
                        "a header that includes what it uses, guarded by #pragma once")


# Those that a driver's author meets: each begins with an example.
WITH_EXAMPLE = ("driver", "napi", "rx_mode", "skb", "tx_queue", "work")


def example_of(text):
    """The code in a header's first comment: the lines that are indented there from one that opens a brace on."""
    lines = [line[2:] for line in text[:text.find("#pragma once")].splitlines() if line.startswith("//")]
    begins = next((n for n, line in enumerate(lines) if re.match(r"   ?\w.*\{", line)), None)
    if begins is None:
        return ""
    ends = next((n for n in range(begins, len(lines)) if not lines[n].startswith("   ")), len(lines))
    return "\n".join(lines[begins:ends])


def examples_compile(tree, compiler=os.environ.get("CXX", "g++")):
    """The example at the head of a public header compiles, and the headers that a driver's author meets have one."""
    command = [compiler, "-std=c++23", "-x", "c++", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-attributes",
               "-Wno-missing-field-initializers", "-I", str(tree.root / "include"), "-"]

    def compiled(name):
        example = example_of(tree.files[f"{PUBLIC}/{name}.h"])
        code = f'#include "usernic/net.h"\n#include "usernic/{name}.h"\nnamespace usernic {{\n{example}\n}}\n'
        return name, example, subprocess.run(command, input=code, capture_output=True, text=True)

    names = [name for name in WITH_EXAMPLE if f"{PUBLIC}/{name}.h" in tree.files]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, example, run in pool.map(compiled, names):
            if not example:
                yield Fault(f"{PUBLIC}/{name}.h", 1, "no example at its head", "ten lines of code that show its use")
            elif run.returncode != 0:
                error = re.search(r"error: (.*)", run.stderr)
                yield Fault(f"{PUBLIC}/{name}.h", 1, f"its example does not compile: {error[1] if error else run.stderr}",
                            "an example that compiles")


def public_headers_are_short(tree):
    """A public header is read in one sitting."""
    for path in tree.public_headers():
        lines = len(tree.files[path].splitlines())
        if lines > PUBLIC_HEADER_LINES_MAX:
            yield Fault(path, lines, f"{lines} lines", f"at most {PUBLIC_HEADER_LINES_MAX}: one noun, one file")


def room_of_core(path):
    """'core/rx/rx_run.cc' -> 'rx'; None where there is no room."""
    parts = path.split("/")
    return parts[1] if parts[0] == "core" and len(parts) == 3 else None


def core_points_down(tree):
    """A room of the core includes itself and the rooms below it."""
    sources = tree.sources()
    rooms = {}  # of a unit, which its public header belongs to
    for path in sources:
        if path.startswith("core/"):
            if (room := room_of_core(path)) not in CORE_ROOMS:
                yield Fault(path, 1, "a file of the core in no room of it", f"core/ROOM/, one of {', '.join(CORE_ROOMS)}")
            elif not is_test(path):
                rooms[pathlib.Path(path).stem] = room

    def room_here(path):
        return rooms.get(pathlib.Path(path).stem) if path.startswith(("core/", PUBLIC + "/")) else None

    for path, text in sources.items():
        if is_test(path) or (room := room_here(path)) not in CORE_ROOMS:
            continue
        for line, name, quoted in includes_of(text):
            above = room_here(tree.resolve(path, name) or "") if quoted else None
            if above in CORE_ROOMS and CORE_ROOMS.index(above) > CORE_ROOMS.index(room):
                yield Fault(path, line, f"{room} includes \"{name}\" of {above}, which is above it",
                            "what both need in a unit below them")


def units_of_core(tree):
    """{unit: {unit that it includes: (path, line)}}; a .cc, its .h and its public header are one."""
    units = collections.defaultdict(dict)
    for path, text in tree.sources().items():
        if not path.startswith(("core/", PUBLIC + "/")) or is_test(path):
            continue
        name = pathlib.Path(path).stem
        for line, included, quoted in includes_of(text):
            found = re.fullmatch(r"(?:core/\w+|usernic)/(\w+)\.h", included)
            if quoted and found and found[1] != name:
                units[name].setdefault(found[1], (path, line))
    return units


def circles_are_known(tree):
    """Units of the core stand in no circle of includes but those that are known."""
    units = units_of_core(tree)

    def reached_from(start):
        seen, left = set(), [start]
        while left:
            for each in units.get(left.pop(), ()):
                if each not in seen:
                    seen.add(each)
                    left.append(each)
        return seen

    reached = {unit: reached_from(unit) for unit in list(units)}
    for unit, included in list(units.items()):
        for other, (path, line) in included.items():
            closes = unit in reached.get(other, ())
            if closes and not any(unit in known and other in known for known in CIRCLES):
                yield Fault(path, line, f"{unit} and {other} of the core include each other, by whatever way",
                            "one direction: what both need in a unit below them")


def docs_point_at_what_exists(tree):
    """Files and members that a page names, in a "where" column of docs/ above all, exist."""
    sources = tree.sources()
    code = "\n".join(sources.values())

    def is_file(name):
        return any(path == name or path.endswith("/" + name) for path in sources)

    def is_member(name, of):
        if re.search(rf"\b{of}::{name}\b", code):
            return True
        declares = re.compile(rf"\b(?:class|struct)\b[^;{{(]*\b{of}\b[^;{{(]*\{{")
        return any(declares.search(text) and re.search(rf"\b{name}\(", text) for text in sources.values())

    for path, text in tree.files.items():
        if not path.endswith(".md"):
            continue
        column = None
        for number, line in enumerate(text.splitlines(), 1):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
            if "where" in cells:
                column = cells.index("where")
            elif not cells:
                column = None
            if column is None or not path.startswith("docs/"):
                for name in re.findall(r"`([a-z_]+(?:/[a-z0-9_.]+)*/[a-z0-9_]+\.(?:h|cc|py))`", line):
                    if name not in tree.files and not is_file(name):
                        yield Fault(path, number, f"there is no '{name}'", "the file that does it now")
                for of, name in re.findall(r"`([A-Z]\w+)::([a-z]\w*)`", line):
                    if not is_member(name, of):
                        yield Fault(path, number, f"there is no '{of}::{name}'", "the member that does it now")
            elif "where" not in cells and column < len(cells):
                for name, file in re.findall(r"`(\w+)` of `([\w./]+\.(?:h|cc))`", cells[column]):
                    if not any(re.search(rf"\b{name}\b", sources[path]) for path in sources if path.endswith(file)):
                        yield Fault(path, number, f"there is no '{name}' in {file}", "what does it now")
                of = ""  # a name alone is a member of the class before it
                for name in re.findall(r"`([\w:./]+)`", cells[column]):
                    of, _, name = name.rpartition("::") if "::" in name else (of, "", name)
                    file = name.endswith((".h", ".cc"))
                    if (file and not is_file(name)) or (not file and of and not is_member(name, of)):
                        yield Fault(path, number, f"there is no '{name if file else f'{of}::{name}'}'",
                                    "the file or the member that does it now")


HEAVY = {"spdlog": r"spdlog/", "CLI11": r"CLI/", "toml++": r"toml\+\+/|toml\.hpp", "nlohmann json": r"nlohmann/"}


def heavy_headers_once(tree):
    """A heavy library header is compiled once: one .cc includes it, no .h does."""
    for library, pattern in HEAVY.items():
        users = {}
        for path, text in tree.sources().items():
            for line, name, _ in includes_of(text):
                if re.match(pattern, name):
                    users.setdefault(path, line)
        for path, line in users.items():
            if path.endswith(".h"):
                yield Fault(path, line, f"a header includes {library}", "a narrow header of our own, its .cc includes it")
        files = [path for path in users if path.endswith(".cc")]
        for path in files[1:]:
            yield Fault(path, users[path], f"{library} is included by {files[0]} already", f"call what {files[0]} offers")


def rooms_have_names(tree):
    """A folder is named after what lives in it."""
    for folder in tree.folders:
        name = folder.split("/")[-1]
        if name.lower() in FOLDERS_BANNED:
            yield Fault(folder, 0, f"a folder called '{name}'", "the noun of what lives there")


def lines_fit(tree):
    """No line of code is wider than two windows side by side."""
    for path, text in tree.sources().items():
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > COLUMNS_MAX:
                yield Fault(path, number, f"{len(line)} columns", f"at most {COLUMNS_MAX}")


SPDX = "SPDX-License-Identifier: Apache-2.0 OR MIT"


def licence_first(tree):
    """Every source, script and CMake file starts with its licence."""
    for path, text in tree.files.items():
        lines = text.splitlines() or [""]
        script = lines[0].startswith("#!")
        if script or path.endswith((".h", ".cc", ".cmake", ".py", ".sh", "CMakeLists.txt")):
            number = 2 if script else 1
            if SPDX not in "".join(lines[number - 1:number]):
                right = f"line {number}: {'//' if path.endswith(('.h', '.cc')) else '#'} {SPDX}"
                yield Fault(path, number, "no licence tag", right)


MACHINES = [
    (r"(?<![\w.])/(?:home|Users)/\w+|(?<![\w./])/(?:root|work|workspace|builds)/\w+", "a path inside the tree, or $HOME"),
    (r"\b[\w-]+(?:\.[\w-]+)*\.(?:pkg\.dev|gcr\.io|ghcr\.io|quay\.io|azurecr\.io|jfrog\.io|internal)\b",
     "Debian's packages, from wherever the machine gets them"),
    (r"\b(?:(?:ghcr|gcr|quay|docker)\.io|(?:deb|security|snapshot)\.debian\.org|(?:files\.)?pypi(?:\.python)?\.org|"
     r"registry\.npmjs\.org|(?:static\.)?crates\.io)\b", "Debian's packages, from wherever the machine gets them"),
]


def no_machine_named(tree):
    """No file knows the machine it was written on, nor where packages come from."""
    for path, text in tree.files.items():
        for pattern, right in MACHINES:
            for found in re.finditer(pattern, text):
                yield Fault(path, line_at(text, found.start()), f"'{found[0]}' names a machine", right)


def nothing_left_to_do(tree):
    """Unfinished work is an issue, not a comment."""
    for path, text in tree.files.items():
        for found in re.finditer(r"\b(?:TO[D]O|FIX[M]E)\b", text):
            yield Fault(path, line_at(text, found.start()), f"'{found[0]}'", "do it, or write down an issue")


RULES = {
    rule.__name__: rule
    for rule in (
        include_directions,
        outside_only_through_doors,
        no_pointer_order,
        public_headers_stand_alone,
        examples_compile,
        public_headers_are_short,
        core_points_down,
        circles_are_known,
        docs_point_at_what_exists,
        heavy_headers_once,
        rooms_have_names,
        lines_fit,
        licence_first,
        no_machine_named,
        nothing_left_to_do,
    )
}


def faults_of(tree, rule):
    """The faults as a person reads them."""
    law = RULES[rule].__doc__.splitlines()[0]
    return [
        f"{fault.path}:{fault.line}: {fault.wrong}. Right: {fault.right}. [{rule}: {law}]" for fault in RULES[rule](tree)
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rules", nargs="*", metavar="RULE", help="the rules to check (default: all)")
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parents[2], help="the tree to check")
    parser.add_argument("--list", action="store_true", help="name the rules and stop")
    arguments = parser.parse_args()
    if unknown := [rule for rule in arguments.rules if rule not in RULES]:
        parser.error(f"no rule is called {unknown[0]}; there are: {', '.join(RULES)}")
    if arguments.list:
        for name, rule in RULES.items():
            print(f"{name:28} {rule.__doc__.splitlines()[0]}")
        return 0
    tree = Tree(arguments.root)
    faults = [fault for rule in arguments.rules or RULES for fault in faults_of(tree, rule)]
    print("\n".join(faults) if faults else "The tree is as it should be.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
