// SPDX-License-Identifier: Apache-2.0
// Rotary positions and causal attention.
#include <algorithm>
#include <cmath>

#include "common/base/portable_math.h"
#include "worker/tensor/cpu_backend.h"

namespace tyllm::tensor {

namespace {

/// Queries that one task handles: scratch memory is this many rows of scores.
constexpr std::int64_t kQueryBlock = 128;

/// Attention of the queries [first, first + count) of one head of one sequence.
struct HeadTask {
  Tile q;  ///< first query
  Tile k;  ///< first key of the sequence
  Tile v;
  float* out = nullptr;  ///< of the first query
  std::int64_t out_stride = 0;
  std::int64_t first = 0;  ///< keys that the first query sees besides its own
  std::int64_t count = 0;
  std::int64_t head_size = 0;
};

void AttendOneHead(const HeadTask& task, const VectorLoops& loops, const MatrixProducts& products,
                   std::vector<float>& scratch) {
  const std::int64_t keys = task.first + task.count;
  scratch.resize(std::max(scratch.size(), static_cast<std::size_t>(task.count * (keys + 1))));
  float* scores = scratch.data();
  float* sums = scores + task.count * keys;
  const float factor = 1.0F / std::sqrt(static_cast<float>(task.head_size));
  products.multiply_transposed({.rows = task.count, .columns = keys, .depth = task.head_size},
                               task.q, task.k, factor, 0.0F, scores, keys);
  for (std::int64_t i = 0; i < task.count; ++i) {
    float* row = scores + i * keys;
    const std::int64_t seen = task.first + i + 1;
    sums[i] = loops.exp_in_place(row, seen, loops.max(row, seen));
    std::fill(row + seen, row + keys, 0.0F);
  }
  products.multiply({.rows = task.count, .columns = task.head_size, .depth = keys}, {scores, keys},
                    task.v, task.out, task.out_stride);
  for (std::int64_t i = 0; i < task.count; ++i) {
    loops.scale(task.out + i * task.out_stride, 1.0F / sums[i], task.head_size);
  }
}

/// Sine and cosine of one position, [half] each, one after the other.
void FillRotation(std::int32_t position, std::span<const float> frequencies, float* rotation) {
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const auto angle = static_cast<double>(static_cast<float>(position) * frequencies[i]);
    rotation[i] = static_cast<float>(PortableCos(angle));
    rotation[frequencies.size() + i] = static_cast<float>(PortableSin(angle));
  }
}

void RotateHead(float* head, const float* rotation, std::int64_t half) {
  for (std::int64_t i = 0; i < half; ++i) {
    const float a = head[i];
    const float b = head[i + half];
    head[i] = a * rotation[i] - b * rotation[half + i];
    head[i + half] = b * rotation[i] + a * rotation[half + i];
  }
}

}  // namespace

void CpuBackend::Rope(Matrix& x, std::span<const std::int32_t> positions,
                      std::span<const float> frequencies, std::int64_t head_size) {
  const std::int64_t half = head_size / 2;
  TYLLM_CHECK(static_cast<std::int64_t>(positions.size()) == x.rows());
  TYLLM_CHECK(static_cast<std::int64_t>(frequencies.size()) == half);
  TYLLM_CHECK(x.columns() % head_size == 0);
  if (positions.empty()) {
    return;
  }
  // Sequences of a batch repeat their positions: each is computed once where that saves work.
  const std::int64_t distinct = std::int64_t{*std::ranges::max_element(positions)} + 1;
  const bool shared = distinct <= x.rows();
  Matrix rotations(shared ? distinct : x.rows(), head_size);
  lanes_.ForRuns(rotations.rows(), 16, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      FillRotation(shared ? static_cast<std::int32_t>(r) : positions[static_cast<std::size_t>(r)],
                   frequencies, rotations.row(r).data());
    }
  });
  lanes_.ForRuns(x.rows(), 64, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t r = first; r < last; ++r) {
      const float* rotation =
          rotations.row(shared ? positions[static_cast<std::size_t>(r)] : r).data();
      for (std::int64_t c = 0; c < x.columns(); c += head_size) {
        RotateHead(x.row(r).data() + c, rotation, half);
      }
    }
  });
}

void CpuBackend::Attention(const AttentionShape& shape, MatrixView q, MatrixView k, MatrixView v,
                           Matrix& out) {
  const std::int64_t keys = shape.history + shape.length;
  TYLLM_CHECK(q.rows == shape.sequences * shape.length && k.rows == shape.sequences * keys);
  TYLLM_CHECK(q.columns == shape.heads * shape.head_size && v.rows == k.rows);
  TYLLM_CHECK(k.columns == shape.kv_heads * shape.head_size && v.columns == k.columns);
  TYLLM_CHECK(shape.heads % shape.kv_heads == 0);
  out.Reshape(q.rows, q.columns);
  const std::int64_t blocks = (shape.length + kQueryBlock - 1) / kQueryBlock;
  lanes_.ForEach(shape.sequences * shape.heads * blocks, [&](std::int64_t number,
                                                             std::vector<float>& scratch) {
    const std::int64_t sequence = number / (shape.heads * blocks);
    const std::int64_t head = number / blocks % shape.heads;
    const std::int64_t first = (blocks - 1 - number % blocks) * kQueryBlock;  // longest first
    const std::int64_t row = sequence * shape.length + first;
    const std::int64_t q_column = head * shape.head_size;
    const std::int64_t kv_column = head / (shape.heads / shape.kv_heads) * shape.head_size;
    const std::int64_t kv_offset = sequence * keys * k.columns + kv_column;
    AttendOneHead({.q = {q.data + row * q.columns + q_column, q.columns},
                   .k = {k.data + kv_offset, k.columns},
                   .v = {v.data + kv_offset, v.columns},
                   .out = out.data() + row * q.columns + q_column,
                   .out_stride = q.columns,
                   .first = shape.history + first,
                   .count = std::min(kQueryBlock, shape.length - first),
                   .head_size = shape.head_size},
                  loops_, products_, scratch);
  });
}

}  // namespace tyllm::tensor
