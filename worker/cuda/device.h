// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "worker/tensor/backend.h"

namespace tyllm::cuda {

/// Throws tensor::DeviceError that names the call and what CUDA says.
void Check(cudaError_t error, const char* call);
void Check(cublasStatus_t status, const char* call);

class Device;

/// Memory of a device for some T, freed in the order of its stream.
template <typename T>
class Buffer {
 public:
  Buffer() = default;
  Buffer(Device& device, std::int64_t count);

  Buffer(Buffer&& other) noexcept
      : device_(std::exchange(other.device_, nullptr)),
        data_(std::exchange(other.data_, nullptr)) {}

  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    return *this;
  }

  ~Buffer();

  T* get() const { return data_; }

 private:
  Device* device_ = nullptr;
  T* data_ = nullptr;
};

/// One GPU: a stream of work, cuBLAS, and its memory. Work is enqueued; Finish waits for it.
class Device {
 public:
  explicit Device(int number);
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device();

  int number() const { return number_; }

  cudaStream_t stream() const { return stream_; }

  cublasHandle_t blas() const { return blas_; }

  /// To be called first by every thread that uses the device.
  void Use() const;
  void* Allocate(std::int64_t bytes, cudaStream_t stream);
  void Free(void* memory);
  /// Waits, and tells what went wrong since the last time.
  void Finish();
  std::int64_t PeakBytes() const;
  /// Of the device's memory, what no program uses, and what this one holds without using it.
  std::int64_t FreeBytes() const;

  template <typename T>
  Buffer<T> Make(std::int64_t count) {
    return Buffer<T>(*this, count);
  }

  /// A copy of numbers of the host.
  template <typename T>
  Buffer<T> Send(std::span<const T> numbers) {
    Buffer<T> buffer(*this, static_cast<std::int64_t>(numbers.size()));
    CopyIn(buffer.get(), numbers.data(), numbers.size_bytes());
    return buffer;
  }

  /// Waits for the numbers.
  template <typename T>
  std::vector<T> Receive(const T* from, std::int64_t count) {
    std::vector<T> numbers(static_cast<std::size_t>(count));
    CopyOut(numbers.data(), from, numbers.size() * sizeof(T));
    return numbers;
  }

  void CopyIn(void* to, const void* from, std::size_t bytes);
  void CopyOut(void* to, const void* from, std::size_t bytes);

 private:
  int number_;
  cudaStream_t stream_ = nullptr;
  cublasHandle_t blas_ = nullptr;
  cudaMemPool_t pool_ = nullptr;
  void* workspace_ = nullptr;
  void* pinned_ = nullptr;  ///< for copies to the host
};

template <typename T>
Buffer<T>::Buffer(Device& device, std::int64_t count)
    : device_(&device),
      data_(static_cast<T*>(
          device.Allocate(count * static_cast<std::int64_t>(sizeof(T)), device.stream()))) {}

template <typename T>
Buffer<T>::~Buffer() {
  if (data_ != nullptr) {
    device_->Free(data_);
  }
}

/// Room of a tensor::Matrix.
class MatrixBlock final : public tensor::DeviceBlock {
 public:
  MatrixBlock(Device& device, std::int64_t floats, cudaStream_t stream)
      : device_(device),
        data_(static_cast<float*>(device.Allocate(floats * 4, stream))),
        capacity_(floats) {}

  MatrixBlock(const MatrixBlock&) = delete;
  MatrixBlock& operator=(const MatrixBlock&) = delete;

  ~MatrixBlock() override { device_.Free(data_); }

  float* data() override { return data_; }

  std::int64_t capacity() const override { return capacity_; }

  void Grow(std::int64_t floats) override {
    device_.Free(data_);
    data_ = nullptr;
    data_ = static_cast<float*>(device_.Allocate(floats * 4, device_.stream()));
    capacity_ = floats;
  }

 private:
  Device& device_;
  float* data_;
  std::int64_t capacity_;
};

}  // namespace tyllm::cuda
