// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/fit_report.h"

#include <algorithm>
#include <map>
#include <set>

#include "worker/artifact/params.h"
#include "worker/compile/compile_memory.h"
#include "worker/compile/visual/tower_source.h"
#include "worker/compile/visual/tower_weights.h"
#include "worker/compile/warnings.h"
#include "worker/compile/weights.h"

namespace tyllm::compile {
namespace {

/// One die with all its programs at some context length.
struct PlannedDie {
  DieFit fit;
  std::vector<std::string> sources;  ///< digests
};

/// Weights that a decoded token reads: all but an embedding table that is only looked up.
std::uint64_t BytesReadPerToken(const plan::Schedule& schedule) {
  const std::vector<artifact::ParamSpec> specs = CommonSpecs(schedule);
  std::uint64_t bytes = 0;
  for (const artifact::ParamSpec& spec : specs) {
    bytes += spec.bytes();
  }
  const std::vector<plan::Step>& embed = schedule.embed.steps;
  const auto look_up = std::find_if(embed.begin(), embed.end(), [](const plan::Step& step) {
    return step.kind == plan::StepKind::kEmbed;
  });
  if (look_up == embed.end()) {
    return bytes;
  }
  const plan::WeightId table = look_up->weights.front();
  const bool is_head = std::any_of(
      schedule.head.steps.begin(), schedule.head.steps.end(), [&](const plan::Step& step) {
        return std::find(step.weights.begin(), step.weights.end(), table) != step.weights.end();
      });
  return is_head ? bytes : bytes - specs[static_cast<std::size_t>(table)].bytes();
}

PlannedDie Summarise(std::int64_t die, const plan::DieShard& shard,
                     const std::vector<PlannedProgram>& programs) {
  PlannedDie planned;
  DieFit& fit = planned.fit;
  fit.die = die;
  fit.heads = shard.heads.size();
  fit.kv_heads = shard.kv_heads.size();
  const plan::Schedule& any = programs.front().schedule;
  fit.weight_bytes = artifact::LayOut(CommonSpecs(any)).file_bytes;
  fit.kv_bytes = plan::KvCacheBytes(any);
  fit.token_bytes = BytesReadPerToken(any) + fit.kv_bytes / 2;
  std::set<std::int64_t> buckets;
  for (const PlannedProgram& program : programs) {
    fit.arena_bytes = std::max(fit.arena_bytes, program.memory.arena_bytes);
    if (buckets.insert(program.schedule.program.bucket).second) {
      fit.constant_bytes += artifact::LayOut(ConstantSpecs(program.schedule)).file_bytes;
    }
    planned.sources.push_back(program.generated.digest);
  }
  fit.total_bytes = fit.weight_bytes + fit.constant_bytes + fit.kv_bytes + fit.arena_bytes;
  return planned;
}

/// The tower's part of a die, where the model has one.
void AddTower(const Preparation& preparation, PlannedDie& die) {
  if (!preparation.tower) {
    return;
  }
  const plan::TowerSchedule& schedule =
      preparation.tower->schedules[static_cast<std::size_t>(die.fit.die)];
  die.fit.tower_weight_bytes = artifact::LayOut(TowerSpecs(schedule)).file_bytes;
  die.fit.tower_arena_bytes = schedule.arena_bytes;
  die.fit.total_bytes += die.fit.tower_weight_bytes + die.fit.tower_arena_bytes;
  die.sources.push_back(GenerateTower(schedule, preparation.options.target_cpu).digest);
}

Result<std::vector<PlannedDie>> PlanDies(const Preparation& preparation, std::int64_t max_kv) {
  std::vector<PlannedDie> dies;
  for (std::int64_t die = 0; die < preparation.options.dies; ++die) {
    TYLLM_ASSIGN(const std::vector<PlannedProgram> programs, preparation.PlanFor(die, max_kv));
    dies.push_back(
        Summarise(die, preparation.shards.dies[static_cast<std::size_t>(die)], programs));
    AddTower(preparation, dies.back());
  }
  return dies;
}

std::uint64_t LargestTotal(const std::vector<PlannedDie>& dies) {
  std::uint64_t largest = 0;
  for (const PlannedDie& die : dies) {
    largest = std::max(largest, die.fit.total_bytes);
  }
  return largest;
}

/// Largest contexts for memory sizes, by planning: every length is planned once.
class ContextSearch {
 public:
  explicit ContextSearch(const Preparation& preparation) : preparation_(preparation) {}

