// SPDX-License-Identifier: Apache-2.0 OR MIT
// The one file that includes CLI11.
#include "cli/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <sstream>
#include <utility>

#include "cli/command_words.h"
#include "cli/verbs.h"
#include "ctl/did_you_mean.h"
#include "ctl/print.h"

namespace usernic::cli {
namespace {

constexpr uint64_t kWaitDefaultMs = 10'000;

struct Line {
  CLI::App app{"usernic: a NIC whose driver runs in user space, shown as a real Linux interface", "usernic"};
  Command command;
  std::string wait;
  CLI::Option* wait_option = nullptr;
  CLI::App* help = nullptr;
  CLI::App* version = nullptr;
  std::string help_verb;
  bool change_features = false;
  std::vector<std::string> feature_words;
};

// Not "", which would be taken for "not given": a shell makes it of a variable that is not set.
CLI::Validator a_name() {
  return CLI::Validator([](const std::string& value) { return value.empty() ? "needs a name, not \"\"" : ""; }, "");
}

void add_socket(CLI::App& app, Line& line, const char* what) {
  app.add_option("--socket", line.command.socket, what)->type_name("PATH")->check(a_name());
}

CLI::App* add_verb(Line& line, Verb verb, const char* name, const char* what, const char* example) {
  CLI::App* sub = line.app.add_subcommand(name, what);
  sub->footer(fmt::format("Example:\n  {}\n", example));
  add_socket(*sub, line, "the control socket (else $USERNIC_SOCKET, else one in $XDG_RUNTIME_DIR)");
  sub->parse_complete_callback([&line, verb] { line.command.verb = verb; });
  return sub;
}

void add_json(CLI::App* sub, Line& line) {
  sub->add_flag("--json", line.command.json, "JSON, for programs");
}

void add_dev(CLI::App* sub, Line& line) {
  sub->add_option("DEV", line.command.dev, "the nic, as 'usernic link' names it")->required()->type_name("");
}

void add_daemon_verbs(Line& line) {
  CLI::App* run = add_verb(line, Verb::kRun, "run", "Put NICs on the host, in the foreground, until Ctrl-C",
                           "usernic run examples/configs/two-hosts.toml");
  run->footer(run->get_footer() +
              "\nThe config is TOML: [[host]], [[nic]], [nic.simnic]. docs/config.md lists every key with its unit, "
              "default and\n"
              "limits; examples/configs has files that are ready to run.\n");
  run->add_option("CONFIG.toml", line.command.config, "what to run (else two NICs on one wire, in two hosts)")
      ->type_name("")
      ->check(a_name());
  run->add_option("--ready-fd", line.command.ready_fd, "write one octet to this descriptor when everything is up")
      ->type_name("FD")
      ->check(CLI::Range(0, 1 << 20).description(""));
  CLI::App* demo = line.app.add_subcommand("demo", "A guided tour of a few seconds");
  demo->footer("Example:\n  usernic demo\n");
  demo->parse_complete_callback([&line] { line.command.verb = Verb::kDemo; });
  add_json(demo, line);
}

void add_showing_verbs(Line& line) {
  CLI::App* link = add_verb(line, Verb::kLink, "link", "Show the NICs", "usernic link");
  add_json(link, line);
  link->add_flag("-d,--details", line.command.details, "and how their frames get to the kernel");
  CLI::App* rx_mode =
      add_verb(line, Verb::kRxMode, "rx-mode", "Show what a NIC should receive, and what its card accepts",
               "usernic rx-mode nic0 --wait=5");
  add_dev(rx_mode, line);
  add_json(rx_mode, line);
  line.wait_option =
      rx_mode->add_flag("--wait", line.wait,
                        "first look at what the host wants now, and wait until all of it is covered, at most SECONDS "
                        "(--wait=SECONDS, default 10)");
  CLI::App* stats = add_verb(line, Verb::kStats, "stats", "Show a NIC's counters", "usernic stats nic0 --json");
  add_dev(stats, line);
  add_json(stats, line);
  add_dev(add_verb(line, Verb::kAttach, "attach", "Make a NIC's interface again, when it was deleted or moved away",
                   "usernic attach nic0"),
          line);
  add_json(add_verb(line, Verb::kMonitor, "monitor", "Show changes as they happen, until Ctrl-C", "usernic monitor"),
           line);
}

void add_ethtool(Line& line) {
  CLI::App* sub = add_verb(line, Verb::kEthtool, "ethtool", "Show what a driver says of itself and its card",
                           "usernic ethtool nic0 -S");
  add_dev(sub, line);
  add_json(sub, line);
  EthtoolLine& parts = line.command.ethtool;
  sub->add_flag("-i,--driver", parts.info, "driver, version, firmware, bus");
  sub->add_flag("-s,--link", parts.link, "speed, duplex, autonegotiation");
  sub->add_flag("-S,--statistics", parts.counters, "the card's counters");
  sub->add_flag("-g,--rings", parts.rings, "descriptors");
  sub->add_flag("-c,--coalesce", parts.coalesce, "how long interrupts wait");
  sub->add_flag("-d,--registers", parts.registers, "registers");
  sub->add_flag("-k,--features", parts.features, "offloads");
  sub->add_flag("-K,--change-features", line.change_features, "switch offloads, as in: -K nic0 tso off gro on");
  sub->add_option("FEATURE on|off", line.feature_words, "with -K: what to switch")->type_name("");
}

void add_snap(CLI::App* sub, Line& line, const char* name, const char* what) {
  sub->add_option(name, line.command.capture.snap_bytes, what)
      ->type_name("OCTETS")
      ->check(CLI::Range(uint64_t{1}, ctl::kSnapBytesMax).description(""));
}

void add_capture(Line& line) {
  CaptureLine& capture = line.command.capture;
  CLI::App* sub = add_verb(line, Verb::kCapture, "capture", "Write a NIC's frames to a file, until Ctrl-C",
                           "usernic capture nic0 -w - | tshark -r -");
  sub->footer(sub->get_footer() +
              "\nThe file is pcapng, for Wireshark, tshark and tcpdump; docs/capture.md says what is in it. SIZE is\n"
              "a number of octets, or one of KiB, MiB and GiB, as in 10MiB.\n");
  add_dev(sub, line);
  add_json(sub, line);
  sub->add_option("-w,--write", capture.files.path, "where to; -: stdout")
      ->required()
      ->type_name("FILE|-")
      ->check(a_name());
  add_snap(sub, line, "-s,--snap", "octets of each frame (262144)");
  sub->add_option("-c,--count", capture.count, "so many frames, and end")
      ->type_name("COUNT")
      ->check(CLI::Range(uint64_t{1}, UINT64_MAX).description(""));
  const auto size = CLI::AsSizeValue(false).description("");
  sub->add_option("--file-size", capture.files.file_bytes, "then go on in another file: FILE_00001, FILE_00002")
      ->type_name("SIZE")
      ->transform(size);
  sub->add_option("--files", capture.files.files_max, "with --file-size: keep so many, the newest")
      ->type_name("N")
      ->check(CLI::Range(uint64_t{1}, uint64_t{99'999}).description(""));
  sub->add_option("--buffer", capture.buffer_bytes, "what can wait for a slow writer before frames are lost (8MiB)")
      ->type_name("SIZE")
      ->transform(size);
}

// As Wireshark calls it.
void add_extcap(Line& line) {
  ExtcapLine& extcap = line.command.extcap;
  CLI::App* sub = add_verb(line, Verb::kExtcap, "extcap", "Be a source of captures for Wireshark",
                           "usernic extcap --extcap-interfaces");
  sub->footer(sub->get_footer() + "\nFor Wireshark, which knows this by a link in its folder: docs/capture.md\n");
  sub->add_flag("--extcap-interfaces", extcap.interfaces, "list the NICs");
  sub->add_option("--extcap-interface", extcap.interface, "one of them")->type_name("NAME");
  sub->add_flag("--extcap-dlts", extcap.dlts, "list its link types");
  sub->add_flag("--extcap-config", extcap.config, "list its options");
  sub->add_flag("--capture", extcap.capture, "capture");
  sub->add_option("--fifo", extcap.fifo, "where to")->type_name("FILE");
  add_snap(sub, line, "--snaplen", "octets of each frame");
  sub->add_option("--extcap-capture-filter", extcap.filter, "there are none")->type_name("FILTER");
  sub->add_option("--extcap-version", "Wireshark's, which changes nothing")->type_name("VERSION");
}

// What is wrong with it; or "".
std::string check_capture(const CaptureLine& capture) {
  const bool rotates = capture.files.file_bytes != 0;
  if (capture.files.files_max != 0 && !rotates) return "--files needs --file-size, after which the next one begins";
  if (rotates && capture.files.path == "-") return "--file-size is for files, not for -w -";
  if (capture.buffer_bytes > ctl::kBufferBytesMax) return "--buffer takes up to 256MiB";
  return "";
}

void add_contract(Line& line) {
  CLI::App* contract = line.app.add_subcommand("contract", "Show what a driver is promised, and owes, op by op");
  contract->footer("Example:\n  usernic contract start_xmit\n");
  contract->parse_complete_callback([&line] { line.command.verb = Verb::kContract; });
  contract->add_option("OP", line.command.op, "one op, by its name here or the kernel's (else all)")->type_name("");
  add_json(contract, line);
  contract->add_flag("--markdown", line.command.markdown, "docs/contract.md");
}

void add_exec(Line& line) {
  CLI::App* exec = add_verb(line, Verb::kExec, "exec", "Run a command in a host, or a shell",
                            "usernic exec a -- ping -c 3 10.9.0.2");
  exec->add_option("HOST", line.command.host, "the host, as 'usernic link' names it")->required()->type_name("");
  exec->add_option("COMMAND", line.command.argv,
                   "the command and its arguments, taken as they are after -- (else $SHELL, else /bin/sh)")
      ->type_name("");
}

void add_usb(Line& line) {
  CLI::App* sub = line.app.add_subcommand("usb", "Show the USB devices that can be reached, and who would take them");
  sub->footer(
      "Example:\n  usernic usb 192.168.1.7\n"
      "\nBUS is what a config of 'usernic run' says as bus = \"...\".\n");
  sub->parse_complete_callback([&line] { line.command.verb = Verb::kUsb; });
  sub->add_option("SERVER", line.command.servers,
                  "USB/IP servers, HOST or HOST:PORT (else 127.0.0.1:3240, if one is there)")
      ->type_name("");
  add_json(sub, line);
}

void add_usb_device(Line& line) {
  UsbDeviceLine& device = line.command.usb_device;
  CLI::App* sub = line.app.add_subcommand("usb-device", "Serve a USB adapter in software over USB/IP, until Ctrl-C");
  sub->footer(
      "Example:\n  usernic usb-device rtl8150 --tap cable0 --slow 6\n"
      "\nA kernel takes it with 'modprobe vhci_hcd; usbip attach -r 127.0.0.1 -b 1-1', usernic with\n"
      "bus = \"usbip:127.0.0.1:3240/1-1\". docs/usb-device.md says what it prints and which commands there are.\n");
  sub->parse_complete_callback([&line] { line.command.verb = Verb::kUsbDevice; });
  const auto number = CLI::Range(uint64_t{1}, uint64_t{1'000'000'000}).description("");
  const auto ms = CLI::Range(0.0, 3'600'000.0).description("");
  sub->add_option("MODEL", device.model, "the adapter: rtl8150, lan78xx, cdc-ecm, cdc-ncm or cdc-rndis")
      ->required()
      ->type_name("");
  sub->add_option("--listen", device.listen, "where to listen (127.0.0.1:3240); port 0: any")
      ->type_name("ADDRESS:PORT");
  sub->add_option("--bus-id", device.bus_id, "what it is exported as (1-1)")->type_name("ID");
  sub->add_option("--address", device.address, "the adapter's own address (a random one)")->type_name("MAC");
  sub->add_option("--tap", device.tap, "the interface at the far end of its cable (none)")
      ->type_name("NAME")
      ->check(a_name());
  sub->add_option("--slow", device.slow_ms, "how long each control transfer takes")->type_name("MS")->check(ms);
  sub->add_option("--fail", device.fail_every, "each N-th control transfer stalls")->type_name("N")->check(number);
  sub->add_option("--unplug-at", device.unplug_at, "the N-th transfer pulls the plug")->type_name("N")->check(number);
  sub->add_option("--replug", device.replug_ms, "plug it in again after so long")->type_name("MS")->check(ms);
  sub->add_flag("--trace", device.trace, "print each control transfer");
  sub->add_flag("--commands", device.commands, "read commands from stdin");
  add_json(sub, line);
}

// Its words are the simulator's, --help included.
void add_sim(Line& line) {
  CLI::App* sim = line.app.add_subcommand("sim", "Play histories of the core under a simulated card, time and threads");
  sim->footer("Example:\n  usernic sim --seed 7 --scenario reset --trace\n");
  sim->parse_complete_callback([&line] { line.command.verb = Verb::kSim; });
}

// What other programs have as verbs, and options here.
void add_help_and_version(Line& line) {
  line.help = line.app.add_subcommand("help", "Show this, or what a verb takes");
  line.help->add_option("VERB", line.help_verb, "the verb")->type_name("");
  line.help->footer("Example:\n  usernic help run\n");
  line.version = line.app.add_subcommand("version", "Show the version");
  line.version->footer("Example:\n  usernic version\n");
}

// What -K is to switch; or a clause that says what is wrong.
std::string take_feature_words(Line& line) {
  const std::vector<std::string>& words = line.feature_words;
  if (!line.change_features) return words.empty() ? "" : fmt::format("'{}' is of no use without -K", words.front());
  auto wishes = feature_wishes(words);
  if (!wishes) return wishes.error();
  line.command.ethtool.wishes = *std::move(wishes);
  line.command.ethtool.features = true;
  return "";
}

// --wait's value, or false.
bool take_wait(Line& line) {
  if (line.wait_option->count() == 0) return true;
  const bool alone = line.wait == "true";  // says CLI11
  line.command.wait_ms = alone ? kWaitDefaultMs : milliseconds_of(line.wait);
  return line.command.wait_ms.has_value();
}

std::string no_such_verb(const CLI::App& app, std::string_view word) {
  std::vector<std::string_view> verbs;
  for (const CLI::App* sub : app.get_subcommands({})) verbs.push_back(sub->get_name());
  return fmt::format("there is no verb '{}'{}", ctl::shortened(word), ctl::suggestion(word, verbs));
}

int complain(std::string_view verb, std::string_view what) {
  ctl::print(stderr, fmt::format("usernic: {}; see 'usernic {}--help'\n", what, verb));
  return kUsage;
}

ParsedLine said(const std::string& text) {
  ctl::print(stdout, text);
  return {std::nullopt, printed()};
}

// Wireshark calls the program in its folder without our verb.
ParsedLine parse_as_extcap(int argc, const char* const* argv) {
  std::vector<const char*> words(argv, argv + argc);
  words.insert(words.begin() + 1, "extcap");
  return parse_command_line(static_cast<int>(words.size()), words.data());
}

ParsedLine help(Line& line) {
  line.app.clear();  // else it shows the help of `help`
  if (line.help_verb.empty()) return said(line.app.help());
  for (const CLI::App* verb : line.app.get_subcommands({})) {
    if (verb->get_name() != line.help_verb) continue;
    if (line.help_verb == "sim") return {Command{.verb = Verb::kSim, .argv = {"--help"}}, kDone};
    return said(verb->help("usernic"));
  }
  return {std::nullopt, complain("", no_such_verb(line.app, line.help_verb))};
}

}  // namespace

ParsedLine parse_command_line(int argc, const char* const* argv) {
  if (const std::string_view word = argc > 1 ? argv[1] : ""; word == "--capture" || word.starts_with("--extcap-")) {
    return parse_as_extcap(argc, argv);
  }
  Line line;
  line.app.set_version_flag("--version", std::string("usernic ") + USERNIC_VERSION);
  add_socket(line.app, line, "the control socket");
  line.app.footer("Each verb has its own --help, with an example.\n");
  line.app.require_subcommand(0, 1);
  add_daemon_verbs(line);
  add_showing_verbs(line);
  add_ethtool(line);
  add_capture(line);
  add_extcap(line);
  add_contract(line);
  add_exec(line);
  add_sim(line);
  add_usb(line);
  add_usb_device(line);
  add_help_and_version(line);
  const auto [front, command] = split_words(argc, argv);
  std::string verb;
  try {
    line.app.parse(front, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      std::ostringstream help;
      (void)line.app.exit(error, help, help);
      return said(help.str());
    }
    const auto word = line.app.get_subcommands().empty() ? verb_word(argc, argv) : "";
    if (!word.empty()) {
      return {std::nullopt, complain("", no_such_verb(line.app, word))};
    }
    for (const CLI::App* sub : line.app.get_subcommands()) verb = sub->get_name() + " ";
    return {std::nullopt, complain(verb, error.what())};
  }
  if (line.app.get_subcommands().empty()) {
    ctl::print(stderr, line.app.help());
    return {std::nullopt, kUsage};
  }
  if (line.version->parsed()) return said(line.app.version() + "\n");
  if (line.help->parsed()) return help(line);
  // CLI11 cannot tell "--wait=" from "--wait".
  if (std::find(argv, argv + front, std::string_view("--wait=")) != argv + front) line.wait.clear();
  if (!take_wait(line)) {
    return {std::nullopt,
            complain("rx-mode ", fmt::format("--wait takes seconds from 0 to 3600, not '{}'", line.wait))};
  }
  if (const std::string wrong = take_feature_words(line); !wrong.empty())
    return {std::nullopt, complain("ethtool ", wrong)};
  if (line.command.verb == Verb::kCapture) {
    std::string wrong = check_capture(line.command.capture);
    if (line.command.json && line.command.capture.files.path == "-") wrong = "--json is printed where -w - writes to";
    if (!wrong.empty()) return {std::nullopt, complain("capture ", wrong)};
  }
  line.command.argv.assign(argv + command, argv + argc);
  return {std::move(line.command), kDone};
}

}  // namespace usernic::cli
