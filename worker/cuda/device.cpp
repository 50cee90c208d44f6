// SPDX-License-Identifier: Apache-2.0
#include "worker/cuda/device.h"

#include <algorithm>
#include <cstring>

namespace tyllm::cuda {

namespace {

/// cuBLAS computes the same on every run when its workspace does not change.
constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;
/// Copies to the host go through pinned memory of this size.
constexpr std::size_t kPinnedBytes = std::size_t{64} << 20;

}  // namespace

void Check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) {
    return;
  }
  cudaGetLastError();  // do not report it again
  std::string message = std::string(call) + ": " + cudaGetErrorString(error);
  if (error == cudaErrorMemoryAllocation) {
    message += "; use fewer samples, or a GPU with more free memory (tyllm devices)";
  }
  throw tensor::DeviceError(error == cudaErrorMemoryAllocation, std::move(message));
}

void Check(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw tensor::DeviceError(status == CUBLAS_STATUS_ALLOC_FAILED,
                              std::string(call) + ": " + cublasGetStatusString(status));
  }
}

Device::Device(int number) : number_(number) {
  Use();
  Check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
  Check(cudaDeviceGetDefaultMemPool(&pool_, number), "cudaDeviceGetDefaultMemPool");
  std::uint64_t keep = UINT64_MAX;  // memory that was freed is taken again, never given back
  Check(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep),
        "cudaMemPoolSetAttribute");
  Check(cublasCreate(&blas_), "cublasCreate");
  Check(cublasSetStream(blas_, stream_), "cublasSetStream");
  Check(cudaMalloc(&workspace_, kWorkspaceBytes), "cudaMalloc");
  Check(cublasSetWorkspace(blas_, workspace_, kWorkspaceBytes), "cublasSetWorkspace");
  Check(cudaMallocHost(&pinned_, kPinnedBytes), "cudaMallocHost");
}

Device::~Device() {
  cudaSetDevice(number_);
  if (stream_ != nullptr) {
    cudaStreamSynchronize(stream_);
  }
  if (blas_ != nullptr) {
    cublasDestroy(blas_);
  }
  cudaFree(workspace_);
  cudaFreeHost(pinned_);
  if (stream_ != nullptr) {
    cudaStreamDestroy(stream_);
  }
}

void Device::Use() const {
  Check(cudaSetDevice(number_), "cudaSetDevice");
}

void* Device::Allocate(std::int64_t bytes, cudaStream_t stream) {
  void* memory = nullptr;
  if (bytes > 0) {
    Check(cudaMallocAsync(&memory, static_cast<std::size_t>(bytes), stream), "cudaMallocAsync");
  }
  return memory;
}

void Device::Free(void* memory) {
  if (memory != nullptr) {
    cudaFreeAsync(memory, stream_);
  }
}

void Device::Finish() {
  Check(cudaGetLastError(), "a kernel launch");
  Check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
}

std::int64_t Device::PeakBytes() const {
  std::uint64_t bytes = 0;
  cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrUsedMemHigh, &bytes);
  return static_cast<std::int64_t>(bytes + kWorkspaceBytes);
}

std::int64_t Device::FreeBytes() const {
  std::size_t free = 0;
  std::size_t all = 0;
  Use();
  Check(cudaMemGetInfo(&free, &all), "cudaMemGetInfo");
  std::uint64_t reserved = 0;
  std::uint64_t used = 0;
  cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &reserved);
  cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrUsedMemCurrent, &used);
  return static_cast<std::int64_t>(free + (reserved - used));
}

void Device::CopyIn(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) {
    Check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_), "cudaMemcpyAsync");
  }
}

void Device::CopyOut(void* to, const void* from, std::size_t bytes) {
  Check(cudaGetLastError(), "a kernel launch");
  for (std::size_t done = 0; done < bytes; done += kPinnedBytes) {
    const std::size_t part = std::min(kPinnedBytes, bytes - done);
    Check(cudaMemcpyAsync(pinned_, static_cast<const char*>(from) + done, part,
                          cudaMemcpyDeviceToHost, stream_),
          "cudaMemcpyAsync");
    Check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    std::memcpy(static_cast<char*>(to) + done, pinned_, part);
  }
}

}  // namespace tyllm::cuda
