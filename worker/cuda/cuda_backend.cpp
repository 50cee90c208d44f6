// SPDX-License-Identifier: Apache-2.0
// The operations of running a model.
#include "worker/cuda/cuda_backend.h"

#include <algorithm>
#include <cstring>

#include "worker/cuda/kernels/attention.h"
#include "worker/cuda/kernels/elementwise.h"
#include "worker/cuda/kernels/sums.h"

namespace tyllm::cuda {

using tensor::Matrix;
using tensor::MatrixView;

namespace {

/// The GPU in whose memory this is; -1 for the host's.
int OwnerOf(const void* memory) {
  cudaPointerAttributes attributes{};
  Check(cudaPointerGetAttributes(&attributes, memory), "cudaPointerGetAttributes");
  return attributes.type == cudaMemoryTypeDevice ? attributes.device : -1;
}

std::int64_t Numbers(MatrixView x) {
  return x.rows * x.columns;
}

}  // namespace

CudaBackend::CudaBackend(int number)
    : device_(number), products_(device_), name_("cuda:" + std::to_string(number)) {}

void CudaBackend::Finish() {
  device_.Use();
  device_.Finish();
}

const float* CudaBackend::OnDevice(const float* numbers, std::int64_t count, Buffer<float>& kept) {
  const int owner = count == 0 ? device_.number() : OwnerOf(numbers);
  if (owner == device_.number()) {
    return numbers;
  }
  if (owner >= 0) {
    kept = device_.Make<float>(count);
    Check(cudaMemcpyPeerAsync(kept.get(), device_.number(), numbers, owner,
                              static_cast<std::size_t>(count) * sizeof(float), device_.stream()),
          "cudaMemcpyPeerAsync");
    device_.Finish();  // the other GPU may use its memory again
    return kept.get();
  }
  kept = device_.Send(std::span(numbers, static_cast<std::size_t>(count)));
  return kept.get();
}

float* CudaBackend::Shape(Matrix& out, std::int64_t rows, std::int64_t columns) {
  if (!out.on_device()) {
    out = Matrix(rows, columns,
                 std::make_unique<MatrixBlock>(device_, rows * columns, device_.stream()));
  }
  out.Reshape(rows, columns);
  return out.data();
}

float* CudaBackend::InPlace(Matrix& matrix) {
  if (!matrix.on_device()) {
    Matrix moved;
    Copy(matrix.view(), moved);
    matrix = std::move(moved);
  }
  return matrix.data();
}

Matrix CudaBackend::Zeros(std::int64_t rows, std::int64_t columns) {
  device_.Use();
  Matrix zeros;
  float* data = Shape(zeros, rows, columns);
  Check(cudaMemsetAsync(data, 0, static_cast<std::size_t>(rows * columns) * sizeof(float),
                        device_.stream()),
        "cudaMemsetAsync");
  return zeros;
}

Matrix CudaBackend::Place(Matrix matrix) {
  if (matrix.on_device()) {
    return matrix;
  }
  const std::span<const float> numbers(matrix.data(),
                                       static_cast<std::size_t>(matrix.rows() * matrix.columns()));
  return *PlaceEncoded(tensor::NumberFormat::kFloat32, std::as_bytes(numbers), matrix.rows(),
                       matrix.columns());
}

std::optional<Matrix> CudaBackend::PlaceEncoded(tensor::NumberFormat format,
                                                std::span<const std::byte> bytes, std::int64_t rows,
                                                std::int64_t columns) {
  device_.Use();
  auto copier = copier_.Lock();
  const cudaStream_t stream = copier->stream();
  const std::int64_t count = rows * columns;
  Matrix matrix(rows, columns, std::make_unique<MatrixBlock>(device_, count, stream));
  if (format == tensor::NumberFormat::kFloat32) {
    copier->Copy(bytes, matrix.data());
  } else {
    void* encoded = device_.Allocate(static_cast<std::int64_t>(bytes.size()), stream);
    copier->Copy(bytes, encoded);
    const auto decode = format == tensor::NumberFormat::kFloat16 ? DecodeHalf : DecodeBFloat16;
    decode(static_cast<const std::uint16_t*>(encoded), count, matrix.data(), stream);
    Check(cudaFreeAsync(encoded, stream), "cudaFreeAsync");
  }
  copier->Finish();
  return matrix;
}

Matrix CudaBackend::Fetch(MatrixView matrix) {
  device_.Use();
  Matrix fetched(matrix.rows, matrix.columns);
  const auto bytes = static_cast<std::size_t>(Numbers(matrix)) * sizeof(float);
  if (bytes > 0 && OwnerOf(matrix.data) < 0) {
    std::memcpy(fetched.data(), matrix.data, bytes);
  } else {
    device_.CopyOut(fetched.data(), matrix.data, bytes);
  }
  return fetched;
}

void CudaBackend::Copy(MatrixView x, Matrix& out) {
  device_.Use();
  float* to = Shape(out, x.rows, x.columns);
  Check(cudaMemcpyAsync(to, x.data, static_cast<std::size_t>(Numbers(x)) * sizeof(float),
                        cudaMemcpyDefault, device_.stream()),
        "cudaMemcpyAsync");
}

void CudaBackend::AppendRows(MatrixView more, Matrix& to) {
  device_.Use();
  TYLLM_CHECK(to.rows() == 0 || to.columns() == more.columns);
  const auto bytes_of = [&](std::int64_t rows) {
    return static_cast<std::size_t>(rows * more.columns) * sizeof(float);
  };
  Matrix all;
  float* data = Shape(all, to.rows() + more.rows, more.columns);
  if (to.rows() > 0) {
    Check(
        cudaMemcpyAsync(data, to.data(), bytes_of(to.rows()), cudaMemcpyDefault, device_.stream()),
        "cudaMemcpyAsync");
  }
  Check(cudaMemcpyAsync(data + to.rows() * more.columns, more.data, bytes_of(more.rows),
                        cudaMemcpyDefault, device_.stream()),
        "cudaMemcpyAsync");
  to = std::move(all);
}

void CudaBackend::Embed(MatrixView table, std::span<const std::int32_t> ids, Matrix& out) {
  device_.Use();
  Buffer<float> kept;
  const float* rows = OnDevice(table.data, Numbers(table), kept);
  const auto count = static_cast<std::int64_t>(ids.size());
  const Buffer<std::int32_t> sent = device_.Send(ids);
  float* to = Shape(out, count, table.columns);
  EmbedRows(rows, sent.get(), count, table.columns, to, device_.stream());
}

void CudaBackend::Linear(MatrixView x, MatrixView w, std::span<const float> bias, Matrix& out) {
  TYLLM_CHECK(x.columns == w.columns);
  TYLLM_CHECK(bias.empty() || static_cast<std::int64_t>(bias.size()) == w.rows);
  device_.Use();
  Buffer<float> kept_x;
  Buffer<float> kept_w;
  Buffer<float> kept_bias;
  const float* from = OnDevice(x.data, Numbers(x), kept_x);
  const float* weights = OnDevice(w.data, Numbers(w), kept_w);
  float* to = Shape(out, x.rows, w.rows);
  if (!bias.empty()) {
    FillRows(OnDevice(bias.data(), w.rows, kept_bias), x.rows, w.rows, to, device_.stream());
  }
  products_.Transposed(Exactness::kTwoPlanes, {x.rows, w.rows, x.columns}, from, weights,
                       !bias.empty(), to);
}

void CudaBackend::AccumulateGram(MatrixView x, Matrix& gram) {
  TYLLM_CHECK(gram.rows() == x.columns && gram.columns() == x.columns);
  device_.Use();
  Buffer<float> kept;
  const float* from = OnDevice(x.data, Numbers(x), kept);
  float* to = InPlace(gram);
  const Buffer<float> part = device_.Make<float>(x.columns * x.columns);
  products_.HalfGram(from, x.rows, x.columns, part.get());
  AddSymmetric(part.get(), x.columns, to, device_.stream());
}

void CudaBackend::RmsNorm(MatrixView x, std::span<const float> weight, float epsilon, Matrix& out) {
  const auto width = static_cast<std::int64_t>(weight.size());
  TYLLM_CHECK(width > 0 && x.columns % width == 0);
  device_.Use();
  Buffer<float> kept_x;
  Buffer<float> kept_weight;
  const float* from = OnDevice(x.data, Numbers(x), kept_x);
  const float* by = OnDevice(weight.data(), width, kept_weight);
  float* to = Shape(out, x.rows, x.columns);
  cuda::RmsNorm(from, x.rows * (x.columns / width), width, by, epsilon, to, device_.stream());
}

void CudaBackend::Rope(Matrix& x, std::span<const std::int32_t> positions,
                       std::span<const float> frequencies, std::int64_t head_size) {
  const std::int64_t half = head_size / 2;
  TYLLM_CHECK(static_cast<std::int64_t>(positions.size()) == x.rows());
  TYLLM_CHECK(static_cast<std::int64_t>(frequencies.size()) == half);
  TYLLM_CHECK(x.columns() % head_size == 0);
  if (positions.empty()) {
    return;
  }
  device_.Use();
  float* data = InPlace(x);
  const Buffer<std::int32_t> sent = device_.Send(positions);
  const Buffer<float> sent_frequencies = device_.Send(frequencies);
  // Sequences of a batch repeat their positions: each is computed once where that saves work.
  const std::int64_t distinct = std::int64_t{*std::ranges::max_element(positions)} + 1;
  const bool shared = distinct <= x.rows();
  const std::int64_t entries = shared ? distinct : x.rows();
  const Buffer<float> rotations = device_.Make<float>(entries * head_size);
  FillRotations(shared ? nullptr : sent.get(), entries, sent_frequencies.get(), half,
                rotations.get(), device_.stream());
  Rotate(data, x.rows(), x.columns(), shared ? sent.get() : nullptr, rotations.get(), half,
         device_.stream());
}

void CudaBackend::CheckHead(std::int64_t head_size) {
  if (head_size > kWidestHead) {
    throw tensor::DeviceError(false, "attention heads have " + std::to_string(head_size) +
                                         " columns, the GPU's kernel takes at most " +
                                         std::to_string(kWidestHead) + "; use --device cpu");
  }
}

void CudaBackend::Attention(const tensor::AttentionShape& shape, MatrixView q, MatrixView k,
                            MatrixView v, Matrix& out) {
  const std::int64_t keys = shape.history + shape.length;
  TYLLM_CHECK(q.rows == shape.sequences * shape.length && k.rows == shape.sequences * keys);
  TYLLM_CHECK(q.columns == shape.heads * shape.head_size && v.rows == k.rows);
  TYLLM_CHECK(k.columns == shape.kv_heads * shape.head_size && v.columns == k.columns);
  TYLLM_CHECK(shape.heads % shape.kv_heads == 0);
  CheckHead(shape.head_size);
  device_.Use();
  Buffer<float> kept_q;
  Buffer<float> kept_k;
  Buffer<float> kept_v;
  const float* queries = OnDevice(q.data, Numbers(q), kept_q);
  const float* key_rows = OnDevice(k.data, Numbers(k), kept_k);
  const float* value_rows = OnDevice(v.data, Numbers(v), kept_v);
  float* to = Shape(out, q.rows, q.columns);
  cuda::Attention({.sequences = shape.sequences,
                   .length = shape.length,
                   .history = shape.history,
                   .heads = shape.heads,
                   .kv_heads = shape.kv_heads,
                   .head_size = shape.head_size},
                  queries, key_rows, value_rows, to, device_.stream());
}

void CudaBackend::SiluMul(MatrixView gate, MatrixView up, Matrix& out) {
  TYLLM_CHECK(gate.rows == up.rows && gate.columns == up.columns);
  device_.Use();
  Buffer<float> kept_gate;
  Buffer<float> kept_up;
  const float* a = OnDevice(gate.data, Numbers(gate), kept_gate);
  const float* b = OnDevice(up.data, Numbers(up), kept_up);
  cuda::SiluMul(a, b, Numbers(gate), Shape(out, gate.rows, gate.columns), device_.stream());
}

void CudaBackend::Add(MatrixView a, MatrixView b, Matrix& out) {
  TYLLM_CHECK(a.rows == b.rows && a.columns == b.columns);
  device_.Use();
  Buffer<float> kept_a;
  Buffer<float> kept_b;
  const float* x = OnDevice(a.data, Numbers(a), kept_a);
  const float* y = OnDevice(b.data, Numbers(b), kept_b);
  cuda::Add(x, y, Numbers(a), Shape(out, a.rows, a.columns), device_.stream());
}

void CudaBackend::LogSumExp(MatrixView x, std::span<double> out) {
  TYLLM_CHECK(static_cast<std::int64_t>(out.size()) == x.rows && x.columns > 0);
  device_.Use();
  Buffer<float> kept;
  const Buffer<double> sums = device_.Make<double>(x.rows);
  cuda::LogSumExp(OnDevice(x.data, Numbers(x), kept), x.rows, x.columns, sums.get(),
                  device_.stream());
  device_.CopyOut(out.data(), sums.get(), out.size_bytes());
}

void CudaBackend::Pick(MatrixView x, std::span<const std::int32_t> columns, std::span<float> out) {
  TYLLM_CHECK(static_cast<std::int64_t>(columns.size()) == x.rows && out.size() == columns.size());
  device_.Use();
  Buffer<float> kept;
  const Buffer<std::int32_t> sent = device_.Send(columns);
  const Buffer<float> picked = device_.Make<float>(x.rows);
  cuda::Pick(OnDevice(x.data, Numbers(x), kept), x.rows, x.columns, sent.get(), picked.get(),
             device_.stream());
  device_.CopyOut(out.data(), picked.get(), out.size_bytes());
}

void CudaBackend::ArgMax(MatrixView x, std::span<std::int32_t> out) {
  TYLLM_CHECK(static_cast<std::int64_t>(out.size()) == x.rows && x.columns > 0);
  device_.Use();
  Buffer<float> kept;
  const Buffer<std::int32_t> best = device_.Make<std::int32_t>(x.rows);
  cuda::ArgMax(OnDevice(x.data, Numbers(x), kept), x.rows, x.columns, best.get(), device_.stream());
  device_.CopyOut(out.data(), best.get(), out.size_bytes());
}

void CudaBackend::KlDivergence(MatrixView p, MatrixView q, std::span<double> out) {
  TYLLM_CHECK(p.rows == q.rows && p.columns == q.columns && p.columns > 0);
  TYLLM_CHECK(static_cast<std::int64_t>(out.size()) == p.rows);
  device_.Use();
  Buffer<float> kept_p;
  Buffer<float> kept_q;
  const float* a = OnDevice(p.data, Numbers(p), kept_p);
  const float* b = OnDevice(q.data, Numbers(q), kept_q);
  const Buffer<double> sums = device_.Make<double>(p.rows);
  cuda::KlDivergence(a, b, p.rows, p.columns, sums.get(), device_.stream());
  device_.CopyOut(out.data(), sums.get(), out.size_bytes());
}

}  // namespace tyllm::cuda
