// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "worker/tensor/cpu_backend.h"

namespace tyllm::tensor::testing {

/// Of SteadyDigest(), on every machine.
inline constexpr std::uint64_t kSteadyDigest = 0xa9aeef532515bbbcU;

/// One digest (FNV-1a) of what every operation gives. Without GoogleTest, so that a program for
/// another processor can be made of it.
class SteadyDigest {
 public:
  explicit SteadyDigest(CpuBackend& backend) : backend_(backend) {}

  std::uint64_t Take() {
    AddProducts();
    AddAttention();
    AddElements();
    return digest_;
  }

 private:
  /// Uniform in [-1, 1).
  Matrix Numbers(std::int64_t rows, std::int64_t columns) {
    Matrix m(rows, columns);
    for (std::int64_t i = 0; i < rows * columns; ++i) {
      std::uint64_t x = (state_ += 0x9E3779B97F4A7C15U);
      x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9U;
      x = (x ^ (x >> 27U)) * 0x94D049BB133111EBU;
      m.data()[i] = static_cast<float>(x >> 40U) * 0x1p-23F - 1.0F;
    }
    return m;
  }

  void Add(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) {
      digest_ = (digest_ ^ static_cast<std::uint64_t>(byte)) * 0x100000001b3U;
    }
  }

  void Add(const Matrix& m) { Add(std::as_bytes(m.numbers())); }

  /// Sums of one run and of several, whole panels and parts of one, few rows and many.
  void AddProducts() {
    Matrix out;
    for (const std::int64_t depth : {1, 80, 256, 700}) {
      const Matrix w = Numbers(531, depth);
      const Matrix bias = Numbers(1, 531);
      for (const std::int64_t rows : {1, 2, 5, 12, 13, 131}) {
        const Matrix x = Numbers(rows, depth);
        backend_.Linear(x.view(), w.view(), {}, out);
        Add(out);
        backend_.Linear(x.view(), w.view(), bias.numbers(), out);
        Add(out);
      }
    }
    const Matrix x = Numbers(300, 141);
    Matrix gram(141, 141);
    backend_.AccumulateGram(x.view(), gram);
    backend_.AccumulateGram(x.view(), gram);
    Add(gram);
  }

  void AddAttention() {
    Matrix out;
    const Matrix q = Numbers(2 * 150, 6 * 20);
    const Matrix k = Numbers(2 * 157, 3 * 20);
    const Matrix v = Numbers(2 * 157, 3 * 20);
    backend_.Attention(
        {.sequences = 2, .length = 150, .history = 7, .heads = 6, .kv_heads = 3, .head_size = 20},
        q.view(), k.view(), v.view(), out);
    Add(out);
    const Matrix within = Numbers(300, 120);
    backend_.AttendWithin(std::vector<std::int32_t>{16, 16 + 270, 300}, 6, q.view(), within.view(),
                          within.view(), out);
    Add(out);
    Matrix turned = Numbers(300, 120);
    std::vector<std::int32_t> positions(300);
    for (std::size_t i = 0; i < positions.size(); ++i) {
      positions[i] = static_cast<std::int32_t>(i * i);
    }
    backend_.Rope(turned, positions, Numbers(1, 10).numbers(), 20);
    Add(turned);
    backend_.RotateBy(Numbers(300, 20).view(), 20, turned);
    Add(turned);
  }

  void AddElements() {
    Matrix out;
    Matrix x = Numbers(37, 1029);
    for (std::int64_t i = 0; i < 37 * 1029; ++i) {
      x.data()[i] *= 6.0F;
    }
    const Matrix y = Numbers(37, 1029);
    const Matrix row = Numbers(1, 1029);
    backend_.RmsNorm(x.view(), row.numbers(), 1e-6F, out);
    Add(out);
    backend_.LayerNorm(x.view(), row.numbers(), row.numbers(), 1e-6F, out);
    Add(out);
    for (const Gelu kind : {Gelu::kErf, Gelu::kTanh, Gelu::kQuick}) {
      backend_.ApplyGelu(kind, x.view(), out);
      Add(out);
    }
    backend_.SiluMul(x.view(), y.view(), out);
    Add(out);
    backend_.Add(x.view(), y.view(), out);
    Add(out);
    backend_.MixRows(x.view(), std::vector<std::int32_t>{3, 0, 36, 5},
                     std::vector<float>{0.3F, 0.7F, -0.1F, 1.1F}, 2, out);
    Add(out);
    std::vector<double> sums(37);
    backend_.LogSumExp(x.view(), sums);
    Add(std::as_bytes(std::span(sums)));
    backend_.KlDivergence(x.view(), y.view(), sums);
    Add(std::as_bytes(std::span(sums)));
  }

  CpuBackend& backend_;
  std::uint64_t state_ = 0;
  std::uint64_t digest_ = 0xcbf29ce484222325U;
};

}  // namespace tyllm::tensor::testing
