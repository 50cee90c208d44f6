// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>

namespace tyllm {

/// Data that can be reached only while its lock is held: `auto view = cache.Lock();
/// view->insert(x);`.
template <typename T>
class Guarded {
 public:
  template <typename... Args>
  explicit Guarded(Args&&... args) : data_(std::forward<Args>(args)...) {}

  class View {
   public:
    explicit View(Guarded& owner) : lock_(owner.mutex_), owner_(&owner) {}

    T* operator->() & { return &owner_->data_; }

    T& operator*() & { return owner_->data_; }

    T* operator->() && = delete;  // a view that dies at once guards nothing
    T& operator*() && = delete;

    /// Releases the lock until `ready(data)` is true; Guarded::Notify wakes it.
    template <typename Predicate>
    void Wait(Predicate ready) {
      owner_->changed_.wait(lock_, [&] { return ready(owner_->data_); });
    }

    /// As Wait, but gives up at `deadline` and then returns false.
    template <typename TimePoint, typename Predicate>
    bool WaitUntil(TimePoint deadline, Predicate ready) {
      return owner_->changed_.wait_until(lock_, deadline, [&] { return ready(owner_->data_); });
    }

   private:
    std::unique_lock<std::mutex> lock_;
    Guarded* owner_;
  };

  View Lock() { return View(*this); }

  void Notify() { changed_.notify_all(); }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  T data_;
};

}  // namespace tyllm
