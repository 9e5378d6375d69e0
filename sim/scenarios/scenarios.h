// SPDX-License-Identifier: Apache-2.0 OR MIT
// sim: one function a scenario; sim/scenario.cc lists them with a sentence each.
#pragma once

#include "testing/chance.h"

namespace usernic::sim {

// rx_mode.cc
void play_hand_off(Chance chance);
void play_reset(Chance chance);
void play_reopen(Chance chance);
void play_overflow(Chance chance);
void play_parking(Chance chance);
void play_tickets(Chance chance);
void play_burst(Chance chance);
void play_promiscuity(Chance chance);
void play_unregister(Chance chance);
// commands.cc
void play_commands(Chance chance);
// isolation.cc
void play_isolation(Chance chance);
// follow.cc
void play_follow(Chance chance);
// stack.cc
void play_stack(Chance chance);
void play_sniffer(Chance chance);
// styles.cc
void play_image(Chance chance);
void play_legacy(Chance chance);
void play_kernel_style(Chance chance);
// kernel_stack.cc
void play_kernel_stack(Chance chance);
void play_kernel_sniffer(Chance chance);
// macvlan.cc
void play_macvlan(Chance chance);
// uppers.cc
void play_bond(Chance chance);
void play_vlan(Chance chance);
// work.cc
void play_work(Chance chance);
void play_references(Chance chance);
// queues.cc
void play_napi(Chance chance);
void play_tx_queue(Chance chance);
void play_back_pressure(Chance chance);
// mirror.cc
void play_mirror(Chance chance);
// wire.cc
void play_wire(Chance chance);

}  // namespace usernic::sim
