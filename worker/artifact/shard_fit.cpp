// SPDX-License-Identifier: Apache-2.0
#include "worker/artifact/shard_fit.h"

#include <string>

namespace tyllm::artifact {

namespace {

Status Unfit(const Path& path, const std::string& what, std::int64_t found, std::int64_t expected) {
  return DataLoss(path.string() + ": " + what + " is " + std::to_string(found) + ", expected " +
                  std::to_string(expected) +
                  " as config.json says; fetch the artifact again, or compile the model again");
}

/// Heads read the KV heads from the first one's to the last one's.
plan::Range KvHeadsOf(const plan::Range& heads, std::int64_t queries) {
  return {heads.begin / queries, (heads.end + queries - 1) / queries};
}

}  // namespace

Status CheckShardFit(const BufferConfig& config, const model::ModelShape& shape, const Path& path) {
  for (std::size_t i = 0; i < config.die_list.size(); ++i) {
    const DieEntry& die = config.die_list[i];
    const auto number = static_cast<std::int64_t>(i);
    const std::string name = " of die " + std::to_string(i);
    if (die.die != number) {
      return Unfit(path, "die" + name, die.die, number);
    }
    const plan::Range expected = KvHeadsOf(die.shard.heads, shape.queries_per_kv());
    const plan::Range& found = die.shard.kv_heads;
    if (die.shard.heads.size() > 0 && found.begin != expected.begin) {
      return Unfit(path, "the first of kv_heads" + name, found.begin, expected.begin);
    }
    if (die.shard.heads.size() > 0 && found.end != expected.end) {
      return Unfit(path, "the end of kv_heads" + name, found.end, expected.end);
    }
    const bool ends_group = (number + 1) % config.reduce_group == 0;
    if (ends_group && die.shard.heads.end != shape.heads) {
      return Unfit(path, "the end of heads" + name, die.shard.heads.end, shape.heads);
    }
  }
  const plan::DieShard& last = config.die_list.back().shard;
  if (last.intermediate.end != shape.intermediate) {
    return Unfit(path, "the last die's end of intermediate", last.intermediate.end,
                 shape.intermediate);
  }
  if (last.vocabulary.end != shape.vocabulary) {
    return Unfit(path, "the last die's end of vocabulary", last.vocabulary.end, shape.vocabulary);
  }
  if (config.max_kv > shape.max_positions) {
    return Unfit(path, "max_kv", config.max_kv, shape.max_positions);
  }
  return OkStatus();
}

}  // namespace tyllm::artifact
