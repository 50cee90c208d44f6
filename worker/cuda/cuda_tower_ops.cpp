// SPDX-License-Identifier: Apache-2.0
// The operations of visual towers.
#include <algorithm>

#include "worker/cuda/cuda_backend.h"
#include "worker/cuda/kernels/attention.h"
#include "worker/cuda/kernels/elementwise.h"
#include "worker/cuda/kernels/tower.h"

namespace tyllm::cuda {

using tensor::Matrix;
using tensor::MatrixView;

void CudaBackend::LayerNorm(MatrixView x, std::span<const float> weight,
                            std::span<const float> bias, float epsilon, Matrix& out) {
  TYLLM_CHECK(static_cast<std::int64_t>(weight.size()) == x.columns);
  TYLLM_CHECK(weight.size() == bias.size() && x.columns > 0);
  device_.Use();
  Buffer<float> kept_x;
  Buffer<float> kept_weight;
  Buffer<float> kept_bias;
  const float* from = OnDevice(x.data, x.rows * x.columns, kept_x);
  const float* by = OnDevice(weight.data(), x.columns, kept_weight);
  const float* shift = OnDevice(bias.data(), x.columns, kept_bias);
  float* to = Shape(out, x.rows, x.columns);
  cuda::LayerNorm(from, x.rows, x.columns, by, shift, epsilon, to, device_.stream());
}

void CudaBackend::ApplyGelu(tensor::Gelu kind, MatrixView x, Matrix& out) {
  device_.Use();
  Buffer<float> kept;
  const std::int64_t count = x.rows * x.columns;
  const float* from = OnDevice(x.data, count, kept);
  float* to = Shape(out, x.rows, x.columns);
  switch (kind) {
    case tensor::Gelu::kErf:
      return ErfGelu(from, count, to, device_.stream());
    case tensor::Gelu::kTanh:
      return TanhGelu(from, count, to, device_.stream());
    case tensor::Gelu::kQuick:
      return QuickGelu(from, count, to, device_.stream());
  }
}

void CudaBackend::RotateBy(MatrixView rotations, std::int64_t head_size, Matrix& x) {
  TYLLM_CHECK(rotations.rows == x.rows() && rotations.columns == head_size);
  TYLLM_CHECK(x.columns() % head_size == 0);
  device_.Use();
  Buffer<float> kept;
  const float* by = OnDevice(rotations.data, rotations.rows * head_size, kept);
  Rotate(InPlace(x), x.rows(), x.columns(), nullptr, by, head_size / 2, device_.stream());
}

void CudaBackend::AttendWithin(std::span<const std::int32_t> ends, std::int64_t heads, MatrixView q,
                               MatrixView k, MatrixView v, Matrix& out) {
  TYLLM_CHECK(q.rows == k.rows && q.rows == v.rows && q.columns == k.columns);
  TYLLM_CHECK(q.columns == v.columns && q.columns % heads == 0);
  TYLLM_CHECK(!ends.empty() && ends.back() == q.rows);
  CheckHead(q.columns / heads);
  device_.Use();
  std::vector<RunTile> tiles;
  std::int32_t begin = 0;
  for (const std::int32_t end : ends) {
    for (std::int32_t first = begin; first < end; first += kQueryTile) {
      tiles.push_back({begin, end, first});
    }
    begin = end;
  }
  const Buffer<RunTile> sent = device_.Send(std::span<const RunTile>(tiles));
  Buffer<float> kept_q;
  Buffer<float> kept_k;
  Buffer<float> kept_v;
  const std::int64_t count = q.rows * q.columns;
  const float* queries = OnDevice(q.data, count, kept_q);
  const float* keys = OnDevice(k.data, count, kept_k);
  const float* values = OnDevice(v.data, count, kept_v);
  float* to = Shape(out, q.rows, q.columns);
  AttentionWithin(sent.get(), static_cast<std::int64_t>(tiles.size()), heads, q.columns / heads,
                  queries, keys, values, to, device_.stream());
}

void CudaBackend::MixRows(MatrixView table, std::span<const std::int32_t> rows,
                          std::span<const float> weights, std::int64_t each, Matrix& out) {
  TYLLM_CHECK(each > 0 && rows.size() == weights.size());
  const std::int64_t count = std::ssize(rows) / each;
  TYLLM_CHECK(count * each == std::ssize(rows));
  device_.Use();
  Buffer<float> kept;
  Buffer<float> kept_weights;
  const float* from = OnDevice(table.data, table.rows * table.columns, kept);
  const float* by = OnDevice(weights.data(), std::ssize(weights), kept_weights);
  const Buffer<std::int32_t> sent = device_.Send(rows);
  cuda::MixRows(from, sent.get(), by, each, count, table.columns, Shape(out, count, table.columns),
                device_.stream());
}

}  // namespace tyllm::cuda
