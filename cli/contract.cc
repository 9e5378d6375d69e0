// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/contract.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "cli/table.h"
#include "cli/verbs.h"
#include "ctl/did_you_mean.h"
#include "ctl/outcome.h"
#include "ctl/print.h"

namespace usernic::cli {
namespace {

std::string locks_text(const NdoRow& row) {
  std::string text;
  const auto name = [&](uint8_t lock, std::string_view what) {
    if ((row.locks & lock) != 0) text += (text.empty() ? "" : ", ") + std::string(what);
  };
  name(ndo_locks::kLane, "lane");
  name(ndo_locks::kRtnl, "rtnl");
  name(ndo_locks::kRtnlIfRequired, "rtnl if required");
  name(ndo_locks::kInstance, "instance lock");
  name(ndo_locks::kAddrList, "addr_list_lock");
  name(ndo_locks::kXmit, "xmit lock");
  name(ndo_locks::kTxFreeze, "tx_freeze_lock");
  return text.empty() ? "none" : text;
}

std::string_view context_text(NdoContext context) {
  switch (context) {
    case NdoContext::kProcess:
      return "process";
    case NdoContext::kBhDisabled:
      return "BH disabled";
    case NdoContext::kIrqsOff:
      return "IRQs disabled";
    case NdoContext::kAny:
      return "any";
  }
  return "";
}

std::string_view kernel_text(const NdoRow& row) {
  return row.kernel.empty() ? "-" : row.kernel;
}

std::string_view absent_text(const NdoRow& row) {
  return row.optional() ? row.without : "required";
}

// Breaks the row on both sides.
std::string test_of(const NdoRow& row) {
  const std::string_view op = row.op.substr(0, row.op.find('('));
  return fmt::format("Rows/ContractTest.CalledWithoutTheLocksOfTheRowItIsReported/{}{}", op,
                     row.ndo == Ndo::kSetRxModeKernel ? "_kernel" : "");
}

// The one that was asked for, or all.
struct Chosen {
  std::vector<NdoRow> rows;
  std::vector<ElsewhereRow> elsewhere;
};
ctl::Outcome<Chosen> chosen(const std::string& op) {
  Chosen chosen;
  std::vector<std::string_view> known;
  for (const NdoRow& row : kContract) {
    if (op.empty() || op == row.op || op == row.kernel) chosen.rows.push_back(row);
    known.push_back(row.op);
  }
  for (const ElsewhereRow& row : kElsewhere) {
    if (op.empty() || op == row.kernel) chosen.elsewhere.push_back(row);
  }
  if (chosen.rows.empty() && chosen.elsewhere.empty())
    return ctl::refuse(fmt::format("there is no op '{}'{}", ctl::shortened(op), ctl::suggestion(op, known)));
  return chosen;
}

}  // namespace

std::string show_contract(std::span<const NdoRow> rows) {
  Table table({{"OP"}, {"KERNEL"}, {"LOCKS HELD"}, {"CONTEXT"}, {"ABSENT"}});
  for (const NdoRow& row : rows) {
    table.add({std::string(row.op), std::string(kernel_text(row)), locks_text(row),
               std::string(context_text(row.context)), std::string(absent_text(row))});
  }
  return table.text();
}

std::string show_elsewhere(std::span<const ElsewhereRow> rows) {
  Table table({{"NOT CALLED HERE"}, {"LOCKS HELD"}, {"CONTEXT"}, {"WHY"}});
  for (const ElsewhereRow& row : rows) {
    table.add({std::string(row.kernel), std::string(row.locks), std::string(row.context), std::string(row.why)});
  }
  return table.text();
}

std::string describe_contract(std::span<const NdoRow> rows) {
  std::string text;
  for (const NdoRow& row : rows) {
    text += fmt::format("{}{}\n", text.empty() ? "" : "\n", row.op);
    text += fmt::format("  kernel      {}\n", kernel_text(row));
    text += fmt::format("  locks held  {}\n", locks_text(row));
    text += fmt::format("  context     {}\n", context_text(row.context));
    text += fmt::format("  absent      {}\n", absent_text(row));
    text += fmt::format("  returns     {}\n", row.returns);
    if (!row.oldest.empty()) text += fmt::format("  to 2.6.28   {}\n", row.oldest);
    if (!row.older.empty()) text += fmt::format("  from 2.6.29 {}\n", row.older);
    text += fmt::format("  test        {}\n", test_of(row));
  }
  return text;
}

std::string contract_page(std::span<const NdoRow> rows) {
  std::string text =
      "# The contract\n\n"
      "One row an op, as `usernic contract` prints it: what the core holds when it calls the op, in which context, "
      "what a\n"
      "driver without the op gets, and what the op may answer. The table is `include/usernic/contract.h`; while checks "
      "are\n"
      "on, every call asserts its row (`core/contract/ndo.h`), and `core/contract/contract_test.cc` breaks each. Made "
      "by\n"
      "`usernic contract --markdown`; a test compares.\n\n"
      "*lane*: the caller is the device's rx-mode work, or has parked it. *rtnl if required*: where the driver says\n"
      "`requires_rtnl`. More may be held than a row says: `uninit` at unregister runs under all that `open` does.\n\n"
      "The kernel's document has had three forms: this one, whose ops are under the instance lock; the one before, "
      "from\n"
      "2.6.29 (*older*); and the one in which a device was its own table (*oldest*). Name and lock, where they say "
      "something.\n\n"
      "| op | kernel | locks held | context | absent | returns | older | oldest |\n"
      "|---|---|---|---|---|---|---|---|\n";
  for (const NdoRow& row : rows) {
    text += fmt::format("| `{}` | {} | {} | {} | {} | {} | {} | {} |\n", row.op,
                        row.kernel.empty() ? "-" : fmt::format("`{}`", row.kernel), locks_text(row),
                        context_text(row.context), absent_text(row), row.returns, row.older, row.oldest);
  }
  text +=
      "\n## Not called here\n\n"
      "Ops of the kernel's that usernic has no use for, and why.\n\n"
      "| kernel | locks held | context | why |\n"
      "|---|---|---|---|\n";
  for (const ElsewhereRow& row : kElsewhere) {
    text += fmt::format("| `{}` | {} | {} | {} |\n", row.kernel, row.locks, row.context, row.why);
  }
  text +=
      "\n## Rules\n\n"
      "What a report can name (`include/usernic/rules.h`): what is wrong, what would be right, and the test that "
      "breaks "
      "it.\n"
      "`usernic contract RULE` shows one.\n\n"
      "| rule | wrong | right | test |\n"
      "|---|---|---|---|\n";
  for (const Rule& rule : kRules) {
    text += fmt::format("| `{}` | {} | {} | `{}` |\n", rule.id, rule.wrong, rule.right, rule.test);
  }
  return text;
}

std::string describe_rule(const Rule& rule) {
  return fmt::format("{}\n  wrong  {}\n  right  {}\n  test   {}\n", rule.id, rule.wrong, rule.right, rule.test);
}

ctl::Json to_json(std::span<const NdoRow> rows, std::span<const ElsewhereRow> elsewhere) {
  ctl::Json::Array list;
  for (const NdoRow& row : rows) {
    list.push_back(ctl::Json::Object{{"op", row.op},
                                     {"kernel", row.kernel},
                                     {"locks", locks_text(row)},
                                     {"context", context_text(row.context)},
                                     {"optional", row.optional()},
                                     {"absent", absent_text(row)},
                                     {"returns", row.returns},
                                     {"older", row.older},
                                     {"oldest", row.oldest},
                                     {"applies", true},
                                     {"why", ""},
                                     {"test", test_of(row)}});
  }
  for (const ElsewhereRow& row : elsewhere) {
    list.push_back(ctl::Json::Object{{"op", row.kernel},
                                     {"kernel", row.kernel},
                                     {"locks", row.locks},
                                     {"context", row.context},
                                     {"optional", true},
                                     {"absent", "it is never called"},
                                     {"returns", ""},
                                     {"older", ""},
                                     {"oldest", ""},
                                     {"applies", false},
                                     {"why", row.why},
                                     {"test", ""}});
  }
  return list;
}

int contract(const Command& command) {
  if (const Rule* const rule = find_rule(command.op); rule != nullptr && !command.json && !command.markdown) {
    ctl::print(stdout, describe_rule(*rule));
    return printed();
  }
  const auto found = chosen(command.op);
  if (!found) return failed(found.error());
  const auto& [rows, elsewhere] = *found;
  if (command.markdown) {
    ctl::print(stdout, contract_page(rows));
  } else if (command.json) {
    ctl::print(stdout, ctl::to_text(to_json(rows, elsewhere)) + "\n");
  } else if (command.op.empty()) {
    ctl::print(stdout, show_contract(rows) + "\n" + show_elsewhere(elsewhere));
  } else {
    ctl::print(stdout, rows.empty() ? show_elsewhere(elsewhere) : describe_contract(rows));
  }
  return printed();
}

}  // namespace usernic::cli
