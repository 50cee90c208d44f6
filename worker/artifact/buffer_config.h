// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "common/domain/task_options.h"
#include "common/format/json.h"
#include "worker/plan/memory_plan.h"
#include "worker/plan/schedule.h"
#include "worker/plan/shard.h"

// buffer_config.json (docs/formats/buffer_config.md): how a model was cut, and where everything
// lies in the dies' memory.
namespace tyllm::artifact {

/// A buffer of a program's arena.
struct BufferEntry {
  std::string name;
  std::string kind;  ///< "float32", "activations", "attention_scratch"
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::int64_t first_step = 0;  ///< needed from this step
  std::int64_t last_step = 0;   ///< to this one
};

struct ProgramEntry {
  plan::ProgramKind kind = plan::ProgramKind::kDecode;
  std::int64_t bucket = 0;
  std::uint64_t arena_bytes = 0;
  std::string logits;  ///< the buffer that holds them
  std::int64_t logit_rows = 0;
  std::vector<BufferEntry> buffers;
};

struct DieEntry {
  std::int64_t die = 0;           ///< logical number: the one in file names
  std::int64_t physical_die = 0;  ///< where the board runs it
  plan::DieShard shard;
  std::uint64_t kv_bytes = 0;
  std::uint64_t kv_layer_bytes = 0;
  std::vector<ProgramEntry> programs;
};

struct BufferConfig {
  std::int64_t version = 2;
  std::int64_t batch = 1;
  std::int64_t dies = 0;
  std::vector<std::int64_t> seq_lens;
  std::int64_t max_kv = 0;
  bool embedding_as_input = false;
  bool visual = false;         ///< of a visual language model: rope takes three positions
  std::int64_t deepstack = 0;  ///< first layers after which visual tokens get something added
  std::string layers;          ///< module of the layers, "model.layers"
  std::int64_t group = 0;      ///< of the checkpoint; 0: nothing is quantized
  std::vector<std::string> float_linears;  ///< linear layers that are not quantized
  std::int64_t attention_group = 0;
  std::int64_t mlp_group = 0;
  std::int64_t reduce_group = 0;      ///< dies that sum an attention among themselves
  bool int8_head = false;             ///< a head that is not quantized is int8
  std::int64_t activation_bits = 16;  ///< 16 or 8
  /// Matrices in 12 bits, and the exceptions that a row block has room for.
  std::map<std::string, std::int64_t> in_12_bits;
  std::vector<std::int64_t> lm_die_remap;  ///< empty, or 16 numbers
  std::vector<DieEntry> die_list;

  plan::WeightFormats formats() const {
    return {group,
            {float_linears.begin(), float_linears.end()},
            int8_head,
            activation_bits,
            in_12_bits};
  }

  plan::ProgramInputs inputs() const {
    plan::ProgramInputs taken(embedding_as_input);
    taken.rotations = visual;
    taken.deepstack = deepstack;
    return taken;
  }

  plan::ShardPlan shard_plan() const;
};

/// What of a program's schedule and memory plan the file tells.
ProgramEntry Describe(const plan::Schedule& schedule, const plan::MemoryPlan& memory);

/// Reads and checks `directory`/buffer_config.json: lists as long as there are dies, buckets in
/// order, ranges that follow one another.
Result<BufferConfig> ReadBufferConfig(const Path& directory);

}  // namespace tyllm::artifact

template <>
struct tyllm::format::Members<tyllm::plan::Range> {
  using R = tyllm::plan::Range;
  static constexpr auto kTable =
      std::tuple{Member{"begin", &R::begin, true}, Member{"end", &R::end, true}};
};

template <>
struct tyllm::format::Members<tyllm::plan::DieShard> {
  using S = tyllm::plan::DieShard;
  static constexpr auto kTable = std::tuple{
      Member{"heads", &S::heads, true},
      Member{"kv_heads", &S::kv_heads, true},
      Member{"intermediate", &S::intermediate, true},
      Member{"vocabulary", &S::vocabulary, true},
  };
};

template <>
struct tyllm::format::Members<tyllm::artifact::BufferEntry> {
  using B = tyllm::artifact::BufferEntry;
  static constexpr auto kTable = std::tuple{
      Member{"name", &B::name, true},
      Member{"kind", &B::kind, true},
      Member{"rows", &B::rows, true},
      Member{"columns", &B::columns, true},
      Member{"offset", &B::offset, true},
      Member{"bytes", &B::bytes, true},
      Member{"first_step", &B::first_step, true},
      Member{"last_step", &B::last_step, true},
  };
};

template <>
struct tyllm::format::Members<tyllm::artifact::ProgramEntry> {
  using P = tyllm::artifact::ProgramEntry;
  static constexpr auto kTable = std::tuple{
      Member{"kind", &P::kind, true},
      Member{"bucket", &P::bucket, true},
      Member{"arena_bytes", &P::arena_bytes, true},
      Member{"logits", &P::logits, true},
      Member{"logit_rows", &P::logit_rows, true},
      Member{"buffers", &P::buffers, true},
  };
};

template <>
struct tyllm::format::Members<tyllm::artifact::DieEntry> {
  using D = tyllm::artifact::DieEntry;
  static constexpr auto kTable = std::tuple{
      Member{"die", &D::die, true},
      Member{"physical_die", &D::physical_die, true},
      Member{"shard", &D::shard, true},
      Member{"kv_bytes", &D::kv_bytes, true},
      Member{"kv_layer_bytes", &D::kv_layer_bytes, true},
      Member{"programs", &D::programs, true},
  };
};

template <>
struct tyllm::format::Members<tyllm::artifact::BufferConfig> {
  using C = tyllm::artifact::BufferConfig;
  static constexpr auto kTable = std::tuple{
      Member{"version", &C::version, true},
      Member{"batch", &C::batch, true},
      Member{"dies", &C::dies, true},
      Member{"seq_lens", &C::seq_lens, true},
      Member{"max_kv", &C::max_kv, true},
      Member{"embedding_as_input", &C::embedding_as_input, true},
      Member{"visual", &C::visual},
      Member{"deepstack", &C::deepstack},
      Member{"group", &C::group, true},
      Member{"layers", &C::layers},
      Member{"float_linears", &C::float_linears, true},
      Member{"attention_group", &C::attention_group, true},
      Member{"mlp_group", &C::mlp_group, true},
      Member{"reduce_group", &C::reduce_group, true},
      Member{"int8_head", &C::int8_head, true},
      Member{"activation_bits", &C::activation_bits, true},
      Member{"in_12_bits", &C::in_12_bits},
      Member{"lm_die_remap", &C::lm_die_remap, true},
      Member{"die_list", &C::die_list, true},
  };
};
