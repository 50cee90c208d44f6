// SPDX-License-Identifier: Apache-2.0
#include "worker/cuda/page_copier.h"

#include <algorithm>
#include <cstring>

#include "worker/cuda/device.h"

namespace tyllm::cuda {

namespace {

constexpr std::size_t kPageBytes = std::size_t{32} << 20;

}  // namespace

PageCopier::PageCopier() {
  Check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
  for (std::size_t i = 0; i < pages_.size(); ++i) {
    Check(cudaMallocHost(&pages_[i], kPageBytes), "cudaMallocHost");
    Check(cudaEventCreateWithFlags(&free_[i], cudaEventDisableTiming), "cudaEventCreate");
  }
}

PageCopier::~PageCopier() {
  cudaStreamSynchronize(stream_);
  for (std::size_t i = 0; i < pages_.size(); ++i) {
    cudaFreeHost(pages_[i]);
    cudaEventDestroy(free_[i]);
  }
  cudaStreamDestroy(stream_);
}

void PageCopier::Copy(std::span<const std::byte> bytes, void* to) {
  for (std::size_t done = 0; done < bytes.size(); done += kPageBytes, next_ = 1 - next_) {
    const std::size_t part = std::min(kPageBytes, bytes.size() - done);
    Check(cudaEventSynchronize(free_[next_]), "cudaEventSynchronize");
    std::memcpy(pages_[next_], bytes.data() + done, part);
    Check(cudaMemcpyAsync(static_cast<std::byte*>(to) + done, pages_[next_], part,
                          cudaMemcpyHostToDevice, stream_),
          "cudaMemcpyAsync");
    Check(cudaEventRecord(free_[next_], stream_), "cudaEventRecord");
  }
}

void PageCopier::Finish() {
  Check(cudaGetLastError(), "a kernel launch");
  Check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
}

}  // namespace tyllm::cuda
