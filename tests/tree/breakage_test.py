#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""Every rule of tree_test.py is broken here once, in a tree of its own, and must say where; a good tree must pass."""

import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import tree_test  # noqa: E402

CC = f"// {tree_test.SPDX}\n"
HEADER = CC + "#pragma once\n"

GOOD = {
    "usernic.cc": CC + '#include "cli/verbs.h"\n#include "daemon/run.h"\nint main() {}\n',
    "include/usernic/env.h": HEADER + "#include <atomic>\ntemplate <class T> using Atomic = std::atomic<T>;\n",
    "include/usernic/port.h": HEADER + '#include "usernic/env.h"\nstruct Port { Atomic<int> up; };\n',
    "core/lock/env.cc": CC + '#include "usernic/env.h"\n#include <thread>\nstd::jthread executor;\n',
    "core/list/list.h": HEADER + '#include "usernic/port.h"\n',
    "core/list/list_test.cc": CC + '#include "core/list/list.h"\n#include "tests/naive.h"\n',
    "bus/pci/config.h": HEADER,
    "drivers/nic/regs.h": HEADER,
    "drivers/nic/nic.cc": CC + '#include "bus/pci/config.h"\n#include "regs.h"\n#include "usernic/port.h"\n',
    "host/mirror.h": HEADER + '#include "usernic/port.h"\n',
    "host/tap.h": HEADER,
    "fuzz/fuzz_nic.cc": CC + '#include "ctl/messages.h"\n#include "daemon/run.h"\n#include "drivers/nic/regs.h"\n',
    "sim/checkers.cc": CC + '#include "core/list/list.h"\n#include "host/mirror.h"\n',
    "ctl/messages.h": HEADER,
    "ctl/messages.cc": CC + '#include "ctl/messages.h"\n#include <nlohmann/json.hpp>\n',
    "cli/verbs.h": HEADER + '#include "ctl/messages.h"\n',
    "daemon/run.h": HEADER + '#include "core/list/list.h"\n#include "ctl/messages.h"\n#include "host/mirror.h"\n',
    "testing/card.h": HEADER + '#include "core/list/list.h"\n',
    "examples/other/card.h": HEADER + '#include "usernic/port.h"\n',
    "tests/naive.h": HEADER + '#include "core/list/list.h"\n#include "usernic/port.h"\n',
    # What looks forbidden and is not.
    "core/list/words.cc": CC
    + "// std::thread in a comment; time(nullptr) too\n"
    + 'const char* kWords = "std::mutex";  /* thread_local\n over lines */\n'
    + "int million = 1'000'000;\nlong late = door.time(0) + door->clock() + my::rand();\n"
    + "std::map<int, Port*> by_index;\nstd::set<Port*, ByName> by_name;\nstd::map<std::pair<int, Port*>, int> x;\n",
    "scripts/run": f"#!/usr/bin/env bash\n# {tree_test.SPDX}\n",
    "README.md": "[home](/docs) of TAP devices, local.type=fd, /dev/net/tun, usr/home/x\n",
}


