// SPDX-License-Identifier: Apache-2.0 OR MIT
// cli: the net_device contract, shown: `usernic contract [OP]`. It asks no daemon.
#pragma once

#include <span>
#include <string>

#include "cli/command_line.h"
#include "ctl/json.h"
#include "usernic/contract.h"
#include "usernic/contract_elsewhere.h"
#include "usernic/rules.h"

namespace usernic::cli {

int contract(const Command& command);

// A table; each row in full; docs/contract.md.
std::string show_contract(std::span<const NdoRow> rows);
std::string show_elsewhere(std::span<const ElsewhereRow> rows);
std::string describe_contract(std::span<const NdoRow> rows);
std::string contract_page(std::span<const NdoRow> rows);
std::string describe_rule(const Rule& rule);
ctl::Json to_json(std::span<const NdoRow> rows, std::span<const ElsewhereRow> elsewhere = {});

}  // namespace usernic::cli
// Explained best by: cli/contract_test.cc