  /// The largest multiple of kStep, at most the model's positions, with which every die fits.
  Result<std::int64_t> LongestIn(std::uint64_t memory) {
    std::int64_t fits = 0;  // in steps
    std::int64_t beyond = preparation_.model.shape().max_positions / kStep + 1;
    while (beyond - fits > 1) {
      const std::int64_t middle = fits + (beyond - fits) / 2;
      TYLLM_ASSIGN(const std::uint64_t needed, BytesAt(middle * kStep));
      (needed <= memory ? fits : beyond) = middle;
    }
    const std::int64_t context = fits * kStep;
    return context < preparation_.options.seq_lens.back() ? 0 : context;
  }

 private:
  static constexpr std::int64_t kStep = 64;

  Result<std::uint64_t> BytesAt(std::int64_t max_kv) {
    const auto known = bytes_at_.find(max_kv);
    if (known != bytes_at_.end()) {
      return known->second;
    }
    TYLLM_ASSIGN(const std::vector<PlannedDie> dies, PlanDies(preparation_, max_kv));
    return bytes_at_[max_kv] = LargestTotal(dies);
  }

  const Preparation& preparation_;
  std::map<std::int64_t, std::uint64_t> bytes_at_;
};

Result<BoardFit> FitOn(const Board& board, const std::vector<PlannedDie>& dies,
                       ContextSearch& contexts) {
  BoardFit fit;
  fit.board = board;
  fit.fits = LargestTotal(dies) <= board.die_memory_bytes;
  TYLLM_ASSIGN(fit.longest_context, contexts.LongestIn(board.die_memory_bytes));
  std::uint64_t slowest = 1;
  for (const PlannedDie& die : dies) {
    slowest = std::max(slowest, die.fit.token_bytes);
  }
  fit.tokens_per_second = board.bandwidth_bytes_per_second / static_cast<double>(slowest);
  return fit;
}

}  // namespace

Result<FitReport> Fit(const Preparation& preparation, const std::vector<Board>& boards,
                      std::int64_t jobs, const ObjectCache& objects) {
  TYLLM_ASSIGN(const std::vector<PlannedDie> dies,
               PlanDies(preparation, preparation.options.max_kv));
  FitReport report;
  report.dies = preparation.options.dies;
  report.max_kv = preparation.options.max_kv;
  report.seq_lens = preparation.options.seq_lens;
  for (const PlannedDie& die : dies) {
    report.die_list.push_back(die.fit);
    report.programs += std::ssize(die.sources);
  }
  TYLLM_ASSIGN(const DirectorySize size, SizeOf(preparation, objects));
  report.directory_bytes = size.total();
  report.distinct_sources = size.distinct_sources;
  report.cached_sources = size.cached_sources;
  report.warnings = Warnings(preparation);
  ContextSearch contexts(preparation);
  for (const Board& board : boards) {
    TYLLM_ASSIGN(report.boards.emplace_back(), FitOn(board, dies, contexts));
  }
  report.memory_bytes =
      CompileMemory(preparation.model.shape(), preparation.formats.group, preparation.options, jobs,
                    preparation.ProofEngine(), preparation.tower ? &*preparation.tower : nullptr);
  report.stages = ExpectedTime(preparation, size, jobs);
  report.seconds = report.stages.total();
  return report;
}

}  // namespace tyllm::compile
