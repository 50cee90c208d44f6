// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/likelihoods.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "worker/evaluate/text_batches.h"
#include "worker/forward/block_stream.h"
#include "worker/forward/embedding_rows.h"
#include "worker/forward/streamed_pass.h"

namespace tyllm::evaluate {

namespace {

constexpr std::int64_t kBatchTokens = 2048;
/// Hidden states that may be in memory at once.
constexpr std::int64_t kHiddenBytes = std::int64_t{1} << 30;

/// A batch on its way through the blocks.
struct MovingBatch {
  const TextBatch* batch;
  tensor::Matrix hidden;
};

/// Batches of one group, and the beginning that they share.
struct MovingGroup {
  const TextGroup* group;
  tensor::Matrix beginning;
  std::vector<MovingBatch> batches;
};

using Part = std::vector<MovingGroup>;

/// The groups in parts whose hidden states fit the memory for them; a group may be in several.
std::vector<Part> CutParts(std::span<const TextGroup> groups, std::int64_t width) {
  const std::int64_t most_rows = std::max<std::int64_t>(1, kHiddenBytes / (width * 4));
  std::vector<Part> parts(1);
  std::int64_t rows = 0;
  for (const TextGroup& group : groups) {
    const auto beginning = static_cast<std::int64_t>(group.beginning.size());
    bool is_here = false;
    for (const TextBatch& batch : group.batches) {
      const std::int64_t more = batch.tokens.sequences * batch.tokens.length;
      if (rows > 0 && rows + more + beginning > most_rows) {
        parts.emplace_back();
        rows = 0;
        is_here = false;
      }
      if (!is_here) {
        parts.back().push_back({.group = &group, .beginning = {}, .batches = {}});
        rows += beginning;
        is_here = true;
      }
      parts.back().back().batches.push_back({.batch = &batch, .hidden = {}});
      rows += more;
    }
  }
  return parts;
}

class LikelihoodRun {
 public:
  LikelihoodRun(const forward::Model& model, tensor::Backend& backend,
                std::span<const ScoredText> texts, const OnTexts& on_texts)
      : model_(model), runner_(backend, model.shape()), texts_(texts), on_texts_(on_texts) {
    for (const ScoredText& text : texts) {
      results_.emplace_back(text.targets.size());
    }
  }

  Result<std::vector<std::vector<double>>> Run() {
    const std::vector<TextGroup> groups = CutTexts(texts_, kBatchTokens);
    for (Part& part : CutParts(groups, model_.shape().width)) {
      TYLLM_TRY(RunBody(part));
      TYLLM_TRY(RunHead(part));
    }
    return std::move(results_);
  }

 private:
  Status RunBody(Part& part) {
    for (MovingGroup& group : part) {
      TYLLM_TRY(Embed(group));
    }
    forward::BlockStream stream(runner_.backend(), model_.checkpoint, forward::LayersOf(model_));
    while (stream.upcoming() != nullptr) {
      const graph::Block& block = *stream.upcoming();
      TYLLM_ASSIGN(const forward::BlockWeights weights, stream.Next());
      for (MovingGroup& group : part) {
        TYLLM_TRY(RunLayer(block, weights, group));
      }
    }
    return OkStatus();
  }

  Status Embed(MovingGroup& group) {
    const auto embed = [this](const forward::TokenBatch& batch) {
      return forward::EmbedTokens(runner_, model_.checkpoint, model_.graph.embedding, batch);
    };
    const std::vector<std::int32_t>& ids = group.group->beginning;
    if (!ids.empty()) {
      TYLLM_ASSIGN(
          group.beginning,
          embed({.sequences = 1, .length = static_cast<std::int64_t>(ids.size()), .ids = ids}));
    }
    for (MovingBatch& moving : group.batches) {
      TYLLM_ASSIGN(moving.hidden, embed(moving.batch->tokens));
      on_texts_(moving.batch->tokens.sequences);
    }
    return OkStatus();
  }

  Status RunLayer(const graph::Block& block, const forward::BlockWeights& weights,
                  MovingGroup& group) {
    forward::LayerCache cache;
    if (!group.group->beginning.empty()) {
      TYLLM_ASSIGN(group.beginning, runner_.Continue(block, weights, group.beginning, cache));
    }
    for (MovingBatch& moving : group.batches) {
      const std::int64_t sequences = moving.batch->tokens.sequences;
      if (group.group->beginning.empty()) {
        TYLLM_ASSIGN(moving.hidden, runner_.Run(block, weights, moving.hidden, sequences));
      } else {
        TYLLM_ASSIGN(moving.hidden,
                     runner_.Branch(block, weights, moving.hidden, sequences, cache));
      }
      on_texts_(sequences);
    }
    return OkStatus();
  }

