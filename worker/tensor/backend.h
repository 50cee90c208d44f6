// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/base/gpu_memory_error.h"
#include "common/base/result.h"
#include "worker/tensor/matrix.h"

namespace tyllm::tensor {

/// Shape of one attention call. Rows of q are the tokens of `sequences` sequences one after
/// another, each `length` tokens long; attention is causal and stays inside a sequence. Rows of k
/// and v are the same, but each sequence has `history` earlier tokens in front: token i of a
/// sequence sees the rows 0 .. history + i of it.
struct AttentionShape {
  std::int64_t sequences = 0;
  std::int64_t length = 0;
  std::int64_t history = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_size = 0;
};

/// How numbers stand in a file.
enum class NumberFormat : std::uint8_t { kFloat32, kFloat16, kBFloat16 };

/// What goes wrong on a device in the middle of the work: its memory is full, or it fails. The only
/// exception of this project, because operations give matrices and not statuses; the entrances of
/// quant/ and evaluate/ turn it into a Status or into a GpuMemoryError (CatchDeviceErrors).
class DeviceError : public std::runtime_error {
 public:
  DeviceError(bool memory_is_full, const std::string& message)
      : std::runtime_error(message), memory_is_full_(memory_is_full) {}

  bool memory_is_full() const { return memory_is_full_; }

 private:
  bool memory_is_full_;
};

/// work(), a Status or a Result, or kUnavailable with what a DeviceError in it says. Throws
/// GpuMemoryError when the device's memory is full.
template <typename F>
auto CatchDeviceErrors(F work) -> decltype(work()) {
  try {
    return work();
  } catch (const DeviceError& error) {
    const std::string message = "the GPU: " + std::string(error.what());
    if (error.memory_is_full()) {
      throw GpuMemoryError(message);
    }
    return Unavailable(message);
  }
}

/// The operations that forward/ and quant/ compute with, all float32, row-major. One object
/// computes one thing at a time (it owns a thread pool); results do not depend on the number of
/// threads. Every operation of every backend is tested against a plain double-precision reference
/// (tests/worker/tensor).
///
/// A backend may have a memory of its own. Matrices and spans of floats that go in may be there or
/// in the host's or another GPU's memory (they are copied then, each time: Place what is used
/// often; the other GPU's work on them must be done); matrices that come out are there. Token ids,
/// positions and rotary frequencies are the host's, and so are results in spans. Place and
/// PlaceEncoded may be called from one other thread at the same time.
///
/// `out` gets the shape of the result, whatever it had before. Only where an operation says so may
/// it be the matrix that an input looks at.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;

  /// Whether matrices that it makes are in another memory than the host's.
  virtual bool has_own_memory() const { return false; }

  /// Tokens of one call that keep it busy: larger batches gain nothing, smaller ones lose.
  virtual std::int64_t tokens_at_once() const { return 4096; }

  /// The most of its own memory that was in use; 0 when it has none.
  virtual std::int64_t peak_device_bytes() const { return 0; }

  /// Bytes of its own memory that nobody uses now; 0 when it has none.
  virtual std::int64_t free_device_bytes() const { return 0; }

  /// Bytes of the host's memory that the libraries and the driver of its device take at most.
  virtual std::int64_t host_bytes() const { return 0; }

  /// Waits for what was asked of it: another backend may use its matrices then.
  virtual void Finish() {}

  /// A matrix of zeros where this backend computes.
  virtual Matrix Zeros(std::int64_t rows, std::int64_t columns) = 0;
  /// A matrix of the host, moved to where this backend computes.
  virtual Matrix Place(Matrix matrix) = 0;

  /// The same from the bytes of a file; nothing when the caller has to decode them.
  virtual std::optional<Matrix> PlaceEncoded(NumberFormat /*format*/,
                                             std::span<const std::byte> /*bytes*/,
                                             std::int64_t /*rows*/, std::int64_t /*columns*/) {
    return std::nullopt;
  }

