// SPDX-License-Identifier: Apache-2.0
#include "worker/cuda/products.h"

#include <algorithm>
#include <array>

#include "worker/cuda/kernels/sums.h"

namespace tyllm::cuda {

namespace {

/// Below this many rows reading the operands takes longer than multiplying.
constexpr std::int64_t kFewRows = 64;
/// Numbers of an operand that are split at once.
constexpr std::int64_t kSplitNumbers = std::int64_t{32} << 20;

int Int(std::int64_t n) {
  return static_cast<int>(n);
}

/// Rows of `width` numbers that are split at once, of `rows`.
std::int64_t RowsAtOnce(std::int64_t rows, std::int64_t width) {
  return std::clamp<std::int64_t>(kSplitNumbers / width, 1, rows);
}

/// The planes of a matrix.
class Planes {
 public:
  Planes(Device& device, Exactness exactness, std::int64_t numbers) : device_(device) {
    const int count = exactness == Exactness::kTwoPlanes ? 2 : 3;
    for (int i = 0; i < count; ++i) {
      planes_.push_back(device.Make<__nv_bfloat16>(numbers));
    }
  }

  void Take(const float* x, std::int64_t numbers) {
    SplitPlanes(x, numbers, plane(0), plane(1), planes_.size() > 2 ? plane(2) : nullptr,
                device_.stream());
  }

  __nv_bfloat16* plane(std::size_t i) const { return planes_[i].get(); }

