// SPDX-License-Identifier: Apache-2.0
// Loaded before the C library (LD_PRELOAD): the wall clock of this process is off by as many
// nanoseconds as the file says that CLOCK_SHIFT_FILE names, from one moment to the next. Clocks
// that never jump are left alone.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

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

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const int result = RealClock(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    const std::int64_t now = time->tv_sec * kNanos + time->tv_nsec + Shift();
    time->tv_sec = now / kNanos;
    time->tv_nsec = now % kNanos;
  }
  return result;
}

int gettimeofday(timeval* time, void* /*zone*/) noexcept {
  timespec now{};
  const int result = clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return result;
}

time_t time(time_t* to) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (to != nullptr) {
    *to = now.tv_sec;
  }
  return now.tv_sec;
}

}  // extern "C"
