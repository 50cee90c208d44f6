// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/pieces_in_order.h"

#include <utility>

namespace tyllm::compile {

bool PiecesInOrder::Begin(std::int64_t number) {
  auto state = state_.Lock();
  state.Wait([&](const State& now) { return !now.status.ok() || number < now.next + ahead_; });
  return state->status.ok();
}

void PiecesInOrder::End(std::int64_t number, Bytes piece) {
  {
    auto state = state_.Lock();
    state->early.emplace(number, std::move(piece));
  }
  while (true) {
    Bytes next;
    {
      auto state = state_.Lock();
      const auto first = state->early.find(state->next);
      if (state->is_taking || first == state->early.end() || !state->status.ok()) {
        return;
      }
      next = std::move(first->second);
      state->early.erase(first);
      state->is_taking = true;
    }
    Status taken = take_(std::move(next));
    {
      auto state = state_.Lock();
      state->is_taking = false;
      ++state->next;
      if (state->status.ok()) {
        state->status = std::move(taken);
      }
    }
    state_.Notify();
  }
}

void PiecesInOrder::Fail(Status status) {
  {
    auto state = state_.Lock();
    if (state->status.ok()) {
      state->status = std::move(status);
    }
  }
  state_.Notify();
}

Status PiecesInOrder::status() {
  auto state = state_.Lock();
  return state->status;
}

}  // namespace tyllm::compile