  /// A copy in the host's memory.
  virtual Matrix Fetch(MatrixView matrix) = 0;
  /// out = x, in the memory where this backend computes.
  virtual void Copy(MatrixView x, Matrix& out) = 0;
  /// Adds rows at the end of `to`; `more` has as many columns, or `to` has no rows yet.
  virtual void AppendRows(MatrixView more, Matrix& to) = 0;

  /// out[r] = table[ids[r]]; ids are in range (checked by the caller).
  virtual void Embed(MatrixView table, std::span<const std::int32_t> ids, Matrix& out) = 0;
  /// out = x * w^T (+ bias, [w.rows], may be empty). x [n, in], w [out, in], out [n, w.rows]. Wrong
  /// by less than 2^-16 of the sum of |x| |w|, and by far less on the CPU.
  virtual void Linear(MatrixView x, MatrixView w, std::span<const float> bias, Matrix& out) = 0;
  /// gram += x^T x; gram [x.columns, x.columns] is given by the caller and kept symmetric.
  virtual void AccumulateGram(MatrixView x, Matrix& gram) = 0;
  /// out[r] = x[r] / sqrt(mean(x[r]^2) + epsilon) * weight, over runs of weight.size() columns: a
  /// whole row (RMS norm) or each head of it (per-head norm).
  virtual void RmsNorm(MatrixView x, std::span<const float> weight, float epsilon, Matrix& out) = 0;
  /// Rotates every head of every row in place; row r has position positions[r]. See
  /// model::RopeFrequencies.
  virtual void Rope(Matrix& x, std::span<const std::int32_t> positions,
                    std::span<const float> frequencies, std::int64_t head_size) = 0;
  /// Softmax of q k^T / sqrt(head_size) times v, a head at a time; query heads share KV heads in
  /// runs of heads / kv_heads. q [sequences * length, heads * head_size], k and v [sequences *
  /// (history + length), kv_heads * head_size], out as q. Scratch memory is
  /// O(history + length) a thread, never all heads' scores.
  virtual void Attention(const AttentionShape& shape, MatrixView q, MatrixView k, MatrixView v,
                         Matrix& out) = 0;
  /// out = silu(gate) * up; `out` may be gate or up.
  virtual void SiluMul(MatrixView gate, MatrixView up, Matrix& out) = 0;
  /// out = a + b; `out` may be a or b.
  virtual void Add(MatrixView a, MatrixView b, Matrix& out) = 0;

  /// out[r] = log(sum over c of exp(x[r, c])), out of x.rows numbers. Absolute error below 1e-5.
  virtual void LogSumExp(MatrixView x, std::span<double> out) = 0;
  /// out[r] = x[r, columns[r]]; columns are in range.
  virtual void Pick(MatrixView x, std::span<const std::int32_t> columns, std::span<float> out) = 0;
  /// out[r] = the first column that holds the largest number of x[r].
  virtual void ArgMax(MatrixView x, std::span<std::int32_t> out) = 0;
  /// out[r] = KL(softmax(p[r]) || softmax(q[r])) in nats; p and q are logits of one shape.
  virtual void KlDivergence(MatrixView p, MatrixView q, std::span<double> out) = 0;
};

/// A row of the table of back ends: adding one is one file and one row.
struct BackendKind {
  std::string_view name;  ///< the text before ":N"
  bool numbered = false;  ///< takes ":N"
  Result<std::unique_ptr<Backend>> (*make)(int device, int threads);
};

std::span<const BackendKind> BackendKinds();

/// Where to compute. Text: "auto", "cpu", "cuda:N".
/// "auto" is the best device there is; a device that is named and absent is kFailedPrecondition
/// with the reason. `threads` of 0 means all CPUs this process may use.
Result<std::unique_ptr<Backend>> MakeBackend(std::string_view device, int threads = 0);

/// On the CPU, with the same bits on every machine (ADR 0142): for what is stored. Slower than
/// "cpu", by less than a half where there is AVX2 or NEON.
std::unique_ptr<Backend> MakeSteadyBackend(int threads);

}  // namespace tyllm::tensor
