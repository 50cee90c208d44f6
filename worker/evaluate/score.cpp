// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/score.h"

#include <algorithm>
#include <utility>

namespace tyllm::evaluate {

namespace {

using forward::Model;
using forward::TokenBatch;

/// Hidden states that may be in memory at once.
constexpr std::int64_t kHiddenBytes = std::int64_t{1} << 30;

/// Every window's predictions: row r is followed by token ids[r + 1], but for a window's last.
constexpr std::int32_t kNothing = -1;

std::vector<std::int32_t> Targets(const TokenBatch& batch) {
  std::vector<std::int32_t> targets(batch.ids.begin() + 1, batch.ids.end());
  targets.push_back(kNothing);
  for (std::int64_t s = 1; s < batch.sequences; ++s) {
    targets[static_cast<std::size_t>(s * batch.length - 1)] = kNothing;
  }
  return targets;
}

/// Batches whose hidden states fit the memory for them; at least one.
std::size_t BatchesAtOnce(std::span<const Model* const> models, const TokenBatch& batch) {
  std::int64_t bytes = 0;
  for (const Model* model : models) {
    bytes += batch.sequences * batch.length * model->shape().width * 4;
  }
  return static_cast<std::size_t>(std::max<std::int64_t>(1, kHiddenBytes / bytes));
}

/// Adds up what the logits of some rows say.
class RowScorer {
 public:
  RowScorer(tensor::Backend& backend, ScoreSums& sums) : backend_(backend), sums_(sums) {}

  /// `logits` of each model for the tokens in front of `targets`.
  void Add(std::span<const tensor::Matrix> logits, std::span<const std::int32_t> targets) {
    for (std::size_t m = 0; m < logits.size(); ++m) {
      AddLikelihood(logits[m], targets, sums_.nll[m]);
    }
    if (logits.size() == 2) {
      AddComparison(logits[0], logits[1], targets);
    }
    sums_.predictions += std::ranges::count_if(targets, [](auto t) { return t != kNothing; });
  }

 private:
  void AddLikelihood(const tensor::Matrix& logits, std::span<const std::int32_t> targets,
                     double& nll) {
    numbers_.resize(targets.size());
    backend_.LogSumExp(logits.view(), numbers_);
    columns_.resize(targets.size());
    picked_.resize(targets.size());
    std::ranges::transform(targets, columns_.begin(),
                           [](std::int32_t target) { return std::max(target, 0); });
    backend_.Pick(logits.view(), columns_, picked_);
    for (std::size_t r = 0; r < targets.size(); ++r) {
      if (targets[r] != kNothing) {
        nll += numbers_[r] - static_cast<double>(picked_[r]);
      }
    }
  }

  void AddComparison(const tensor::Matrix& model, const tensor::Matrix& reference,
                     std::span<const std::int32_t> targets) {
    best_.resize(targets.size());
    reference_best_.resize(targets.size());
    backend_.KlDivergence(reference.view(), model.view(), numbers_);
    backend_.ArgMax(model.view(), best_);
    backend_.ArgMax(reference.view(), reference_best_);
    for (std::size_t r = 0; r < targets.size(); ++r) {
      if (targets[r] != kNothing) {
        sums_.divergence += numbers_[r];
        sums_.agreements += best_[r] == reference_best_[r] ? 1 : 0;
      }
    }
  }

  tensor::Backend& backend_;
  ScoreSums& sums_;
  std::vector<double> numbers_;
  std::vector<std::int32_t> columns_;
  std::vector<float> picked_;
  std::vector<std::int32_t> best_;
  std::vector<std::int32_t> reference_best_;
};

/// The models, each with what runs it.
struct Runners {
  std::span<const Model* const> models;
  std::vector<forward::BlockRunner> runners;
};

/// Hidden states of all batches of one part of the text: [model][batch].
using Hidden = std::vector<std::vector<tensor::Matrix>>;

Result<Hidden> RunBodies(Runners& run, std::span<const TokenBatch> part,
                         const OnWindows& on_windows) {
  Hidden hidden;
  for (std::size_t m = 0; m < run.models.size(); ++m) {
    TYLLM_ASSIGN(std::vector<tensor::Matrix> states,
                 forward::RunBody(*run.models[m], run.runners[m], part,
                                  [&](std::int64_t, std::int64_t batch, const tensor::Matrix&) {
                                    on_windows(part[static_cast<std::size_t>(batch)].sequences);
                                  }));
    hidden.push_back(std::move(states));
  }
  return hidden;
}

/// The heads of all models over the rows of one batch, a chunk of rows at a time.
Status ScoreBatch(Runners& run, std::span<const forward::Head> heads, const Hidden& hidden,
                  std::size_t batch, std::span<const std::int32_t> targets, RowScorer& scorer) {
  const std::int64_t rows = hidden[0][batch].rows();
  const std::int64_t chunk = heads[0].RowsAtOnce();
  for (std::int64_t first = 0; first < rows; first += chunk) {
    const std::int64_t count = std::min(chunk, rows - first);
    std::vector<tensor::Matrix> logits;
    for (std::size_t m = 0; m < heads.size(); ++m) {
      TYLLM_ASSIGN(tensor::Matrix of_model,
                   heads[m].Logits(run.runners[m], hidden[m][batch], first, count));
      logits.push_back(std::move(of_model));
    }
    scorer.Add(logits,
               targets.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)));
  }
  return OkStatus();
}

Status ScorePart(Runners& run, std::span<const TokenBatch> part, const OnWindows& on_windows,
                 RowScorer& scorer) {
  TYLLM_ASSIGN(Hidden hidden, RunBodies(run, part, on_windows));
  std::vector<forward::Head> heads;
  for (const Model* model : run.models) {
    TYLLM_ASSIGN(forward::Head head, forward::Head::Load(*model, run.runners.front().backend()));
    heads.push_back(std::move(head));
  }
  for (std::size_t batch = 0; batch < part.size(); ++batch) {
    TYLLM_TRY(ScoreBatch(run, heads, hidden, batch, Targets(part[batch]), scorer));
    for (std::vector<tensor::Matrix>& states : hidden) {
      states[batch] = {};
      on_windows(part[batch].sequences);
    }
  }
  return OkStatus();
}

}  // namespace

std::int64_t BlocksOf(std::span<const Model* const> models) {
  std::int64_t blocks = 0;
  for (const Model* model : models) {
    blocks += static_cast<std::int64_t>(model->BodyBlocks().size()) + 1;
  }
  return blocks;
}

Result<ScoreSums> ScoreWindows(std::span<const Model* const> models, tensor::Backend& backend,
                               std::span<const TokenBatch> batches, const OnWindows& on_windows) {
  TYLLM_CHECK(models.size() == 1 || models.size() == 2);
  Runners run{.models = models, .runners = {}};
  for (const Model* model : models) {
    run.runners.emplace_back(backend, model->shape());
  }
  ScoreSums sums;
  sums.nll.resize(models.size(), 0.0);
  RowScorer scorer(backend, sums);
  while (!batches.empty()) {
    const std::size_t count = std::min(batches.size(), BatchesAtOnce(models, batches.front()));
    TYLLM_TRY(ScorePart(run, batches.first(count), on_windows, scorer));
    batches = batches.subspan(count);
  }
  return sums;
}

}  // namespace tyllm::evaluate
