// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace tyllm {

/// Leaves new elements as they are where nothing is said about their values.
template <typename T>
class RawAllocator : public std::allocator<T> {
 public:
  static_assert(std::is_trivially_default_constructible_v<T>);

  template <typename U>
  struct rebind {
    using other = RawAllocator<U>;
  };

  template <typename U>
  void construct(U* place) {
    ::new (static_cast<void*>(place)) U;
  }

  template <typename U, typename... Args>
  void construct(U* place, Args&&... args) {
    ::new (static_cast<void*>(place)) U(std::forward<Args>(args)...);
  }
};

/// A vector whose resize writes nothing: what it adds has any value, to be filled at once. For
/// large buffers, where filling them with zeros first takes longer than what they are for.
template <typename T>
using RawVector = std::vector<T, RawAllocator<T>>;

}  // namespace tyllm
