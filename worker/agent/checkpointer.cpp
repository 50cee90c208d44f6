// SPDX-License-Identifier: Apache-2.0
#include "worker/agent/checkpointer.h"

#include <utility>

#include "common/base/pause.h"

namespace tyllm::agent {

bool KeepsUnfinishedWork(domain::TaskKind kind) {
  switch (kind) {
    case domain::TaskKind::kQuantize:
    case domain::TaskKind::kCompileDie:
      return true;
    case domain::TaskKind::kConvert:
    case domain::TaskKind::kEvaluate:
    case domain::TaskKind::kAssemble:
      return false;
  }
  return false;
}

Checkpointer::Checkpointer(Place place, Milliseconds period, Surroundings around)
    : tree_(std::move(place.partial), std::move(place.snapshot)),
      period_(period),
      around_(std::move(around)),
      thread_([this] { Work(); }) {}

Checkpointer::~Checkpointer() {
  pausing_.request_stop();
  uploading_.request_stop();
}

void Checkpointer::Work() {
  while (PauseFor(period_, pausing_.get_token())) {
    Take(uploading_.get_token());
  }
}

/// A file may be there before its progress is told: the same files are then worth more.
void Checkpointer::TellProgress(const domain::Progress& progress) {
  if (!last_) {
    return;
  }
  domain::Checkpoint later = *last_;
  later.stage = progress.stage;
  later.done = progress.done;
  later.total = progress.total;
  if (later == *last_) {
    return;
  }
  // Looked at after the progress was told: what it counts is in the tree that was sent.
  if (const Result<bool> same = tree_.IsAsTaken(); !same.ok() || !*same) {
    return;
  }
  last_ = later;
  later.unix_ms = around_.clock.UnixMillis();
  around_.on_checkpoint(later);
}

void Checkpointer::Take(const std::stop_token& stop) {
  const domain::Progress progress = around_.progress();  // before the files, so never ahead of them
  auto tree = tree_.Take();
  if (!tree.ok()) {
    around_.on_error(tree.status());
    return;
  }
  if (!*tree) {
    return TellProgress(progress);
  }
  domain::Checkpoint checkpoint{.tree = IdOf(**tree),
                                .stage = progress.stage,
                                .done = progress.done,
                                .total = progress.total};
  if (last_ && checkpoint == *last_) {
    return;
  }
  if (!last_ || last_->tree != checkpoint.tree) {
    const Status sent =
        around_.transfer.UploadTree(**tree, tree_.snapshot(), [](auto, auto) {}, stop);
    if (!sent.ok()) {
      tree_.Forget();
      if (!stop.stop_requested()) {
        around_.on_error(sent);
      }
      return;
    }
  }
  last_ = checkpoint;
  checkpoint.unix_ms = around_.clock.UnixMillis();
  around_.on_checkpoint(checkpoint);
}

void Checkpointer::Finish(bool keep, const std::stop_token& abandon) {
  const std::stop_callback give_up(abandon, [this] { uploading_.request_stop(); });
  pausing_.request_stop();
  if (!keep) {
    uploading_.request_stop();
  }
  thread_.join();
  if (keep) {
    Take(uploading_.get_token());
  }
}

}  // namespace tyllm::agent
