// SPDX-License-Identifier: Apache-2.0
// The products of steady_products.h for vectors of kLanes floats, included once by the source file
// of each instruction set, which says before what a vector is (Floats, Load, Store, Fill, Add,
// Times, MultiplyAdd) and how many rows of sums fit the registers (kSumRows). Everything is in an
// unnamed namespace and nothing of the standard library's templates is used: code compiled for
// AVX2 must not become the linker's choice for another file.
#pragma once

#include "worker/tensor/matrix_products.h"

namespace tyllm::tensor {
namespace {

/// Products of a chain. Part of the definition: another number gives other bits.
constexpr std::int64_t kRun = 256;
/// The rest is for speed alone. Columns of a packed panel, which stays in the first cache.
constexpr std::int64_t kPanel = 16;
constexpr std::int64_t kVectors = kPanel / kLanes;
/// Rows that are packed at once, and stay in the second cache.
constexpr std::int64_t kMostRows = 128;

/// An operand of which element (i, k) is data[i * across + k * along]; sums go along k.
struct Operand {
  const float* data;
  std::int64_t across;
  std::int64_t along;
};

struct Target {
  float* data;
  std::int64_t stride;
  float factor;
  bool add;  ///< to what is there
};

std::int64_t Fewer(std::int64_t a, std::int64_t b) {
  return a < b ? a : b;
}

/// to[k * width + i] = element (i, k), i < count <= width; zeros in the rest.
void Pack(Operand from, std::int64_t count, std::int64_t depth, std::int64_t width, float* to) {
  if (from.across == 1) {
    for (std::int64_t k = 0; k < depth; ++k) {
      for (std::int64_t i = 0; i < width; ++i) {
        to[k * width + i] = i < count ? from.data[k * from.along + i] : 0.0F;
      }
    }
    return;
  }
  std::int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const float* const a = from.data + i * from.across;
    const float* const b = a + from.across;
    const float* const c = b + from.across;
    const float* const d = c + from.across;
    for (std::int64_t k = 0; k < depth; ++k) {
      float* const at = to + k * width + i;
      at[0] = a[k * from.along];
      at[1] = b[k * from.along];
      at[2] = c[k * from.along];
      at[3] = d[k * from.along];
    }
  }
  for (; i < width; ++i) {
    for (std::int64_t k = 0; k < depth; ++k) {
      to[k * width + i] = i < count ? from.data[i * from.across + k * from.along] : 0.0F;
    }
  }
}

/// `Rows` rows and a panel of columns of a run. a is packed to a width of kSumRows.
template <std::int64_t Rows>
void MultiplyPanel(const float* a, const float* panel, std::int64_t depth, Target out,
                   std::int64_t columns) {
  Floats sums[Rows][kVectors];
  for (std::int64_t r = 0; r < Rows; ++r) {
    for (std::int64_t v = 0; v < kVectors; ++v) {
      sums[r][v] = Fill(0.0F);
    }
  }
  for (std::int64_t k = 0; k < depth; ++k) {
    Floats b[kVectors];
    for (std::int64_t v = 0; v < kVectors; ++v) {
      b[v] = Load(panel + k * kPanel + v * kLanes);
    }
    for (std::int64_t r = 0; r < Rows; ++r) {
      const Floats x = Fill(a[k * kSumRows + r]);
      for (std::int64_t v = 0; v < kVectors; ++v) {
        sums[r][v] = MultiplyAdd(x, b[v], sums[r][v]);
      }
    }
  }
  const Floats factor = Fill(out.factor);
  for (std::int64_t r = 0; r < Rows; ++r) {
    float row[kPanel] = {};
    float* const to = out.data + r * out.stride;
    float* const at = columns == kPanel ? to : row;
    if (out.add && columns < kPanel) {
      __builtin_memcpy(row, to, static_cast<unsigned long>(columns) * sizeof(float));
    }
    for (std::int64_t v = 0; v < kVectors; ++v) {
      const Floats sum = Times(sums[r][v], factor);
      Store(at + v * kLanes, out.add ? Add(Load(at + v * kLanes), sum) : sum);
    }
    if (columns < kPanel) {
      __builtin_memcpy(to, row, static_cast<unsigned long>(columns) * sizeof(float));
    }
  }
}

/// The same for `rows` <= Rows.
template <std::int64_t Rows>
void MultiplyRows(std::int64_t rows, const float* a, const float* panel, std::int64_t depth,
                  Target out, std::int64_t columns) {
  if constexpr (Rows > 1) {
    if (rows < Rows) {
      return MultiplyRows<Rows - 1>(rows, a, panel, depth, out, columns);
    }
  }
  MultiplyPanel<Rows>(a, panel, depth, out, columns);
}

/// One run of the sums of at most kMostRows rows.
void MultiplyRun(std::int64_t rows, std::int64_t columns, std::int64_t depth, Operand a, Operand b,
                 Target out) {
  alignas(64) float packed[(kMostRows + kSumRows) * kRun];
  alignas(64) float panel[kPanel * kRun];
  for (std::int64_t r = 0; r < rows; r += kSumRows) {
    Pack({a.data + r * a.across, a.across, a.along}, Fewer(kSumRows, rows - r), depth, kSumRows,
         packed + r * kRun);
  }
  for (std::int64_t c = 0; c < columns; c += kPanel) {
    const std::int64_t count = Fewer(kPanel, columns - c);
    Pack({b.data + c * b.across, b.across, b.along}, count, depth, kPanel, panel);
    for (std::int64_t r = 0; r < rows; r += kSumRows) {
      MultiplyRows<kSumRows>(Fewer(kSumRows, rows - r), packed + r * kRun, panel, depth,
                             {out.data + r * out.stride + c, out.stride, out.factor, out.add},
                             count);
    }
  }
}

void Product(const ProductShape& shape, Operand a, Operand b, Target out) {
  for (std::int64_t r = 0; r < shape.rows; r += kMostRows) {
    const std::int64_t rows = Fewer(kMostRows, shape.rows - r);
    std::int64_t k = 0;
    do {  // once for sums of nothing
      MultiplyRun(rows, shape.columns, Fewer(kRun, shape.depth - k),
                  {a.data + r * a.across + k * a.along, a.across, a.along},
                  {b.data + k * b.along, b.across, b.along},
                  {out.data + r * out.stride, out.stride, out.factor, out.add || k > 0});
      k += kRun;
    } while (k < shape.depth);
  }
}

void MultiplyTransposedHere(const ProductShape& shape, Tile a, Tile b, float factor, float keep,
                            float* out, std::int64_t out_stride) {
  Product(shape, {a.data, a.stride, 1}, {b.data, b.stride, 1},
          {out, out_stride, factor, keep != 0.0F});
}

void MultiplyHere(const ProductShape& shape, Tile a, Tile b, float* out, std::int64_t out_stride) {
  Product(shape, {a.data, a.stride, 1}, {b.data, 1, b.stride}, {out, out_stride, 1.0F, false});
}

void AccumulateTransposedHere(const ProductShape& shape, Tile a, Tile b, float* out,
                              std::int64_t out_stride) {
  Product(shape, {a.data, 1, a.stride}, {b.data, 1, b.stride}, {out, out_stride, 1.0F, true});
}

void AccumulateSquareHere(std::int64_t columns, std::int64_t depth, Tile a, float* out,
                          std::int64_t out_stride) {
  AccumulateTransposedHere({columns, columns, depth}, a, a, out, out_stride);
}

constexpr MatrixProducts ProductsNamed(const char* name) {
  return {name, MultiplyTransposedHere, MultiplyHere, AccumulateSquareHere,
          AccumulateTransposedHere};
}

}  // namespace
}  // namespace tyllm::tensor