class Breakage(unittest.TestCase):
    def faults(self, rule, files):
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                file = pathlib.Path(root, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            return tree_test.faults_of(tree_test.Tree(root), rule)

    def breaks(self, rule, path, text, line=2, says=""):
        """GOOD with `path` changed to `text` has exactly one fault: this rule's, at this line."""
        with self.subTest(rule=rule, path=path, text=text[-60:]):
            faults = self.faults(rule, GOOD | {path: text})
            self.assertEqual(len(faults), 1, faults)
            self.assertTrue(faults[0].startswith(f"{path}:{line}: "), faults[0])
            self.assertIn(f"[{rule}: ", faults[0])
            self.assertIn("Right: ", faults[0])
            self.assertIn(says, faults[0])

    def test_a_good_tree_has_no_faults(self):
        for rule in tree_test.RULES:
            with self.subTest(rule=rule):
                self.assertEqual(self.faults(rule, GOOD), [])

    def test_every_rule_is_broken_here_and_run_by_ctest(self):
        here = pathlib.Path(__file__)
        text, cmake = here.read_text(), here.with_name("CMakeLists.txt").read_text()
        for rule in tree_test.RULES:
            self.assertIn(f"def test_{rule}(self)", text)
            self.assertIn(f" {rule}\n", cmake)

    def test_include_directions(self):
        forbidden = {
            "include/usernic/port.h": ["core/list/list.h"],
            "core/list/list.cc": ["host/mirror.h", "ctl/messages.h", "bus/pci/config.h", "drivers/nic/regs.h",
                                  "cli/verbs.h", "testing/card.h"],
            "bus/pci/config.cc": ["core/list/list.h", "drivers/nic/regs.h"],
            "drivers/nic/nic.cc": ["core/list/list.h", "host/mirror.h", "../../core/list/list.h"],
            "drivers/other/other.cc": ["drivers/nic/regs.h", "../nic/regs.h"],
            "host/mirror.cc": ["core/list/list.h", "ctl/messages.h", "drivers/nic/regs.h", "daemon/run.h"],
            "ctl/messages.cc": ["core/list/list.h", "host/mirror.h", "cli/verbs.h"],
            "cli/verbs.cc": ["core/list/list.h", "host/mirror.h", "daemon/run.h"],
            "daemon/run.cc": ["cli/verbs.h"],
            "sim/world.cc": ["host/tap.h", "drivers/nic/regs.h", "daemon/run.h"],
            "tests/naive.cc": ["daemon/run.h", "cli/verbs.h"],
            "bench/lists.cc": ["daemon/run.h", "host/mirror.h"],
            "fuzz/fuzz_verbs.cc": ["cli/verbs.h"],
            "examples/hello/hello.cc": ["core/list/list.h", "daemon/run.h", "drivers/nic/regs.h", "examples/other/card.h"],
            "usernic.cc": ["core/list/list.h", "host/mirror.h"],
        }
        for path, names in forbidden.items():
            for name in names:
                self.breaks("include_directions", path, f'{CC}#include "{name}"\n', says=" includes only ")
        self.breaks("include_directions", "core/list/list.cc", CC + "#include <host/mirror.h>\n", says=" includes only ")
        self.breaks("include_directions", "core/list/list.cc", CC + '#include "core/list/gone.h"\n', says="not a file")
        self.breaks("include_directions", "attic/old.cc", CC, line=1, says="no room")

    def test_outside_only_through_doors(self):
        for banned in (
            "std::atomic<int> x;", "std::atomic_flag x;", "std::atomic_thread_fence(order);", "thread_local int x;",
            "static __thread int x;", "std::thread t(f);", "std::jthread t(f);", "std::async(f);",
            "pthread_create(&t, 0, f, 0);", "std::this_thread::yield();", "std::mutex m;", "std::shared_mutex m;",
            "std::recursive_mutex m;", "pthread_mutex_lock(&m);", "std::condition_variable c;",
            "std::condition_variable_any c;", "pthread_cond_wait(&c, &m);", "std::binary_semaphore s(0);",
            "std::latch l(1);", "std::barrier b(1);", "std::call_once(flag, f);", "std::stop_token s;",
            "auto t = std::chrono::steady_clock::now();", "auto t = system_clock::now();",
            "using C = std::chrono::high_resolution_clock;", "clock_gettime(CLOCK_REALTIME, &t);",
            "::gettimeofday(&t, nullptr);", "auto t = time(nullptr);", "auto t = std::time(0);", "::time(&t);",
            "auto t = clock();", "sleep(1);", "::usleep(1);", "nanosleep(&t, nullptr);",
            "clock_nanosleep(CLOCK_MONOTONIC, 0, &t, 0);", "int x = rand();", "std::srand(1);", "long x = random();",
            "double x = drand48();", "getrandom(&x, 8, 0);", "std::random_device d;",
        ):
            text = f"{CC}/* two\nlines */ {banned}\n"
            self.breaks("outside_only_through_doors", "core/list/list.cc", text, line=3)
        text = HEADER + "#include <thread>\nstruct Port { std::thread t; };\n"
        self.breaks("outside_only_through_doors", "include/usernic/port.h", text, line=4)

    def test_no_pointer_order(self):
        for banned in (
            "std::map<Port*, int> x;", "std::set<const Port*> x;", "std::multimap<Port *const, int> x;",
            "std::multiset<void*> x;", "std::unordered_map<Port*, int, Hash> x;", "std::unordered_set<const void*> x;",
            "std::set<std::shared_ptr<Port>> x;", "boost::container::flat_map<Port*, int> x;",
            "std::map<Port*, int, std::less<>> x;", "std::map<\n    Port*,\n    int> x;",
        ):
            self.breaks("no_pointer_order", "core/list/list.cc", f"{CC}{banned}\n", says="pointer")

    def test_public_headers_stand_alone(self):
        rule, path = "public_headers_stand_alone", "include/usernic/port.h"
        self.breaks(rule, path, HEADER + "std::string name();\n", line=3, says="std")
        self.breaks(rule, path, HEADER + "#include <no_such_header>\n", line=3, says="no_such_header")
        self.breaks(rule, path, HEADER + "inline int f(int unused) { return 0; }\n", line=3, says="unused")
        self.breaks(rule, path, CC + "struct Port {};\n", says="redefinition")

    def test_examples_compile(self):
        rule, net = "examples_compile", {"include/usernic/net.h": HEADER + "#include <cstdint>\n"}
        work = CC + "// Work.\n//\n//   int f(int x) {{\n//     return {};\n//   }}\n//\n// More.\n#pragma once\n"
        self.assertEqual(self.faults(rule, net | {"include/usernic/work.h": work.format("x")}), [])
        for text, says in ((work.format("y"), "does not compile"), (HEADER, "no example")):
            faults = self.faults(rule, net | {"include/usernic/work.h": text})
            self.assertEqual(len(faults), 1, faults)
            self.assertIn(says, faults[0])

    def test_public_headers_are_short(self):
        self.breaks("public_headers_are_short", "include/usernic/port.h", HEADER + "\n" * 199, line=201, says="201 lines")

    def test_core_points_down(self):
        rule = "core_points_down"
        self.breaks(rule, "core/list.h", HEADER, line=1, says="in no room of it")
        self.breaks(rule, "core/attic/list.h", HEADER, line=1, says="in no room of it")
        above = {"core/rx/run.cc": CC + '#include "core/list/list.h"\n#include "usernic/port.h"\n',
                 "core/rx/run.h": HEADER}
        self.assertEqual(self.faults(rule, GOOD | above), [])
        with_test = above | {"core/list/list_test.cc": CC + '#include "core/rx/run.h"\n'}
        self.assertEqual(self.faults(rule, GOOD | with_test), [])
        for name in ("core/rx/run.h", "usernic/run.h"):
            for path, text in (("core/list/list.cc", CC), ("include/usernic/list.h", CC)):
                files = GOOD | above | {"include/usernic/run.h": HEADER, path: f'{text}#include "{name}"\n'}
                faults = self.faults(rule, files)
                self.assertEqual([fault.split(":")[0] for fault in faults], [path], name)

    def test_circles_are_known(self):
        rule = "circles_are_known"
        self.assertEqual(self.faults(rule, {"core/list/wanted.h": HEADER + '#include "core/list/propagation.h"\n',
                                            "core/list/propagation.cc": CC + '#include "core/list/wanted.h"\n'}), [])
        circle = {"core/list/a.h": HEADER + '#include "core/list/b.h"\n', "core/list/b.h": HEADER,
                  "core/list/b.cc": CC + '#include "usernic/c.h"\n', "core/list/c.cc": CC + '#include "core/list/a.h"\n'}
        places = sorted(fault.split(":")[0] for fault in self.faults(rule, circle))
        self.assertEqual(places, ["core/list/a.h", "core/list/b.cc", "core/list/c.cc"])
        self.assertEqual(self.faults(rule, circle | {"core/list/c.cc": CC}), [])

    def test_docs_point_at_what_exists(self):
        rule = "docs_point_at_what_exists"
        page = "| rule | where |\n|---|---|\n| R1 | {} |\n"
        code = GOOD | {"core/rx/run.cc": CC + "void Run::sample() { Run::drain(); }\n",
                       "core/rx/flag.h": HEADER + "struct Flag {\n  bool answer() { return true; }\n};\n"}
        for named in ("`Run::sample`, `drain`", "`sample` of `core/rx/run.cc`", "`Flag::answer`", "`run.cc`", "the driver"):
            self.assertEqual(self.faults(rule, code | {"docs/rules.md": page.format(named)}), [])
        for text in ("see `core/rx/runs.cc`", "it is `Run::take`"):
            self.assertEqual(len(self.faults(rule, code | {"README.md": text})), 1, text)
        self.assertEqual(self.faults(rule, code | {"README.md": "`core/rx/run.cc` has `Run::sample`"}), [])
        self.assertEqual(len(self.faults(rule, code | {"docs/rules.md": page.format("`steps` of `core/rx/run.cc`")})), 1)
        for named in ("`Run::take`", "`Flag::drain`", "`core/rx/runs.cc`", "`Run::sample`, `take`"):
            faults = self.faults(rule, code | {"docs/rules.md": page.format(named)})
            self.assertEqual(len(faults), 1, named)
            self.assertTrue(faults[0].startswith("docs/rules.md:3: there is no '"), faults[0])

    def test_heavy_headers_once(self):
        rule = "heavy_headers_once"
        for name in ("spdlog/spdlog.h", "CLI/CLI.hpp", "toml++/toml.h", "nlohmann/json_fwd.hpp"):
            self.breaks(rule, "host/mirror.h", f"{HEADER}#include <{name}>\n", line=3, says="a header includes")
        for name in ("spdlog/fmt/fmt.h", "CLI/App.hpp", "toml++/toml.hpp", "nlohmann/json.hpp"):
            faults = self.faults(rule, {"ctl/a.cc": f"{CC}#include <{name}>\n", "ctl/b.cc": f"{CC}\n#include <{name}>\n"})
            self.assertEqual(len(faults), 1, faults)
            self.assertTrue(faults[0].startswith("ctl/b.cc:3: "), faults[0])

    def test_rooms_have_names(self):
        for name in ("utils", "common", "misc", "manager"):
            faults = self.faults("rooms_have_names", GOOD | {f"core/{name}/list.h": HEADER})
            self.assertEqual([fault.split(":")[0] for fault in faults], [f"core/{name}"])

    def test_lines_fit(self):
        self.breaks("lines_fit", "core/list/list.cc", CC + "// " + "ä" * 118 + "\n", says="121 columns")

    def test_licence_first(self):
        rule = "licence_first"
        self.breaks(rule, "core/list/list.cc", "\n" + CC, line=1)
        self.breaks(rule, "core/list/list.h", "", line=1)
        self.breaks(rule, "scripts/run", "#!/bin/sh\necho\n")
        self.breaks(rule, "core/CMakeLists.txt", "add_library(x)\n", line=1)
        self.breaks(rule, "cmake/flags.cmake", "set(x)\n", line=1)

    def test_no_machine_named(self):
        for named in ("/ho" "me/me/usernic", "/ro" "ot/usernic", "/wo" "rk/main", "eu-docker.pk" "g.dev",
                      "https://ghc" "r.io/x", "deb.debi" "an.org", "mirror.corp.inter" "nal"):
            self.breaks("no_machine_named", "README.md", f"\nsee {named}\n")

    def test_nothing_left_to_do(self):
        for word in ("TO" "DO", "FIX" "ME"):
            self.breaks("nothing_left_to_do", "core/list/list.cc", f"{CC}// {word}: later\n")


if __name__ == "__main__":
    unittest.main()
