// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

namespace tyllm {

/// Sole owner of a C handle. Traits: `using Type`, `static constexpr Type kNone`, `static void
/// Close(Type)`.
template <typename Traits>
class UniqueHandle {
 public:
  using Type = typename Traits::Type;

  UniqueHandle() = default;

  explicit UniqueHandle(Type handle) : handle_(handle) {}

  UniqueHandle(UniqueHandle&& other) noexcept : handle_(other.Release()) {}

  UniqueHandle& operator=(UniqueHandle&& other) noexcept {
    if (this != &other) {
      Reset(other.Release());
    }
    return *this;
  }

  ~UniqueHandle() { Reset(); }

  Type get() const { return handle_; }

  explicit operator bool() const { return handle_ != Traits::kNone; }

  Type Release() { return std::exchange(handle_, Traits::kNone); }

  void Reset(Type handle = Traits::kNone) {
    if (handle_ != Traits::kNone) {
      Traits::Close(handle_);
    }
    handle_ = handle;
  }

 private:
  Type handle_ = Traits::kNone;
};

struct FdTraits {
  using Type = int;
  static constexpr int kNone = -1;
  static void Close(int fd);
};

/// A file descriptor, closed when it goes out of scope.
using Fd = UniqueHandle<FdTraits>;

}  // namespace tyllm
