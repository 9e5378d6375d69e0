// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "sim/scenario.h"

#include <algorithm>

#include "sim/scenarios/scenarios.h"

namespace usernic::sim {
namespace {

constexpr Scenario kScenarios[] = {
    {"back-pressure", "devices whose frames wait for a queue below that stops, runs on and is woken",
     play_back_pressure},
    {"bond", "failover while addresses change, slaves come and go, and frames are sent", play_bond},
    {"burst", "more changes at once than one hold of the lock drains", play_burst},
    {"commands", "changes that wait until they are in effect, against each other and the card", play_commands},
    {"follow", "several bring one list over to another while it changes", play_follow},
    {"hand-off", "the hand-off to the card against changes, readers and VLANs", play_hand_off},
    {"image", "a driver that prepares an image and writes it, against everything", play_image},
    {"isolation", "a card that takes seconds, beside devices that live meanwhile", play_isolation},
    {"kernel-sniffer", "the same where drivers in kernel style pass it down", play_kernel_sniffer},
    {"kernel-stack", "drivers in kernel style that pass promiscuity down, opened and closed", play_kernel_stack},
    {"kernel-style", "a driver of the kernel's signature, against everything", play_kernel_style},
    {"legacy", "a driver that writes under the lock, against everything", play_legacy},
    {"macvlan", "macvlans that come, go and change over a device that does the same, and their frames", play_macvlan},
    {"mirror", "the host mirror with events lost and pictures torn and late", play_mirror},
    {"napi", "NAPI disable against schedule and complete", play_napi},
    {"overflow", "few slots, the own address among them, a card that teaches limits", play_overflow},
    {"parking", "a slow card against those who park its lane", play_parking},
    {"promiscuity", "somebody who heard everything asks for one address instead", play_promiscuity},
    {"references", "unregister against the last reference and work items", play_references},
    {"reopen", "the hand-off against close, open, detach and attach", play_reopen},
    {"reset", "the hand-off against a card that forgets", play_reset},
    {"sniffer", "a stack that heard everything asks for many addresses instead", play_sniffer},
    {"stack", "stacked devices that are linked, changed, closed and removed", play_stack},
    {"tickets", "those who wait for an address against failures and close", play_tickets},
    {"tx-queue", "a transmit queue's stop against its wake", play_tx_queue},
    {"unregister", "everything against unregister", play_unregister},
    {"vlan", "VLANs that send and receive on a device that is closed or goes away", play_vlan},
    {"wire", "two simnics on a wire: frames, resets, links, close and open", play_wire},
    {"work", "cancel, disable, flush and park against queueing", play_work},
};

}  // namespace

std::span<const Scenario> all_scenarios() {
  return kScenarios;
}

const Scenario* find_scenario(std::string_view name) {
  const auto found = std::ranges::find_if(kScenarios, [name](const Scenario& each) { return each.name == name; });
  return found != std::end(kScenarios) ? &*found : nullptr;
}

}  // namespace usernic::sim
