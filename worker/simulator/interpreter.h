// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/parallel.h"
#include "worker/simulator/aligned_memory.h"
#include "worker/simulator/die_program.h"
#include "worker/simulator/weight_reader.h"

namespace tyllm::simulator {

/// A die's KV cache in float32: [layer][k, v][kv_head][max_kv][head_size]. Pages count that tokens
/// touch.
Result<AlignedMemory> FloatKvCache(const plan::Schedule& schedule);

/// Memory for all buffers of a program, likewise.
Result<AlignedMemory> FloatBuffers(const plan::Schedule& schedule);

/// The schedule of a program in float32 by plain loops, sums in float64 and in an order of their
/// own: what compiled code is compared with, and what runs where there is no compiler. Activations
/// and the cache are not rounded. Results do not depend on `pool`, which multiplies matrices on
/// several threads; nobody else may use it meanwhile. All that it is given by reference outlives
/// it.
class Interpreter final : public DieProgram {
 public:
  Interpreter(const plan::Schedule& schedule, const WeightReader& weights, AlignedMemory& kv_cache,
              AlignedMemory buffers, ThreadPool* pool = nullptr);

  std::span<const SegmentEnd> segments() const override { return segments_; }

  void Begin(const Call& call) override;
  /// The whole segment is one phase, and its first part does all of it.
  void Run(std::size_t segment, std::size_t phase, die::Part part) override;
  std::vector<std::span<std::byte>> Lasting() override;
  float* CollectiveBuffer(std::size_t segment) override;
  const float* Logits() const override;

 private:
  void RunStep(const plan::Step& step);
  /// Rows that the step runs on: how many, and the first input row.
  std::int64_t RowsOf(const plan::Step& step) const;
  std::int64_t FirstInputRow(const plan::Step& step) const;

  void Embed(const plan::Step& step);
  void RopeTable(const plan::Step& step);
  void AddDeepstack(const plan::Step& step);
  void AddRmsNorm(const plan::Step& step);
  void Quantize(const plan::Step& step);
  void Linear(const plan::Step& step);
  void LinearBlocks(const plan::Step& step, std::int64_t first, std::int64_t last);
  void HeadRmsNorm(const plan::Step& step);
  void Rope(const plan::Step& step);
  void StoreKv(const plan::Step& step);
  void Attention(const plan::Step& step);
  void SiluMul(const plan::Step& step);

  const plan::Buffer& BufferOf(plan::BufferId id) const;
  float* Row(plan::BufferId id, std::int64_t row);
  /// Row `position` of a head of this layer's keys (half 0) or values (half 1).
  float* KvRow(std::int64_t half, std::int64_t head, std::int64_t position);

  const plan::Schedule& schedule_;
  const WeightReader& weights_;
  float* kv_cache_;
  AlignedMemory memory_;  ///< of buffers_
  ThreadPool* pool_;
  std::vector<plan::SegmentRun> runs_;
  std::vector<SegmentEnd> segments_;
  std::vector<float*> buffers_;
  Call call_;
  std::int64_t layer_ = -1;
};

}  // namespace tyllm::simulator
