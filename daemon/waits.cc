// SPDX-License-Identifier: Apache-2.0
#include "daemon/waits.h"

#include <fmt/format.h>

namespace usernic::daemon {

Waits::~Waits() {
  for (auto& [_, job] : jobs_) job.stop.request_stop();
  while (!jobs_.empty()) end(jobs_.begin()->first);
}

void Waits::start(const ctl::Responder& to, Body body) {
  if (jobs_.size() >= kWaitsMax) return to.refuse(fmt::format("{} clients are waiting already", kWaitsMax));
  const uint64_t number = next_job_++;
  Job& job = jobs_[number];
  job.work = std::make_unique<Work>([this, number, to, body = std::move(body), stop = job.stop.token()]() mutable {
    body(to, stop);
    loop_.post([this, number] { end(number); });
  });
  to.on_gone([this, number] {
    if (const auto found = jobs_.find(number); found != jobs_.end()) found->second.stop.request_stop();
  });
  queue_.queue(*job.work);
}

void Waits::end(uint64_t number) {
  const auto found = jobs_.find(number);
  if (found == jobs_.end()) return;
  found->second.work->flush();  // it may still be on its way out
  jobs_.erase(found);
}

}  // namespace usernic::daemon