 private:
  Device& device_;
  std::vector<Buffer<__nv_bfloat16>> planes_;
};

/// Planes whose products are added up; the rest is too small to matter.
struct PlanePair {
  std::size_t a;
  std::size_t b;
};

constexpr std::array kPairs = {PlanePair{0, 0}, PlanePair{1, 0}, PlanePair{0, 1},
                               PlanePair{1, 1}, PlanePair{2, 0}, PlanePair{0, 2}};

std::span<const PlanePair> PairsOf(Exactness exactness) {
  return std::span(kPairs).first(exactness == Exactness::kTwoPlanes ? 3 : 6);
}

/// Row-major out [rows, columns] (+)= factor * a b^T of bfloat16. cuBLAS thinks in columns, so the
/// operands change places.
struct HalfOperand {
  const __nv_bfloat16* data = nullptr;
  std::int64_t stride = 0;
};

void MultiplyHalf(const Device& device, cublasOperation_t op_a, cublasOperation_t op_b,
                  const ProductShape& shape, HalfOperand a, HalfOperand b, float factor, float keep,
                  float* out, std::int64_t out_stride) {
  Check(cublasGemmEx(device.blas(), op_b, op_a, Int(shape.columns), Int(shape.rows),
                     Int(shape.depth), &factor, b.data, CUDA_R_16BF, Int(b.stride), a.data,
                     CUDA_R_16BF, Int(a.stride), &keep, out, CUDA_R_32F, Int(out_stride),
                     CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
        "cublasGemmEx");
}

}  // namespace

void Products::Transposed(Exactness exactness, const ProductShape& shape, const float* a,
                          const float* b, bool add, float* out) {
  const std::int64_t depth = shape.depth;
  if (shape.rows < kFewRows) {
    SingleTransposed(shape, {a, depth}, {b, depth}, 1.0F, add ? 1.0F : 0.0F, out, shape.columns);
    return;
  }
  const std::int64_t a_rows = RowsAtOnce(shape.rows, depth);
  const std::int64_t b_rows = RowsAtOnce(shape.columns, depth);
  Planes a_planes(device_, exactness, a_rows * depth);
  Planes b_planes(device_, exactness, b_rows * depth);
  for (std::int64_t row = 0; row < shape.rows; row += a_rows) {
    const std::int64_t rows = std::min(a_rows, shape.rows - row);
    a_planes.Take(a + row * depth, rows * depth);
    for (std::int64_t column = 0; column < shape.columns; column += b_rows) {
      const std::int64_t columns = std::min(b_rows, shape.columns - column);
      if (row == 0 || b_rows < shape.columns) {
        b_planes.Take(b + column * depth, columns * depth);
      }
      float keep = add ? 1.0F : 0.0F;
      for (const PlanePair pair : PairsOf(exactness)) {
        MultiplyHalf(device_, CUBLAS_OP_N, CUBLAS_OP_T, {rows, columns, depth},
                     {a_planes.plane(pair.a), depth}, {b_planes.plane(pair.b), depth}, 1.0F, keep,
                     out + row * shape.columns + column, shape.columns);
        keep = 1.0F;
      }
    }
  }
}

void Products::HalfGram(const float* x, std::int64_t tokens, std::int64_t n, float* part) {
  const std::int64_t at_once = RowsAtOnce(tokens, n);
  Planes planes(device_, Exactness::kTwoPlanes, at_once * n);
  for (std::int64_t first = 0; first < tokens; first += at_once) {
    const std::int64_t count = std::min(at_once, tokens - first);
    planes.Take(x + first * n, count * n);
    const ProductShape shape{n, n, count};
    MultiplyHalf(device_, CUBLAS_OP_T, CUBLAS_OP_N, shape, {planes.plane(0), n},
                 {planes.plane(0), n}, 0.5F, first > 0 ? 1.0F : 0.0F, part, n);
    MultiplyHalf(device_, CUBLAS_OP_T, CUBLAS_OP_N, shape, {planes.plane(0), n},
                 {planes.plane(1), n}, 1.0F, 1.0F, part, n);
  }
}

void Products::Crossed(const ProductShape& shape, const float* a, const float* b, float* out) {
  const std::int64_t at_once =
      RowsAtOnce(shape.depth, std::max<std::int64_t>(shape.rows, shape.columns));
  Planes a_planes(device_, Exactness::kTwoPlanes, at_once * shape.rows);
  Planes b_planes(device_, Exactness::kTwoPlanes, at_once * shape.columns);
  for (std::int64_t first = 0; first < shape.depth; first += at_once) {
    const std::int64_t count = std::min(at_once, shape.depth - first);
    a_planes.Take(a + first * shape.rows, count * shape.rows);
    b_planes.Take(b + first * shape.columns, count * shape.columns);
    float keep = first > 0 ? 1.0F : 0.0F;
    for (const PlanePair pair : PairsOf(Exactness::kTwoPlanes)) {
      MultiplyHalf(device_, CUBLAS_OP_T, CUBLAS_OP_N, {shape.rows, shape.columns, count},
                   {a_planes.plane(pair.a), shape.rows}, {b_planes.plane(pair.b), shape.columns},
                   1.0F, keep, out, shape.columns);
      keep = 1.0F;
    }
  }
}

void Products::SolveSquare(const float* u, std::int64_t n, std::int64_t rows, float* x) {
  // cuBLAS thinks in columns: it sees the lower triangular u^T, and x^T in whose columns are rows.
  const float one = 1.0F;
  for (const cublasOperation_t op : {CUBLAS_OP_T, CUBLAS_OP_N}) {
    Check(cublasStrsm(device_.blas(), CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_LOWER, op,
                      CUBLAS_DIAG_NON_UNIT, Int(n), Int(rows), &one, u, Int(n), x, Int(n)),
          "cublasStrsm");
  }
}

void Products::QuadraticForms(Exactness exactness, const float* a, std::int64_t rows,
                              std::int64_t n, const float* g, double* out) {
  const std::int64_t at_once = RowsAtOnce(rows, n);
  const Buffer<float> product = device_.Make<float>(at_once * n);
  for (std::int64_t first = 0; first < rows; first += at_once) {
    const std::int64_t count = std::min(at_once, rows - first);
    Transposed(exactness, {count, n, n}, a + first * n, g, false, product.get());
    RowDots(product.get(), n, a + first * n, n, count, n, false, out + first, device_.stream());
  }
}

void Products::SingleTransposed(const ProductShape& shape, Tile a, Tile b, float factor, float keep,
                                float* out, std::int64_t out_stride) {
  if (shape.rows == 0 || shape.columns == 0) {
    return;
  }
  Check(cublasSgemm(device_.blas(), CUBLAS_OP_T, CUBLAS_OP_N, Int(shape.columns), Int(shape.rows),
                    Int(shape.depth), &factor, b.data, Int(b.stride), a.data, Int(a.stride), &keep,
                    out, Int(out_stride)),
        "cublasSgemm");
}

void Products::Single(const ProductShape& shape, Tile a, Tile b, float* out,
                      std::int64_t out_stride) {
  const float one = 1.0F;
  const float zero = 0.0F;
  Check(cublasSgemm(device_.blas(), CUBLAS_OP_N, CUBLAS_OP_N, Int(shape.columns), Int(shape.rows),
                    Int(shape.depth), &one, b.data, Int(b.stride), a.data, Int(a.stride), &zero,
                    out, Int(out_stride)),
        "cublasSgemm");
}

void Products::SquareOfErrors(const __nv_bfloat16* e, std::int64_t rows, std::int64_t n,
                              std::int64_t first, std::int64_t last, bool add, float* out) {
  MultiplyHalf(device_, CUBLAS_OP_T, CUBLAS_OP_N, {last - first, n - first, rows}, {e + first, n},
               {e + first, n}, 1.0F, add ? 1.0F : 0.0F, out, n - first);
}

}  // namespace tyllm::cuda
