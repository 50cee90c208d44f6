// SPDX-License-Identifier: Apache-2.0
// Loaded before the C library (LD_PRELOAD): the wall clock of this process is off by as many
// nanoseconds as the file says that CLOCK_SHIFT_FILE names, from one moment to the next. Clocks
// that never jump are left alone, and so is what gRPC and absl read: they sleep until times of this
// clock, which the kernel compares with its own, and no machine has two clocks.
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

namespace {

constexpr std::int64_t kNanos = 1'000'000'000;

const volatile std::int64_t* MapShift() {
  const char* const path = std::getenv("CLOCK_SHIFT_FILE");
  const int fd = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return nullptr;
  }
  void* const map = ::mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, fd, 0);
  ::close(fd);
  return map == MAP_FAILED ? nullptr : static_cast<const volatile std::int64_t*>(map);
}

std::int64_t Shift() {
  static const volatile std::int64_t* const shift = MapShift();
  return shift == nullptr ? 0 : *shift;
}

using ClockGetTime = int (*)(clockid_t, timespec*);

int RealClock(clockid_t clock, timespec* time) {
  static const auto real =
      reinterpret_cast<ClockGetTime>(::dlsym(RTLD_NEXT, "clock_gettime"));  // NOLINT
  return real(clock, time);
}

using Ranges = std::vector<std::pair<std::uintptr_t, std::uintptr_t>>;

int AddRanges(dl_phdr_info* library, std::size_t /*size*/, void* to) {
  for (const char* const name : {"/libgrpc", "/libgpr", "/libabsl"}) {
    if (std::strstr(library->dlpi_name, name) == nullptr) {
      continue;
    }
    for (int i = 0; i < library->dlpi_phnum; ++i) {
      const auto& part = library->dlpi_phdr[i];
      if (part.p_type == PT_LOAD) {
        const std::uintptr_t begin = library->dlpi_addr + part.p_vaddr;
        static_cast<Ranges*>(to)->emplace_back(begin, begin + part.p_memsz);
      }
    }
  }
  return 0;
}

/// Code of libraries that see the machine's own clock.
bool SeesTheMachinesClock(const void* caller) {
  static const Ranges kRanges = [] {
    Ranges ranges;
    ::dl_iterate_phdr(AddRanges, &ranges);
    return ranges;
  }();
  const auto at = reinterpret_cast<std::uintptr_t>(caller);  // NOLINT
  for (const auto& [begin, end] : kRanges) {
    if (at >= begin && at < end) {
      return true;
    }
  }
  return false;
}

// As `caller`, an address in it, is to see it.
int Clock(clockid_t clock, timespec* time, const void* caller) {
  const int result = RealClock(clock, time);
  const bool wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  if (result == 0 && wall && !SeesTheMachinesClock(caller)) {
    const std::int64_t now = time->tv_sec * kNanos + time->tv_nsec + Shift();
    time->tv_sec = now / kNanos;
    time->tv_nsec = now % kNanos;
  }
  return result;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  return Clock(clock, time, __builtin_return_address(0));
}

int gettimeofday(timeval* time, void* /*zone*/) noexcept {
  timespec now{};
  const int result = Clock(CLOCK_REALTIME, &now, __builtin_return_address(0));
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return result;
}

time_t time(time_t* to) noexcept {
  timespec now{};
  Clock(CLOCK_REALTIME, &now, __builtin_return_address(0));
  if (to != nullptr) {
    *to = now.tv_sec;
  }
  return now.tv_sec;
}

}  // extern "C"
