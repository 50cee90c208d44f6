// SPDX-License-Identifier: Apache-2.0
#include "worker/tensor/blas.h"

#include <cblas.h>

#include <string_view>

#include "worker/tensor/blas_core.h"

namespace tyllm::tensor {

namespace {

blasint Int(std::int64_t value) {
  return static_cast<blasint>(value);
}

}  // namespace

void PrepareBlas() {
  [[maybe_unused]] static const bool kPrepared = [] {
    ::openblas_set_num_threads(1);
    const std::string_view better = BetterBlasCore(BlasCore(), InstructionsOfThisProcessor());
    if (!better.empty()) {
      PreferBlasCore(better);
    }
    return true;
  }();
}

void MultiplyTransposed(const ProductShape& shape, Tile a, Tile b, float factor, float keep,
                        float* out, std::int64_t out_stride) {
  if (shape.rows == 1) {
    ::cblas_sgemv(CblasRowMajor, CblasNoTrans, Int(shape.columns), Int(shape.depth), factor, b.data,
                  Int(b.stride), a.data, 1, keep, out, 1);
    return;
  }
  ::cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, Int(shape.rows), Int(shape.columns),
                Int(shape.depth), factor, a.data, Int(a.stride), b.data, Int(b.stride), keep, out,
                Int(out_stride));
}

void Multiply(const ProductShape& shape, Tile a, Tile b, float* out, std::int64_t out_stride) {
  ::cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, Int(shape.rows), Int(shape.columns),
                Int(shape.depth), 1.0F, a.data, Int(a.stride), b.data, Int(b.stride), 0.0F, out,
                Int(out_stride));
}

void AccumulateProduct(const ProductShape& shape, Tile a, Tile b, float* out,
                       std::int64_t out_stride) {
  ::cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, Int(shape.rows), Int(shape.columns),
                Int(shape.depth), 1.0F, a.data, Int(a.stride), b.data, Int(b.stride), 1.0F, out,
                Int(out_stride));
}

void SolveUpperTransposed(std::int64_t rows, std::int64_t columns, Tile u, float* x,
                          std::int64_t x_stride) {
  ::cblas_strsm(CblasRowMajor, CblasRight, CblasUpper, CblasTrans, CblasNonUnit, Int(rows),
                Int(columns), 1.0F, u.data, Int(u.stride), x, Int(x_stride));
}

void SolveUpper(std::int64_t rows, std::int64_t columns, Tile u, float* x, std::int64_t x_stride) {
  ::cblas_strsm(CblasRowMajor, CblasRight, CblasUpper, CblasNoTrans, CblasNonUnit, Int(rows),
                Int(columns), 1.0F, u.data, Int(u.stride), x, Int(x_stride));
}

void AccumulateSquare(std::int64_t columns, std::int64_t depth, Tile a, float* out,
                      std::int64_t out_stride) {
  ::cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, Int(columns), Int(depth), 1.0F, a.data,
                Int(a.stride), 1.0F, out, Int(out_stride));
}

void AccumulateTransposed(const ProductShape& shape, Tile a, Tile b, float* out,
                          std::int64_t out_stride) {
  ::cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, Int(shape.rows), Int(shape.columns),
                Int(shape.depth), 1.0F, a.data, Int(a.stride), b.data, Int(b.stride), 1.0F, out,
                Int(out_stride));
}

}  // namespace tyllm::tensor
