// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include "worker/cuda/device.h"
#include "worker/tensor/matrix_products.h"

namespace tyllm::cuda {

// Here of matrices on the device.
using tensor::ProductShape;
using tensor::Tile;

/// How exact a product on tensor cores is: operands are sums of two or three numbers of bfloat16,
/// sums are float32 (docs/adr/0062).
enum class Exactness : std::uint8_t {
  kTwoPlanes,    ///< three products; wrong by about 2^-17 of the sum of |a| |b|
  kThreePlanes,  ///< six products; as good as float32
};

/// Matrix products. Those named "Single" are float32 throughout, and slower.
class Products {
 public:
  explicit Products(Device& device) : device_(device) {}

  /// out = a b^T (+ out when `add`); out [rows, columns], contiguous. Few rows: Single.
  void Transposed(Exactness exactness, const ProductShape& shape, const float* a, const float* b,
                  bool add, float* out);
  /// part [n, n] with gram = part + part^T for gram = x^T x, of two planes; x [tokens, n].
  void HalfGram(const float* x, std::int64_t tokens, std::int64_t n, float* part);
  /// out [a's columns, b's columns] = a^T b, of two planes; a and b have `depth` rows.
  void Crossed(const ProductShape& shape, const float* a, const float* b, float* out);
  /// The rows of x [rows, n] become the y with y u u^T = x; u [n, n] upper triangular. Float32.
  void SolveSquare(const float* u, std::int64_t n, std::int64_t rows, float* x);
  /// out[r] = a_r g a_r^T for the rows of a; g [n, n] symmetric.
  void QuadraticForms(Exactness exactness, const float* a, std::int64_t rows, std::int64_t n,
                      const float* g, double* out);

  /// MatrixProducts' multiply_transposed, of any factor and with any part of `out` kept.
  void SingleTransposed(const ProductShape& shape, Tile a, Tile b, float factor, float keep,
                        float* out, std::int64_t out_stride);
  /// MatrixProducts' multiply.
  void Single(const ProductShape& shape, Tile a, Tile b, float* out, std::int64_t out_stride);

  /// The part of e^T e [n, n] in the rows [first, last) and the columns [first, n), for e [rows, n]
  /// in bfloat16: out [last - first, n - first] (+= when `add`).
  void SquareOfErrors(const __nv_bfloat16* e, std::int64_t rows, std::int64_t n, std::int64_t first,
                      std::int64_t last, bool add, float* out);

 private:
  Device& device_;
};

}  // namespace tyllm::cuda
