// SPDX-License-Identifier: Apache-2.0 OR MIT
// host: one value that exists on both sides of the host port - up, MTU, own address, carrier - and follows in both
// directions.
//
// Whoever changes it last wins, and the other side is told once. A side that refuses is not asked again: the one that
// asked is put back. So nothing runs in circles, whatever either side answers:
//
//   the kernel's changed ---> tell the device ---> it answers ---> same: done | other: tell the kernel
//   the device's changed ---> tell the kernel ---> done, whatever it answers
//
// The device answers later (its lane may be busy for seconds); until then its own value means nothing. The kernel
// answers at once. Locks: none, one owner. Pure: time does not occur.
#pragma once

namespace usernic {

enum class FollowStep { kNothing, kTellDevice, kTellKernel };

template <class T>
class Followed {
 public:
  // Both sides have `value` now.
  explicit Followed(T value) : kernel_(value), device_(value) {}

  // What both sides have now, and who is to be told the other's.
  FollowStep look(const T& kernel, const T& device) {
    if (kernel != kernel_) {
      kernel_ = kernel;
      if (!waiting_ && kernel == device) {
        device_ = device;
        return FollowStep::kNothing;
      }
      waiting_ = true;
      return FollowStep::kTellDevice;
    }
    if (waiting_ || device == device_) return FollowStep::kNothing;
    device_ = device;
    return device == kernel ? FollowStep::kNothing : FollowStep::kTellKernel;
  }

  // The kernel's value is not known: nobody looked since it was told, or it means nothing now.
  FollowStep look(const T& device) { return look(kernel_, device); }

  // The device has answered to the newest it was told, and now has `device`.
  FollowStep device_answered(const T& device) {
    if (!waiting_) return FollowStep::kNothing;
    waiting_ = false;
    device_ = device;
    return device == kernel_ ? FollowStep::kNothing : FollowStep::kTellKernel;
  }

  // The kernel took the device's value.
  void kernel_has(const T& value) { kernel_ = value; }

  bool waiting() const noexcept { return waiting_; }

 private:
  T kernel_;              // last seen there, or brought there by us
  T device_;              // last seen there
  bool waiting_ = false;  // the device was told, and has not answered
};

}  // namespace usernic
// Explained best by: host/follow_test.cc
