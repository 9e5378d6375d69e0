// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "kernel/todo_list.h"

#include <algorithm>
#include <utility>

namespace usernic::kernel {

uint64_t todo_list::new_number() {
  const SpinGuard guard(lock_);
  return ++last_number_;
}

bool todo_list::add(const entry& going) {
  const SpinGuard guard(lock_);
  if (find(going.dev) != entries_.end()) return false;
  entries_.push_back(going);
  return true;
}

bool todo_list::free_later(const NetDevice* dev) {
  const SpinGuard guard(lock_);
  const auto found = find(dev);
  if (found != entries_.end()) found->free = true;
  return found != entries_.end();
}

std::vector<todo_list::entry> todo_list::start_next(const Net* net, uint64_t run) {
  std::vector<entry> next;
  const SpinGuard guard(lock_);
  for (entry& each : entries_) {
    if (each.started || &each.dev->net() != net || (each.run != run && each.run != 0)) continue;
    if (!next.empty() && (each.batch == 0 || each.batch != next.front().batch)) continue;
    each.run = run;
    each.started = true;
    next.push_back(each);
  }
  return next;
}

std::vector<NetDevice*> todo_list::started(uint64_t run) {
  std::vector<NetDevice*> left;
  const SpinGuard guard(lock_);
  for (const entry& each : entries_) {
    if (each.started && each.run == run) left.push_back(each.dev);
  }
  return left;
}

bool todo_list::start_free(const NetDevice* dev, bool frees_itself) {
  const SpinGuard guard(lock_);
  const auto found = find(dev);
  if (found->free || frees_itself) return true;
  entries_.erase(found);
  return false;
}

void todo_list::remove(const NetDevice* dev) {
  const SpinGuard guard(lock_);
  entries_.erase(find(dev));
}

void todo_list::keep(DeviceHandle freed) {
  const SpinGuard guard(lock_);
  std::swap(freed_[last_freed_++ % freed_.size()], freed);
}

std::vector<todo_list::entry>::iterator todo_list::find(const NetDevice* dev) {
  return std::ranges::find(entries_, dev, &entry::dev);
}

}  // namespace usernic::kernel
