// SPDX-License-Identifier: Apache-2.0
#include "worker/artifact/buffer_config.h"

#include <algorithm>

#include "worker/artifact/layout.h"

namespace tyllm::artifact {
namespace {

std::string KindName(plan::BufferKind kind) {
  switch (kind) {
    case plan::BufferKind::kFloat:
      return "float32";
    case plan::BufferKind::kActivations:
      return "activations";
    case plan::BufferKind::kAttentionScratch:
      return "attention_scratch";
  }
  return {};
}

Status Wrong(const Path& path, const std::string& why) {
  return DataLoss(path.string() + ": " + why + "; write it again with `tyllm compile`");
}

bool Follows(const plan::Range& range, std::int64_t begin) {
  return range.begin == begin && range.end > range.begin;
}

/// Heads go on in the same way, and start again in every reduce group; the last dies of a group may
/// have none.
bool HeadsFollow(const plan::Range& heads, std::int64_t begin) {
  return heads.begin == begin && heads.end >= begin;
}

/// Heads, columns and rows go on where the die before stopped.
bool ShardsFollow(const std::vector<DieEntry>& dies, std::int64_t reduce_group) {
  std::int64_t heads = 0;
  std::int64_t columns = 0;
  std::int64_t rows = 0;
  for (const DieEntry& die : dies) {
    const plan::DieShard& shard = die.shard;
    if (die.die % reduce_group == 0) {
      heads = 0;
    }
    if (!HeadsFollow(shard.heads, heads) || shard.kv_heads.size() < 0 ||
        !Follows(shard.intermediate, columns) || !Follows(shard.vocabulary, rows)) {
      return false;
    }
    heads = shard.heads.end;
    columns = shard.intermediate.end;
    rows = shard.vocabulary.end;
  }
  return true;
}

/// Quantization groups of the sharded inputs divide the checkpoint's; without it there are none.
bool GroupsFit(const BufferConfig& config) {
  const auto fits = [](std::int64_t group) {
    return group >= plan::kColumnStep && group <= plan::kMostGroup &&
           group % plan::kColumnStep == 0;
  };
  if (config.group == 0) {
    return config.attention_group == 0 && config.mlp_group == 0;
  }
  return fits(config.group) && fits(config.attention_group) && fits(config.mlp_group) &&
         config.group % config.attention_group == 0 && config.group % config.mlp_group == 0;
}

/// More than any row block has numbers are not exceptions.
constexpr std::int64_t kMostExceptions = 1 << 24;

/// What programs divide by and count with.
Status CheckNumbers(const Path& path, const BufferConfig& config) {
  if (!GroupsFit(config)) {
    return Wrong(path, "group, attention_group and mlp_group are " + std::to_string(config.group) +
                           ", " + std::to_string(config.attention_group) + " and " +
                           std::to_string(config.mlp_group) + ", expected multiples of " +
                           std::to_string(plan::kColumnStep) + " up to " +
                           std::to_string(plan::kMostGroup) +
                           " of which the last two divide the first, or only 0");
  }
  if (config.activation_bits != 8 && config.activation_bits != 16) {
    return Wrong(path, "activation_bits is " + std::to_string(config.activation_bits) +
                           ", expected 8 or 16");
  }
  for (const auto& [module, exceptions] : config.in_12_bits) {
    if (exceptions < 0 || exceptions > kMostExceptions) {
      return Wrong(path, "in_12_bits has " + std::to_string(exceptions) + " for " + module +
                             ", expected 0 to " + std::to_string(kMostExceptions));
    }
  }
  return OkStatus();
}

}  // namespace

plan::ShardPlan BufferConfig::shard_plan() const {
  plan::ShardPlan plan;
  for (const DieEntry& die : die_list) {
    plan.dies.push_back(die.shard);
  }
  plan.attention_group = attention_group;
  plan.mlp_group = mlp_group;
  plan.reduce_group = reduce_group;
  return plan;
}

ProgramEntry Describe(const plan::Schedule& schedule, const plan::MemoryPlan& memory) {
  ProgramEntry entry;
  entry.kind = schedule.program.kind;
  entry.bucket = schedule.program.bucket;
  entry.arena_bytes = memory.arena_bytes;
  entry.logits = schedule.buffers[static_cast<std::size_t>(schedule.logits)].name;
  entry.logit_rows = schedule.logit_rows();
  for (std::size_t b = 0; b < schedule.buffers.size(); ++b) {
    const plan::Buffer& buffer = schedule.buffers[b];
    entry.buffers.push_back({buffer.name, KindName(buffer.kind), buffer.rows, buffer.columns,
                             memory.offsets[b], memory.sizes[b], memory.lifetimes[b].first,
                             memory.lifetimes[b].last});
  }
  return entry;
}

Result<BufferConfig> ReadBufferConfig(const Path& directory) {
  const Path path = directory / kBufferConfigFile;
  TYLLM_ASSIGN(const format::Json json, format::ReadJsonFile(path));
  TYLLM_ASSIGN(BufferConfig config, format::FromJson<BufferConfig>(json, path.string()));
  if (config.version != 2) {
    return Wrong(path, "version is " + std::to_string(config.version) + ", expected 2");
  }
  if (config.dies < 1 || config.dies > domain::kMostDies) {
    return Wrong(path, "dies is " + std::to_string(config.dies) + ", expected 1 to " +
                           std::to_string(domain::kMostDies));
  }
  if (std::ssize(config.die_list) != config.dies) {
    return Wrong(path, "die_list has " + std::to_string(config.die_list.size()) +
                           " entries, expected " + std::to_string(config.dies));
  }
  TYLLM_TRY(CheckNumbers(path, config));
  const std::vector<std::int64_t>& buckets = config.seq_lens;
  const bool sorted =
      std::adjacent_find(buckets.begin(), buckets.end(), std::greater_equal<>()) == buckets.end();
  if (buckets.empty() || buckets.front() < 1 || !sorted || buckets.back() > config.max_kv) {
    return Wrong(path, "seq_lens are not growing numbers from 1 to max_kv");
  }
  if (config.reduce_group < 1 || config.dies % config.reduce_group != 0) {
    return Wrong(path, "reduce_group is " + std::to_string(config.reduce_group) +
                           ", expected a divisor of " + std::to_string(config.dies) + " dies");
  }
  if (!ShardsFollow(config.die_list, config.reduce_group)) {
    return Wrong(path, "the dies' shards do not follow one another");
  }
  return config;
}

}  // namespace tyllm::artifact