  Status RunHead(Part& part) {
    TYLLM_ASSIGN(const forward::Head head, forward::Head::Load(model_, runner_.backend()));
    for (MovingGroup& group : part) {
      for (MovingBatch& moving : group.batches) {
        TYLLM_TRY(Score(head, group, moving));
        moving.hidden = {};
        on_texts_(moving.batch->tokens.sequences);
      }
    }
    return OkStatus();
  }

  /// Logits of the rows that targets follow, each row once.
  Status Score(const forward::Head& head, const MovingGroup& group, const MovingBatch& moving) {
    const auto shared = static_cast<std::int64_t>(group.group->beginning.size());
    tensor::Matrix rows;
    std::vector<Place> places;
    for (std::size_t s = 0; s < moving.batch->texts.size(); ++s) {
      const std::size_t text = moving.batch->texts[s];
      const std::int64_t start =
          static_cast<std::int64_t>(s) * moving.batch->tokens.length - shared;
      std::int64_t last = -1;
      for (std::size_t t = 0; t < texts_[text].targets.size(); ++t) {
        const std::int64_t row = texts_[text].targets[t].row;
        if (row != last) {
          runner_.backend().AppendRows(moving.hidden.rows(start + row, 1), rows);
          last = row;
        }
        places.push_back({.text = text, .target = t, .row = rows.rows() - 1});
      }
    }
    return ScoreRows(head, rows, places);
  }

  /// A target and the row of gathered hidden states that it follows; rows do not fall.
  struct Place {
    std::size_t text;
    std::size_t target;
    std::int64_t row;
  };

  Status ScoreRows(const forward::Head& head, const tensor::Matrix& rows,
                   std::span<const Place> places) {
    const std::int64_t chunk = head.RowsAtOnce();
    for (std::int64_t first = 0; first < rows.rows(); first += chunk) {
      const std::int64_t count = std::min(chunk, rows.rows() - first);
      TYLLM_ASSIGN(const tensor::Matrix logits, head.Logits(runner_, rows, first, count));
      std::vector<double> sums(static_cast<std::size_t>(count));
      runner_.backend().LogSumExp(logits.view(), sums);
      std::vector<std::vector<Place>> of_row(static_cast<std::size_t>(count));
      for (const Place& place : places) {
        if (place.row >= first && place.row < first + count) {
          of_row[static_cast<std::size_t>(place.row - first)].push_back(place);
        }
      }
      PickTargets(logits, sums, of_row);
    }
    return OkStatus();
  }

  /// One target of each row at a time.
  void PickTargets(const tensor::Matrix& logits, std::span<const double> sums,
                   std::span<const std::vector<Place>> of_row) {
    std::size_t most = 0;
    for (const std::vector<Place>& places : of_row) {
      most = std::max(most, places.size());
    }
    std::vector<float> picked(of_row.size());
    for (std::size_t turn = 0; turn < most; ++turn) {
      std::vector<std::int32_t> columns(of_row.size(), 0);
      for (std::size_t row = 0; row < of_row.size(); ++row) {
        if (turn < of_row[row].size()) {
          const Place& place = of_row[row][turn];
          columns[row] = texts_[place.text].targets[place.target].token;
        }
      }
      runner_.backend().Pick(logits.view(), columns, picked);
      for (std::size_t row = 0; row < of_row.size(); ++row) {
        if (turn < of_row[row].size()) {
          const Place& place = of_row[row][turn];
          results_[place.text][place.target] = static_cast<double>(picked[row]) - sums[row];
        }
      }
    }
  }

  const forward::Model& model_;
  forward::BlockRunner runner_;
  std::span<const ScoredText> texts_;
  const OnTexts& on_texts_;
  std::vector<std::vector<double>> results_;
};

}  // namespace

std::int64_t ScoringBlocks(const forward::Model& model) {
  return static_cast<std::int64_t>(model.BodyBlocks().size()) + 1;
}

Status CheckTexts(std::span<const ScoredText> texts, std::int64_t vocabulary) {
  for (const ScoredText& text : texts) {
    std::vector<std::int32_t> ids = text.ids;
    std::ranges::transform(text.targets, std::back_inserter(ids), &ScoredText::Target::token);
    const std::int64_t length = std::ssize(ids);
    TYLLM_TRY(
        forward::CheckIds({.sequences = 1, .length = length, .ids = std::move(ids)}, vocabulary));
  }
  return OkStatus();
}

Result<std::vector<std::vector<double>>> LogLikelihoods(const forward::Model& model,
                                                        tensor::Backend& backend,
                                                        std::span<const ScoredText> texts,
                                                        const OnTexts& on_texts) {
  for (const ScoredText& text : texts) {
    TYLLM_CHECK(!text.ids.empty() && !text.targets.empty());
  }
  TYLLM_TRY(
      CheckTexts(texts, model.shape().vocabulary).Annotate(model.checkpoint.directory().string()));
  return LikelihoodRun(model, backend, texts, on_texts).Run();
}

}  // namespace tyllm::evaluate
