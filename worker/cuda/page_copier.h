// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <cstddef>
#include <span>

namespace tyllm::cuda {

/// Copies bytes of mapped files to the device through two pinned pages: one is filled while the
/// other is on its way. Has a stream of its own, so that weights come while others are computed
/// with. Made and used after Device::Use. Throws tensor::DeviceError.
class PageCopier {
 public:
  PageCopier();
  PageCopier(const PageCopier&) = delete;
  PageCopier& operator=(const PageCopier&) = delete;
  ~PageCopier();

  cudaStream_t stream() const { return stream_; }

  /// Enqueues; `bytes` may go when it returns.
  void Copy(std::span<const std::byte> bytes, void* to);
  void Finish();

 private:
  cudaStream_t stream_ = nullptr;
  std::array<void*, 2> pages_ = {};
  std::array<cudaEvent_t, 2> free_ = {};
  std::size_t next_ = 0;
};

}  // namespace tyllm::cuda
