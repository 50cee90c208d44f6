// SPDX-License-Identifier: Apache-2.0
// Loaded before the C library (LD_PRELOAD): while the file is there that FULL_DISK_FILE names, a
// regular file takes no byte more (ENOSPC), as on a disk that is full. While the file is there that
// LOW_DISK_FILE names, every file system says that it has no byte free, and takes what is written.
#include <dlfcn.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdlib>

namespace {

bool IsFull(int fd) {
  static const char* const path = std::getenv("FULL_DISK_FILE");
  struct stat info{};
  return path != nullptr && ::access(path, F_OK) == 0 && ::fstat(fd, &info) == 0 &&
         S_ISREG(info.st_mode);
}

template <typename Function>
Function Real(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));  // NOLINT
}

ssize_t WriteAt(const char* name, int fd, const void* bytes, size_t size, off_t offset) {
  if (IsFull(fd)) {
    errno = ENOSPC;
    return -1;
  }
  return Real<ssize_t (*)(int, const void*, size_t, off_t)>(name)(fd, bytes, size, offset);
}

}  // namespace

extern "C" {

int statvfs(const char* path, struct statvfs* info) {
  static const auto real = Real<int (*)(const char*, struct statvfs*)>("statvfs");
  const int answer = real(path, info);
  static const char* const mark = std::getenv("LOW_DISK_FILE");
  if (answer == 0 && mark != nullptr && ::access(mark, F_OK) == 0) {
    info->f_bavail = 0;
    info->f_bfree = 0;
  }
  return answer;
}

int statvfs64(const char* path, struct statvfs64* info) {
  static const auto real = Real<int (*)(const char*, struct statvfs64*)>("statvfs64");
  const int answer = real(path, info);
  static const char* const mark = std::getenv("LOW_DISK_FILE");
  if (answer == 0 && mark != nullptr && ::access(mark, F_OK) == 0) {
    info->f_bavail = 0;
    info->f_bfree = 0;
  }
  return answer;
}

ssize_t write(int fd, const void* bytes, size_t size) {
  if (IsFull(fd)) {
    errno = ENOSPC;
    return -1;
  }
  static const auto real = Real<ssize_t (*)(int, const void*, size_t)>("write");
  return real(fd, bytes, size);
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  return WriteAt("pwrite", fd, bytes, size, offset);
}

ssize_t pwrite64(int fd, const void* bytes, size_t size, off_t offset) {
  return WriteAt("pwrite64", fd, bytes, size, offset);
}
}
