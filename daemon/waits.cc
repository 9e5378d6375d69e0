// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "daemon/waits.h"

#include <fmt/format.h>

#include <new>

namespace usernic::daemon {

Waits::~Waits() {
  for (auto& [_, job] : jobs_) job.stop.request_stop();
  while (!jobs_.empty()) end(jobs_.begin()->first);
}

void Waits::start(const ctl::Responder& to, Body body) {
  if (jobs_.size() >= kWaitsMax) return to.refuse(fmt::format("{} clients are waiting already", kWaitsMax));
  const uint64_t number = next_job_++;
  std::map<uint64_t, Job> fresh;
  Job& job = fresh[number];
  job.ended = ctl::EventLoop::prepare([this, number, to] {
    to.close_unanswered();
    end(number);
  });
  job.work = std::make_unique<Work>([this, &job, to, body = std::move(body)]() mutable {
    try {
      body(to, job.stop.token());
    } catch (const std::bad_alloc&) {  // no answer, then
    }
    loop_.post(std::move(job.ended));
  });
  to.on_gone([this, number] {
    if (const auto found = jobs_.find(number); found != jobs_.end()) found->second.stop.request_stop();
  });
  jobs_.merge(fresh);  // from here on nothing can fail
  queue_.queue(*job.work);
}

void Waits::end(uint64_t number) {
  const auto found = jobs_.find(number);
  if (found == jobs_.end()) return;
  found->second.work->flush();  // it may still be on its way out
  jobs_.erase(found);
}

}  // namespace usernic::daemon
