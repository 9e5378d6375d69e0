// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "cli/usb.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>

#include "cli/command_line.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "ctl/print.h"

namespace usernic::cli {

std::string show_usb(const std::vector<UsbRow>& rows) {
  Table table({{"BUS"}, {"ID"}, {"SPEED"}, {"DRIVER"}, {"INTERFACES"}});
  for (const UsbRow& row : rows) {
    table.add({row.bus, row.id, row.speed, row.driver.empty() ? "-" : row.driver,
               fmt::format("{}", fmt::join(row.classes, " "))});
  }
  return table.text();
}

ctl::Json to_json(const std::vector<UsbRow>& rows) {
  ctl::Json::Array devices;
  for (const UsbRow& row : rows) {
    ctl::Json::Array classes(row.classes.begin(), row.classes.end());
    devices.push_back(ctl::Json::Object{{"bus", row.bus},
                                        {"id", row.id},
                                        {"speed", row.speed},
                                        {"interfaces", std::move(classes)},
                                        {"driver", row.driver.empty() ? ctl::Json() : ctl::Json(row.driver)}});
  }
  return ctl::Json::Object{{"devices", std::move(devices)}};
}

int usb(const std::vector<UsbRow>& rows, const std::vector<std::string>& wrong, bool json) {
  ctl::print(stdout, json ? ctl::to_text(to_json(rows)) + "\n" : show_usb(rows));
  int exit_code = printed();
  for (const std::string& sentence : wrong) exit_code = failed(sentence);
  return exit_code;
}

}  // namespace usernic::cli
