// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "host/tap_ring.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "usernic/context.h"
#include "usernic/unique_fd.h"

namespace usernic {

Result<std::unique_ptr<TapRing>> TapRing::create(Submitter who) {
  std::unique_ptr<TapRing> ring(new (std::nothrow) TapRing);
  if (ring == nullptr) return fail(std::errc::not_enough_memory);
  // One operation that fails stops none of those behind it.
  io_uring_params params{.flags = IORING_SETUP_SUBMIT_ALL};
  if (who == Submitter::kCreator) params.flags |= IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
  const int made = ::io_uring_queue_init_params(kDepth, &ring->ring_, &params);
  if (made == 0) {
    ring->made_ = true;
    return ring;
  }
  // Kernels before 6.1 do not know what is said of the submitter.
  if (made == -EINVAL && who == Submitter::kCreator) return create(Submitter::kAnybody);
  return fail(static_cast<std::errc>(made == -EINVAL ? ENOSYS : -made));
}

Result<> TapRing::works_here() {
  static const Result<> works = []() -> Result<> {
    // A ring of no entries is refused last of all. None is made: when one goes, whoever used it is interrupted once.
    io_uring_params params{};
    if (::syscall(__NR_io_uring_setup, 0, &params) < 0 && errno != EINVAL) return fail(static_cast<std::errc>(errno));
    // Before Linux 6.4 a TAP says that it cannot promise not to wait; after that, while nobody has attached it, that it
    // is no interface.
    const UniqueFd tun(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
    uint8_t octet = 0;
    const iovec part{&octet, 1};
    const bool waits = tun && ::preadv2(tun.get(), &part, 1, -1, RWF_NOWAIT) < 0 && errno == EOPNOTSUPP;
    return waits ? fail(std::errc::operation_not_supported) : Result<>();
  }();
  return works;
}

TapRing::~TapRing() {
  if (made_) ::io_uring_queue_exit(&ring_);
}

USERNIC_BLOCKING_BY_DESIGN_BEGIN  // a bounded system call a batch: nothing in it waits
    void
    TapRing::add_read(int fd, std::span<const iovec> parts) noexcept {
  io_uring_sqe* const sqe = ::io_uring_get_sqe(&ring_);
  ::io_uring_prep_readv2(sqe, fd, parts.data(), static_cast<unsigned>(parts.size()), 0, RWF_NOWAIT);
  ::io_uring_sqe_set_data64(sqe, added_++);
}

void TapRing::add_write(int fd, std::span<const iovec> parts) noexcept {
  io_uring_sqe* const sqe = ::io_uring_get_sqe(&ring_);
  ::io_uring_prep_writev2(sqe, fd, parts.data(), static_cast<unsigned>(parts.size()), 0, RWF_NOWAIT);
  ::io_uring_sqe_set_data64(sqe, added_++);
}

void TapRing::add_write(int fd, std::span<const uint8_t> octets) noexcept {
  io_uring_sqe* const sqe = ::io_uring_get_sqe(&ring_);
  ::io_uring_prep_write(sqe, fd, octets.data(), static_cast<unsigned>(octets.size()), 0);
  sqe->rw_flags = RWF_NOWAIT;
  ::io_uring_sqe_set_data64(sqe, added_++);
}

uint32_t TapRing::reap() noexcept {
  uint32_t count = 0;
  unsigned head = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    results_[cqe->user_data] = cqe->res;
    ++count;
  }
  ::io_uring_cq_advance(&ring_, count);
  return count;
}

std::span<const int32_t> TapRing::submit() noexcept {
  const BlockingByDesign allowed;
  const uint32_t count = std::exchange(added_, 0);
  std::fill_n(results_.begin(), count, -ECANCELED);
  for (uint32_t ended = 0; ended < count && !broken_;) {
    const int done = ::io_uring_submit_and_wait(&ring_, count - ended);
    ended += reap();
    broken_ = done < 0 && done != -EINTR;
  }
  return {results_.data(), count};
}
USERNIC_BLOCKING_BY_DESIGN_END

}  // namespace usernic
