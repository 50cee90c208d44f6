// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/interpreter.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/portable_math.h"
#include "worker/die/row_lanes.h"

namespace tyllm::simulator {

namespace {

/// Eight sums side by side, added up in a fixed order: quick, and the same bits everywhere.
double Dot(const float* a, const float* b, std::int64_t count) {
  constexpr std::int64_t kLanes = 8;
  double sums[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += static_cast<double>(a[i + lane]) * static_cast<double>(b[i + lane]);
    }
  }
  for (; i < count; ++i) {
    sums[i % kLanes] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/// Row blocks that a thread takes at once, and between two calls of WeightReader::Prepare.
constexpr std::int64_t kBlocksOfTask = 8;
constexpr std::int64_t kBlocksAtOnce = 512;

void NormRow(const float* x, std::span<const float> weight, float epsilon, float* out) {
  const std::int64_t width = std::ssize(weight);
  const double mean = Dot(x, x, width) / static_cast<double>(width);
  const double scale = 1.0 / std::sqrt(mean + static_cast<double>(epsilon));
  for (std::int64_t i = 0; i < width; ++i) {
    out[i] = static_cast<float>(x[i] * scale) * weight[static_cast<std::size_t>(i)];
  }
}

/// The largest magnitude becomes 127.
void RoundToInt8(std::span<float> group) {
  constexpr float kTop = 127;
  float largest = 0;
  for (const float x : group) {
    largest = std::max(largest, std::fabs(x));
  }
  const float inverse = largest > 0 ? kTop / largest : 0.0F;
  for (float& x : group) {
    x = std::nearbyint(x * inverse) * (largest / kTop);
  }
}

std::int64_t NumbersOf(const plan::Buffer& buffer, const plan::Schedule& schedule) {
  return buffer.kind == plan::BufferKind::kAttentionScratch ? schedule.max_kv
                                                            : buffer.rows * buffer.columns;
}

}  // namespace

Result<AlignedMemory> FloatKvCache(const plan::Schedule& schedule) {
  const plan::AttentionShape& a = schedule.attention;
  const std::int64_t numbers =
      schedule.shape.layers * 2 * a.kv_heads * schedule.max_kv * a.head_size;
  return AlignedMemory::Allocate(static_cast<std::uint64_t>(numbers) * sizeof(float),
                                 "the KV cache in float32", Pages::kSmall);
}

Result<AlignedMemory> FloatBuffers(const plan::Schedule& schedule) {
  std::int64_t numbers = 0;
  for (const plan::Buffer& buffer : schedule.buffers) {
    numbers += NumbersOf(buffer, schedule);
  }
  return AlignedMemory::Allocate(static_cast<std::uint64_t>(numbers) * sizeof(float),
                                 "a program's buffers in float32", Pages::kSmall);
}

Interpreter::Interpreter(const plan::Schedule& schedule, const WeightReader& weights,
                         AlignedMemory& kv_cache, AlignedMemory buffers, ThreadPool* pool)
    : schedule_(schedule),
      weights_(weights),
      kv_cache_(reinterpret_cast<float*>(kv_cache.data())),
      memory_(std::move(buffers)),
      pool_(pool),
      runs_(schedule.Runs()) {
  for (const plan::SegmentRun& run : runs_) {
    const bool has_buffer = run.plan->collective >= 0;
    segments_.push_back({run.plan->after, has_buffer ? BufferOf(run.plan->collective).columns : 0,
                         1, run.plan->group});
  }
  float* next = reinterpret_cast<float*>(memory_.data());
  for (const plan::Buffer& buffer : schedule.buffers) {
    buffers_.push_back(next);
    next += NumbersOf(buffer, schedule);
  }
}

void Interpreter::Begin(const Call& call) {
  call_ = call;
}

void Interpreter::Run(std::size_t segment, std::size_t /*phase*/, die::Part part) {
  if (part.index != 0) {
    return;
  }
  layer_ = runs_[segment].layer;
  for (const plan::Step& step : runs_[segment].plan->steps) {
    RunStep(step);
  }
}

std::vector<std::span<std::byte>> Interpreter::Lasting() {
  std::vector<std::span<std::byte>> lasting;
  for (std::size_t b = 0; b < buffers_.size(); ++b) {
    const plan::Buffer& buffer = schedule_.buffers[b];
    if (buffer.whole_call) {
      lasting.push_back(std::as_writable_bytes(
          std::span(buffers_[b], static_cast<std::size_t>(call_.tokens() * buffer.columns))));
    }
  }
  return lasting;
}

float* Interpreter::CollectiveBuffer(std::size_t segment) {
  return Row(runs_[segment].plan->collective, 0);
}

const float* Interpreter::Logits() const {
  return buffers_[static_cast<std::size_t>(schedule_.logits)];
}

void Interpreter::RunStep(const plan::Step& step) {
  switch (step.kind) {
    case plan::StepKind::kZero:
      std::fill_n(Row(step.output, 0), RowsOf(step) * BufferOf(step.output).columns, 0.0F);
      return;
    case plan::StepKind::kEmbed:
      return Embed(step);
    case plan::StepKind::kCopyEmbeddings:
      std::copy(call_.embeddings.begin(), call_.embeddings.end(), Row(step.output, 0));
      return;
    case plan::StepKind::kCopyRotations:
      std::copy_n(call_.rotations, call_.tokens() * BufferOf(step.output).columns,
                  Row(step.output, 0));
      return;
    case plan::StepKind::kAddDeepstack:
      return AddDeepstack(step);
    case plan::StepKind::kRopeTable:
      return RopeTable(step);
    case plan::StepKind::kAddRmsNorm:
      return AddRmsNorm(step);
    case plan::StepKind::kQuantize:
      return Quantize(step);
    case plan::StepKind::kLinear:
      return Linear(step);
    case plan::StepKind::kHeadRmsNorm:
      return HeadRmsNorm(step);
    case plan::StepKind::kRope:
      return Rope(step);
    case plan::StepKind::kStoreKv:
      return StoreKv(step);
    case plan::StepKind::kAttention:
      return Attention(step);
    case plan::StepKind::kSiluMul:
      return SiluMul(step);
  }
}

std::int64_t Interpreter::RowsOf(const plan::Step& step) const {
  return step.rows == plan::StepRows::kTokens ? call_.tokens() : 1;
}

std::int64_t Interpreter::FirstInputRow(const plan::Step& step) const {
  return step.rows == plan::StepRows::kLast ? call_.tokens() - 1 : 0;
}

const plan::Buffer& Interpreter::BufferOf(plan::BufferId id) const {
  return schedule_.buffers[static_cast<std::size_t>(id)];
}

float* Interpreter::Row(plan::BufferId id, std::int64_t row) {
  return buffers_[static_cast<std::size_t>(id)] + row * BufferOf(id).columns;
}

float* Interpreter::KvRow(std::int64_t half, std::int64_t head, std::int64_t position) {
  const plan::AttentionShape& a = schedule_.attention;
  const std::int64_t row = ((layer_ * 2 + half) * a.kv_heads + head) * schedule_.max_kv + position;
  return kv_cache_ + row * a.head_size;
}

void Interpreter::Embed(const plan::Step& step) {
  const plan::Range rows = schedule_.shard.vocabulary;
  const std::int64_t columns = BufferOf(step.output).columns;
  std::vector<float> block;
  weights_.Prepare(step.weights[0], layer_);
  for (std::int64_t t = 0; t < call_.tokens(); ++t) {
    float* const out = Row(step.output, t);
    const std::int64_t id = call_.token_ids[static_cast<std::size_t>(t)] - rows.begin;
    if (id < 0 || id >= rows.size()) {
      std::fill_n(out, columns, 0.0F);
      continue;
    }
    weights_.ReadRowBlock(step.weights[0], layer_, id / die::kRowBlock, block);
    std::copy_n(block.data() + id % die::kRowBlock * columns, columns, out);
  }
}

void Interpreter::RopeTable(const plan::Step& step) {
  const std::span<const float> frequencies = weights_.Vector(step.weights[0], layer_);
  for (std::int64_t t = 0; t < call_.tokens(); ++t) {
    float* const out = Row(step.output, t);
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
      const double angle = static_cast<float>(call_.history + t) * frequencies[i];
      out[i] = static_cast<float>(PortableCos(angle));
      out[frequencies.size() + i] = static_cast<float>(PortableSin(angle));
    }
  }
}

void Interpreter::AddDeepstack(const plan::Step& step) {
  const std::int64_t layer = layer_ < 0 ? schedule_.shape.layers : layer_;
  if (call_.deepstack == nullptr || layer < 1 || layer > schedule_.inputs.deepstack) {
    return;
  }
  const std::int64_t columns = BufferOf(step.output).columns;
  const float* const added = call_.deepstack + (layer - 1) * call_.tokens() * columns;
  const std::int64_t first = FirstInputRow(step);
  for (std::int64_t i = first * columns; i < (first + RowsOf(step)) * columns; ++i) {
    Row(step.output, 0)[i] += added[i];
  }
}

void Interpreter::AddRmsNorm(const plan::Step& step) {
  const std::int64_t columns = BufferOf(step.output).columns;
  for (std::int64_t r = 0; r < RowsOf(step); ++r) {
    const std::int64_t from = FirstInputRow(step) + r;
    float* const residual = Row(step.inputs[0], from);
    const float* const partial = Row(step.inputs[1], from);
    for (std::int64_t i = 0; i < columns; ++i) {
      residual[i] += partial[i];
    }
    NormRow(residual, weights_.Vector(step.weights[0], layer_), schedule_.shape.norm_epsilon,
            Row(step.output, r));
  }
}

void Interpreter::Quantize(const plan::Step& step) {
  const std::int64_t columns = BufferOf(step.output).columns;
  const std::int64_t group = BufferOf(step.output).group;
  float* const out = Row(step.output, 0);
  std::copy_n(Row(step.inputs[0], FirstInputRow(step)), RowsOf(step) * columns, out);
  if (schedule_.activation_bits != 8) {
    return;  // 16 bits are as good as float32
  }
  for (std::int64_t first = 0; first < RowsOf(step) * columns; first += group) {
    RoundToInt8(std::span(out + first, static_cast<std::size_t>(group)));
  }
}

/// Row blocks first..last-1 of a product.
void Interpreter::LinearBlocks(const plan::Step& step, std::int64_t first, std::int64_t last) {
  const std::int64_t in = BufferOf(step.inputs[0]).columns;
  const std::int64_t out = BufferOf(step.output).columns;
  std::vector<float> block;
  for (std::int64_t b = first; b < last; ++b) {
    weights_.ReadRowBlock(step.weights[0], layer_, b, block);
    const std::int64_t row = b * die::kRowBlock;
    for (std::int64_t t = 0; t < RowsOf(step); ++t) {
      const float* const x = Row(step.inputs[0], FirstInputRow(step) + t);
      for (std::int64_t r = 0; r < std::min<std::int64_t>(die::kRowBlock, out - row); ++r) {
        Row(step.output, t)[row + r] = static_cast<float>(Dot(block.data() + r * in, x, in));
      }
    }
  }
}

void Interpreter::Linear(const plan::Step& step) {
  const std::int64_t out = BufferOf(step.output).columns;
  const std::int64_t blocks = (out + die::kRowBlock - 1) / die::kRowBlock;
  for (std::int64_t first = 0; first < blocks; first += kBlocksAtOnce) {
    const std::int64_t last = std::min(blocks, first + kBlocksAtOnce);
    weights_.Prepare(step.weights[0], layer_);
    if (pool_ == nullptr) {
      LinearBlocks(step, first, last);
      continue;
    }
    const std::int64_t tasks = (last - first + kBlocksOfTask - 1) / kBlocksOfTask;
    pool_->ParallelFor(tasks, [&](std::int64_t task) {
      const std::int64_t begin = first + task * kBlocksOfTask;
      LinearBlocks(step, begin, std::min(last, begin + kBlocksOfTask));
    });
  }
  if (step.weights.size() < 2) {
    return;
  }
  const std::span<const float> bias = weights_.Vector(step.weights[1], layer_);
  for (std::int64_t t = 0; t < RowsOf(step); ++t) {
    for (std::int64_t i = 0; i < out; ++i) {
      Row(step.output, t)[i] += bias[static_cast<std::size_t>(i)];
    }
  }
}

void Interpreter::HeadRmsNorm(const plan::Step& step) {
  const std::span<const float> weight = weights_.Vector(step.weights[0], layer_);
  const std::int64_t columns = BufferOf(step.output).columns;
  for (std::int64_t t = 0; t < RowsOf(step); ++t) {
    for (std::int64_t at = 0; at < columns; at += std::ssize(weight)) {
      float* const head = Row(step.output, t) + at;
      NormRow(head, weight, schedule_.shape.norm_epsilon, head);
    }
  }
}

void Interpreter::Rope(const plan::Step& step) {
  const std::int64_t size = schedule_.attention.head_size;
  const std::int64_t half = size / 2;
  for (std::int64_t t = 0; t < RowsOf(step); ++t) {
    const float* const angles = Row(step.inputs[1], t);
    for (std::int64_t at = 0; at < BufferOf(step.output).columns; at += size) {
      float* const head = Row(step.output, t) + at;
      for (std::int64_t i = 0; i < half; ++i) {
        const float low = head[i];
        const float high = head[half + i];
        head[i] = low * angles[i] - high * angles[half + i];
        head[half + i] = high * angles[i] + low * angles[half + i];
      }
    }
  }
}

void Interpreter::StoreKv(const plan::Step& step) {
  const plan::AttentionShape& a = schedule_.attention;
  for (std::int64_t half = 0; half < 2; ++half) {
    const plan::BufferId input = step.inputs[static_cast<std::size_t>(half)];
    for (std::int64_t t = 0; t < call_.tokens(); ++t) {
      for (std::int64_t h = 0; h < a.kv_heads; ++h) {
        std::copy_n(Row(input, t) + h * a.head_size, a.head_size,
                    KvRow(half, h, call_.history + t));
      }
    }
  }
}

void Interpreter::Attention(const plan::Step& step) {
  const plan::AttentionShape& a = schedule_.attention;
  float* const weights = buffers_[static_cast<std::size_t>(step.inputs[1])];
  const double scale = 1.0 / std::sqrt(static_cast<double>(a.head_size));
  for (std::int64_t t = 0; t < call_.tokens(); ++t) {
    const std::int64_t length = call_.history + t + 1;
    for (std::int64_t h = 0; h < a.heads; ++h) {
      const std::int64_t kv = (a.first_head + h) / a.queries_per_kv;
      const float* const query = Row(step.inputs[0], t) + h * a.head_size;
      for (std::int64_t p = 0; p < length; ++p) {
        weights[p] = static_cast<float>(Dot(query, KvRow(0, kv, p), a.head_size) * scale);
      }
      const float largest = *std::max_element(weights, weights + length);
      std::vector<double> mixed(static_cast<std::size_t>(a.head_size));
      double sum = 0;
      for (std::int64_t p = 0; p < length; ++p) {
        const double weight = PortableExp(static_cast<double>(weights[p]) - largest);
        sum += weight;
        const float* const value = KvRow(1, kv, p);
        for (std::size_t i = 0; i < mixed.size(); ++i) {
          mixed[i] += weight * value[i];
        }
      }
      float* const out = Row(step.output, t) + h * a.head_size;
      std::transform(mixed.begin(), mixed.end(), out,
                     [sum](double x) { return static_cast<float>(x / sum); });
    }
  }
}

void Interpreter::SiluMul(const plan::Step& step) {
  const std::int64_t columns = BufferOf(step.output).columns;
  for (std::int64_t t = 0; t < RowsOf(step); ++t) {
    const float* const gate = Row(step.inputs[0], t);
    const float* const up = Row(step.inputs[1], t);
    for (std::int64_t i = 0; i < columns; ++i) {
      const double sigmoid = 1.0 / (1.0 + PortableExp(-static_cast<double>(gate[i])));
      Row(step.output, t)[i] = static_cast<float>(gate[i] * sigmoid) * up[i];
    }
  }
}

}  // namespace tyllm::simulator
