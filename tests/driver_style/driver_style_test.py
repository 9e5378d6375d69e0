#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR MIT
"""An illegal set of ops does not compile, and says why: each case of driver.inc, all in one run of g++.

    driver_style_test.py COMMAND...   a compiler that reads C++ from its input
"""

import re
import subprocess
import sys

HEAD = """#include <vector>

#include "usernic/driver.h"
#include "usernic/hw_addr_list.h"
#include "usernic/rx_lists.h"

namespace usernic::good {
#include "driver.inc"
static_assert(kOps.prepare_rx_mode != nullptr && kOps.write_rx_mode != nullptr, "the good one is of the image style");
}
#define ANY_CASE
"""
CASE = """#define CASE_{0}
namespace usernic::{0} {{
#include "driver.inc"
}}
#undef CASE_{0}
"""
# The sentence of a static assertion that each of them must fail.
CASES = {
    "plan_and_legacy": r"in one style only",
    "legacy_and_kernel": r"in one style only",
    "image_and_plan": r"in one style only",
    "prepare_alone": r"prepare_rx_mode and write_rx_mode come together",
    "write_alone": r"prepare_rx_mode and write_rx_mode come together",
    "image_without_type": r"the image style is",
    "image_of_vectors": r"trivially copyable",
    "legacy_may_throw": r"noexcept",
    "legacy_of_nothing": r"the legacy style is",
    "async_of_int": r"set_rx_mode_async is void",
    "plan_without_caps": r"rx_filter_caps come together",
    "plan_and_overloaded_legacy": r"in one style only",
    "overloaded_image_and_plan": r"in one style only",
    "legacy_of_int": r"the legacy style is",
    "legacy_with_caps": r"rx_filter_caps come together",
    "xmit_may_throw": r"start_xmit runs in atomic context: noexcept",
    "stats_may_throw": r"get_stats runs in atomic context: noexcept",
    "stats_not_const": r"get_stats has another shape.*get_stats.LinkStats&. const",
    "mtu_of_reference": r"change_mtu has another shape.*change_mtu.uint32_t.",
    "mac_adress": r"set_mac_adress is not an op.*called set_mac_address",
    "vlan_add_alone": r"vlan_rx_add_vid and vlan_rx_kill_vid come together",
    "plan_and_vlans": r"vlan_rx_add_vid goes with set_rx_mode",
    "old_name": r"set_multicast_list is not an op.*called set_rx_mode",
}


def main():
    code = HEAD + "".join(CASE.format(case) for case in CASES)
    run = subprocess.run(sys.argv[1:], input=code, capture_output=True, text=True)
    failed, of = {}, None
    for line in run.stderr.splitlines():
        of = (re.search(r"with D = (?:usernic::)?(\w+)::Driver", line) or [None, of])[1]
        if error := re.search(r"error: (.*)", line):
            failed.setdefault(of, []).append(error[1])
    wrong = [f"{case}: expected a failed assertion of {sentence!r}, not {failed.get(case)}"
             for case, sentence in CASES.items()
             if not any(re.search(f"static assertion failed.*{sentence}", error) for error in failed.get(case, []))]
    wrong += [f"{of}: must compile, but {errors}" for of, errors in failed.items() if of not in CASES]
    print("\n".join(wrong) if wrong else f"{len(CASES)} refused, each with its sentence")
    return 1 if wrong else 0


sys.exit(main())
