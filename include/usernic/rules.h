// SPDX-License-Identifier: Apache-2.0 OR MIT
// usernic: the rules that a report can name, as data: what is wrong, what would be right, and the test that breaks it.
//
// The ops' own rows are in contract.h. Reports say what is right from here, docs/contract.md is made from it, and a
// test compares: no report without a row, no row without a test.
#pragma once

#include <array>
#include <string_view>

namespace usernic {

struct Rule {
  std::string_view id;
  std::string_view wrong;
  std::string_view right;
  std::string_view test;  // "Suite.Name"
};

inline constexpr auto kRules = std::to_array<Rule>({
    // Frames.
    {"skb-freed-twice", "a frame is freed that is in its pool already", "one owner, who frees it or hands it on, once",
     "SkbGuardTest.AFrameFreedTwiceIsReportedWithBothPlacesAndIsThePoolsOnce"},
    {"skb-freed-in-batch", "a frame is freed that a batch owns", "take it out with pop_front, or leave it to the batch",
     "SkbGuardTest.AFrameThatABatchOwnsIsFreedByIt"},
    {"skb-used-after-free", "a frame is handed on that was freed", "who frees a frame forgets it",
     "SkbGuardTest.AFreedFrameIsTakenByNoBatch"},
    {"skb-in-two-batches", "a frame is put into a batch while it is in one", "take it out with pop_front first",
     "SkbGuardTest.AFrameIsInOneBatch"},
    {"skb-beyond", "put, push, pull or reset beyond the buffer", "look at tailroom, headroom or size first",
     "SkbGuardTest.BeyondTheBufferThereIsNothing"},
    {"skb-written-after-free", "a buffer is written while it is free", "who frees a frame forgets its octets, too",
     "SkbGuardTest.AWriteAfterFreeIsFoundWhenTheBufferIsUsedAgain"},
    {"skb-red-zone", "octets before or behind a buffer are written", "write only what put and push gave",
     "SkbGuardTest.AWriteOutsideOfABufferIsFoundWhenItIsFreed"},
    {"skb-leak", "a pool is destroyed while frames of it are out", "free every frame before its pool goes",
     "TxRulesTest.APoolThatGoesSaysWhoHasItsFrames"},
    {"skb-kept", "stop leaves frames with the driver that start_xmit took", "stop frees what cannot go out any more",
     "TxRulesTest.FramesThatStopLeavesWithTheDriverAreReported"},
    {"frame-too-long", "a frame is longer than the MTU, an Ethernet header and one VLAN tag", "look at frame_bytes_max",
     "TxRulesTest.AFrameLongerThanTheMtuNeverReachesTheDriver"},
    {"xmit-chained", "a merged frame is sent, which goes on in other buffers", "copy it into one buffer first",
     "TxOffloadTest.AFrameOfSeveralBuffersIsReportedAndDropped"},
    // start_xmit.
    {"xmit-busy-running", "kBusy with the queue running: nobody wakes who waits",
     "stop the queue before the ring is full: maybe_stop",
     "TxRulesTest.BusyWithTheQueueRunningIsReportedAndTheSenderIsWoken"},
    {"xmit-busy-freed", "kBusy of a frame that was freed", "kOk of one that was taken, kDropped of one freed unsent",
     "TxRulesTest.BusyOfAFrameThatWasFreedIsReportedAndTheFrameIsThePools"},
    {"xmit-busy-kept", "kBusy of a frame that is in a batch of the driver's", "kBusy leaves the frame with the caller",
     "TxRulesTest.BusyOfAFrameThatTheDriverQueuedStaysTheDrivers"},
    {"xmit-busy-changed", "kBusy of a frame that was changed", "look for room first, then touch the frame",
     "TxRulesTest.BusyOfAFrameThatWasChangedIsReportedAndItsEdgesAreAsTheyWere"},
    {"xmit-dropped-kept", "kDropped of a frame that was not freed", "free it first, or answer kOk and keep it",
     "TxRulesTest.DroppedOfAFrameThatIsNotFreedIsReported"},
    {"xmit-locked", "start_xmit answers kLocked", "wait for the driver's own lock, which is held for moments",
     "TxRulesTest.AnOldDriverThatAnswersLockedIsReportedAndTheSenderIsWoken"},
    {"select-queue-range", "select_queue answers the number of no TX queue", "less than tx_queue_count",
     "TxSelectTest.AQueueThatTheDeviceDoesNotHaveIsReportedAndTheFirstIsTaken"},
    {"bql-overcompleted", "more octets are completed than were sent", "completed() once for each sent()",
     "TxLimitTest.MoreCompletedThanSentIsReported"},
    // NAPI.
    {"napi-left-enabled", "stop leaves a NAPI instance enabled", "stop disables each instance",
     "NapiRulesTest.StopThatLeavesAnInstanceEnabledIsReportedAndTheCoreDisablesIt"},
    {"napi-not-completed", "a poll returns less than its budget without complete_done",
     "complete_done, or return the whole budget to be polled again",
     "NapiRulesTest.LessThanTheBudgetWithoutCompleteIsReportedAndTakenAsCompleted"},
    {"napi-completed-full", "a poll completes and returns its whole budget", "return less, once it has completed",
     "NapiRulesTest.TheWholeBudgetAfterCompleteIsReportedAndNotPolledAgain"},
    {"napi-completed-twice", "a poll completes its instance twice", "once: afterwards it is somebody else's",
     "NapiRulesTest.CompletingTwiceIsReportedAndTheSecondIsNothing"},
    {"napi-overrun", "a poll returns more than its budget", "stop at the budget, and return it",
     "NapiRulesTest.MoreThanTheBudgetIsReportedAndTakenAsTheBudget"},
    {"napi-outside-poll", "receive or complete_done by somebody else than the instance's poll",
     "schedule the instance, and do it in its poll",
     "NapiRulesTest.FramesReceivedOutsideOfThePollAreReportedAndDelivered"},
    {"napi-wait-in-poll", "a poll waits for its own end", "disable and synchronize are for open, stop and work items",
     "NapiRulesTest.APollThatWaitsForItselfIsReportedAndDoesNot"},
    {"napi-scheduled-twice", "schedule_prepared of an instance that waits for its poll",
     "once, after schedule_prep that returned true", "NapiRulesTest.APreparedInstanceIsScheduledOnce"},
    {"napi-enable-twice", "an enabled NAPI instance is enabled", "enable in open, disable in stop",
     "NapiTest.EnablingTwiceIsReportedAndHarmless"},
    {"napi-disable-twice", "a disabled NAPI instance is disabled", "enable in open, disable in stop",
     "NapiTest.DisablingTwiceIsReportedAndNoHang"},
    {"napi-completed-without-budget", "complete_done in a poll of budget 0", "TX completion only, and return 0",
     "NetpollTest.APollWithoutBudgetThatCompletesIsReportedAndNothingIsDone"},
    {"napi-freed", "a NAPI instance is destroyed while enabled", "disable it first",
     "NapiTest.DestroyingAnEnabledInstanceIsReported"},
    // Ops.
    {"ndo-locks", "an op is called without the locks of its row", "take what `usernic contract` says",
     "ContractTest.CalledWithoutTheLocksOfTheRowItIsReported"},
    {"ndo-answer", "an op answers what its row does not have", "answer as `usernic contract` says",
     "AnswerTest.AnErrorThatIsNoneIsReported"},
    {"ndo-unbalanced", "an op returns with other locks or contexts than it found",
     "release what it takes, nothing else", "ContractTest.ADriverThatKeepsALockIsReported"},
    {"ndo-throws", "an op throws", "answer an errno; std::bad_alloc is one",
     "AnswerTest.AnExceptionOutOfAnOpIsReportedAndTakenAsAnError"},
    {"sleep-in-atomic", "somebody may sleep in atomic context or under a SpinLock", "leave it to a work item",
     "ContextTest.SleepingInBhContextIsReportedWithBothPlaces"},
    // Locks and waits.
    {"lock-twice", "a thread takes a lock that it holds",
     "once; the netif_ functions expect the lock, the dev_ ones take it",
     "LockReportTest.AMutexTakenTwiceIsReportedWithBothPlaces"},
    {"too-deep", "a thread holds more locks and contexts than anybody needs", "look for a scope that is never left",
     "ContextDeathTest.MoreScopesThanAnybodyNeedsIsAReport"},
    {"lock-nested", "two locks of a class are nested at one level", "give the inner one a level of its own",
     "LockReportTest.TwoLocksOfOneClassNestedWithoutLevelsAreReportedWithBothPlaces"},
    {"lock-order", "two classes of locks are taken in both orders", "one order everywhere: docs/lockdep.md",
     "LockGraphTest.TheReverseOrderIsReportedWithBothStacksAndTheChain"},
    {"lock-context", "a lock of BH or irq context is taken where that context can interrupt",
     "SpinGuardBh, SpinGuardIrq", "LockContextTest.UsedInBhContextAndThenWithBhsEnabledIsReportedWithBothPlaces"},
    {"not-held", "something is done without the lock that it requires", "take the lock around it",
     "LockReportTest.AssertHeldReportsWhoDoesNotHoldTheLock"},
    {"wait-under-lock", "somebody waits for a lane under a lock that it takes", "wait before taking the lock",
     "WorkReportTest.WaitingForALaneUnderRtnlIsReportedWithBothPlaces"},
    {"wait-on-lane", "an item of a lane waits for the lane's rx-mode work", "wait outside of the lane",
     "WorkReportTest.WaitingForTheRxModeUnderRtnlOrOnItsLaneIsReported"},
    {"flush-self", "a work item waits for itself or its own queue", "return, and be run again",
     "WorkReportTest.AnItemThatWaitsForItself"},
    {"park-self", "a work item parks its own queue", "it runs alone there already",
     "WorkReportTest.AnItemThatFlushesDrainsOrParksItsOwnQueue"},
    {"unpark-unparked", "a queue is unparked that is not parked", "as many unpark as park, or a LaneGuard",
     "WorkReportTest.AnUnparkTooManyIsReportedAndChangesNothing"},
    {"work-enabled-twice", "a work item is enabled that is not disabled", "as many enable as disable",
     "KernelWork.AReportNamesTheCallersLine"},
    {"work-freed", "a work item is destroyed while pending or running", "cancel_sync it first",
     "WorkDeathTest.AnItemDestroyedWhilePendingIsAReport"},
    {"workqueue-freed", "a workqueue is destroyed with items in it", "drain it first",
     "WorkDeathTest.AQueueDestroyedWithItemsIsAReport"},
    {"bh-work-freed", "a BH item is destroyed while it waits to be run", "cancel_sync it first",
     "BhWorkTest.AnItemThatIsDestroyedWhileItWaitsIsReported"},
    {"bh-work-waits-for-itself", "a BH item waits for its own end", "return, and be run again",
     "BhWorkTest.AnItemThatWaitsForItselfIsReportedAndDoesNot"},
    // Verifier mode.
    {"verifier-kept-pointer", "an op keeps a pointer to what it was handed, and writes there after it has returned",
     "copy what is needed later", "VerifierTest.AWriteThroughAKeptPointerIsReportedWhenTheDeviceCloses"},
    {"verifier-answer-varies", "an op of any context answers differently in another", "look at the arguments only",
     "VerifierTest.AHashThatDependsOnItsContextIsReported"},
    // Devices.
    {"register-twice", "a device is registered a second time", "a device has one life: make another",
     "LifecycleTest.RegisteringTwiceIsReportedAndChangesNothing"},
    {"unregister-unregistered", "a device is unregistered that is not registered", "once, after a successful register",
     "LifecycleTest.UnregisteringWhatIsNotRegisteredIsReported"},
    {"net-freed", "a Net is destroyed while devices or handles of it are left", "free them first",
     "DeviceRefTest.ANetDestroyedBeforeItsLastHandleIsReported"},
    {"dev-addr-range", "more octets are written than the own address has", "as many as addr_len",
     "OwnAddressesTest.MoreOctetsThanThereAreAndNoRtnlAreReports"},
    {"dev-addr-written", "the own address is written directly", "own_addresses().set, eth_hw_addr_set",
     "OwnAddressesTest.WhoWritesTheOctetsDirectlyIsReportedAndUndone"},
    {"ref-held-twice", "a tracker that holds a reference takes one", "a tracker a reference",
     "KernelDevice.APutTooManyAndASecondHoldOfOneTrackerAreReports"},
    {"ref-underflow", "a reference is put that nobody holds", "put what you hold, once",
     "KernelDevice.APutTooManyAndASecondHoldOfOneTrackerAreReports"},
    {"free-registered", "a registered device is freed", "unregister_netdev first",
     "KernelNames.AFreedRegisteredDeviceIsAReport"},
    {"free-twice", "a device is freed that was freed, or frees itself",
     "free_netdev once; never with needs_free_netdev", "KernelFreed.WhoFreesADeviceASecondTimeHearsOfIt"},
    {"unregister-unseen", "unregister_netdevice where nobody carries it out", "between rtnl_lock and rtnl_unlock",
     "KernelUnregister.UnderARtnlWhoseUnlockLooksForNothingItIsAReport"},
    {"wait-under-rtnl", "what waits for a lane is called under rtnl", "call it without rtnl",
     "KernelDevice.WhatWaitsForTheLaneIsRefusedUnderRtnlInAPreciseSentence"},
    {"no-init-net", "a name that means init_net is used without an init_net_is", "make one first, beside the Net",
     "KernelNamesDeathTest.WithoutAnInitNetANameThatMeansItIsAReport"},
    // rx mode.
    {"rx-command-edited", "a driver changes a command of its plan", "read it, and answer it",
     "RxPlanContractTest.AnEditedCommandCountsAsItWas"},
    {"rx-command-twice", "a driver answers a command twice", "once: the first answer counts",
     "RxPlanContractTest.OfTwoAnswersTheFirstCounts"},
    {"rx-command-unanswered", "a driver takes a command and does not answer it", "answer each that next() gave",
     "RxPlanContractTest.ACommandThatIsTakenAndNotAnsweredHasFailed"},
    {"rx-command-unknown", "a driver answers a command that its plan does not have", "answer what next() gave",
     "RxPlanContractTest.AnInventedCommandIsNoneOfThePlan"},
    {"rx-plan-untouched", "a driver takes no command of its plan",
     "take them until next() is null, or a stop is asked for",
     "RxPlanContractTest.APlanThatIsNotTouchedIsAReportAndComesAgain"},
    {"rx-hash-range", "a hash is none of the card's buckets", "less than what rx_filter_caps says",
     "FilterCapsTest.AHashThatLeavesItsRangeLaterIsReportedAndHarmsNothing"},
    {"rx-image-unlocked", "a pending image is changed without addr_list_lock", "RxImageUpdate holds it",
     "ImageStyleTest.AnUpdateWithoutTheLockIsAReport"},
    {"rx-image-type", "an image is asked for as another type", "the driver's RxModeImage",
     "ImageStyleTest.AnImageOfAnotherTypeIsAReport"},
    {"hw-list-unlocked", "the list of a running driver is taken outside of its calls",
     "in set_rx_mode_async, open or stop", "KernelStyleTest.TheListOfARunningDriverTakenFromOutsideIsAReport"},
    {"sync-refused", "a list cannot be synced from another", "no circles, and one length of addresses",
     "KernelStack.WithoutTheLockAndInALoopItIsAReport"},
});

constexpr const Rule* find_rule(std::string_view id) noexcept {
  for (const Rule& rule : kRules) {
    if (rule.id == id) return &rule;
  }
  return nullptr;
}

}  // namespace usernic
// Explained best by: cli/rules_test.cc
