// SPDX-License-Identifier: Apache-2.0 OR MIT
#include "sim/fiber.h"

#include <cxxabi.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#define USERNIC_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define USERNIC_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define USERNIC_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define USERNIC_TSAN 1
#endif
#endif

#ifdef USERNIC_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef USERNIC_TSAN
#include <sanitizer/tsan_interface.h>

#include <utility>
#endif

namespace usernic::sim {
namespace {

constexpr size_t kPage = 4096;
#ifdef USERNIC_ASAN
constexpr size_t kStackBytes = 512 * 1024;
#else
constexpr size_t kStackBytes = 128 * 1024;
#endif

// What __cxa_get_globals points to [Itanium C++ ABI, 2.2.2].
struct RuntimeExceptions {
  void* caught;
  unsigned uncaught;
};
RuntimeExceptions& runtime_exceptions() noexcept {
  return *reinterpret_cast<RuntimeExceptions*>(abi::__cxa_get_globals());
}

std::vector<std::unique_ptr<Stack>>& free_stacks() {
  static auto* const stacks = new std::vector<std::unique_ptr<Stack>>;
  return *stacks;
}

}  // namespace

Stack::Stack()
    : memory_(::mmap(nullptr, kStackBytes + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
  if (memory_ == MAP_FAILED || ::mprotect(memory_, kPage, PROT_NONE) != 0) std::abort();
}
Stack::~Stack() {
  ::munmap(memory_, kStackBytes + kPage);
}
void* Stack::bottom() const noexcept {
  return static_cast<char*>(memory_) + kPage;
}
void* Stack::top() const noexcept {
  return static_cast<char*>(bottom()) + kStackBytes;
}
size_t Stack::size() noexcept {
  return kStackBytes;
}

std::unique_ptr<Stack> StackPool::take() {
  if (free_stacks().empty()) return std::make_unique<Stack>();
  auto stack = std::move(free_stacks().back());
  free_stacks().pop_back();
  return stack;
}
void StackPool::give(std::unique_ptr<Stack> stack) {
#ifdef USERNIC_ASAN
  __asan_unpoison_memory_region(stack->bottom(), Stack::size());  // the last frames never returned
#endif
  free_stacks().push_back(std::move(stack));
}
void StackPool::abandon(std::unique_ptr<Stack> stack) {
#ifdef USERNIC_ASAN
  __lsan_register_root_region(stack->bottom(), Stack::size());
#endif
  static auto* const abandoned = new std::vector<std::unique_ptr<Stack>>;
  abandoned->push_back(std::move(stack));
}

Fiber::Fiber(uint32_t the_number, std::string the_name, std::move_only_function<void()> the_body)
    : number(the_number), name(std::move(the_name)), body(std::move(the_body)), stack_(StackPool::take()) {
  stack_bottom_ = stack_->bottom();
  stack_size_ = Stack::size();
  context_ = boost::context::detail::make_fcontext(stack_->top(), Stack::size(), &Fiber::enter);
#ifdef USERNIC_TSAN
  tsan_ = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
#ifdef USERNIC_TSAN
  if (stack_ != nullptr) __tsan_destroy_fiber(tsan_);
#endif
  if (stack_ != nullptr) StackPool::give(std::move(stack_));
}

void Fiber::abandon_stack() {
  if (stack_ != nullptr) StackPool::abandon(std::move(stack_));
}

bool Fiber::exception_in_flight() noexcept {
  const RuntimeExceptions& exceptions = runtime_exceptions();
  return exceptions.caught != nullptr || exceptions.uncaught != 0;
}

void Fiber::change(Fiber& from, Fiber& to, [[maybe_unused]] bool dying) {
  RuntimeExceptions& exceptions = runtime_exceptions();
  from.exceptions_ = {exceptions.caught, exceptions.uncaught};
  exceptions = {to.exceptions_.caught, to.exceptions_.uncaught};
  to.came_from_ = &from;  // not on the stack: AddressSanitizer takes a dying fiber's at once
#ifdef USERNIC_ASAN
  __sanitizer_start_switch_fiber(dying ? nullptr : &from.fake_stack_, to.stack_bottom_, to.stack_size_);
#endif
#ifdef USERNIC_TSAN
  if (from.tsan_ == nullptr) from.tsan_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(to.tsan_, 0);
#endif
  const auto transfer = boost::context::detail::jump_fcontext(to.context_, &to);
  static_cast<Fiber*>(transfer.data)->arrived(transfer.fctx);  // back
}

void Fiber::arrived(boost::context::detail::fcontext_t from_context) noexcept {
#ifdef USERNIC_ASAN
  const void* bottom = nullptr;
  size_t size = 0;
  __sanitizer_finish_switch_fiber(fake_stack_, &bottom, &size);
  if (came_from_->stack_bottom_ == nullptr) {  // the thread's own stack
    came_from_->stack_bottom_ = bottom;
    came_from_->stack_size_ = size;
  }
#endif
  came_from_->context_ = from_context;
}

void Fiber::enter(boost::context::detail::transfer_t transfer) {
  Fiber& me = *static_cast<Fiber*>(transfer.data);
  me.arrived(transfer.fctx);
  me.on_start(me);
  std::abort();  // on_start ends by changing to another fiber
}

}  // namespace usernic::sim
