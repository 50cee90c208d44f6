// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "common/base/result.h"
#include "worker/model/tokenizer_description.h"

namespace tyllm::model {

/// Cuts text into the pieces that a pre-tokenizer's Split rules give, one rule after another.
/// Regular expressions are PCRE2's with Unicode classes (its tables are of Unicode 14). Immutable;
/// usable from any thread.
class PieceSplitter {
 public:
  static Result<PieceSplitter> Create(std::span<const SplitRule> rules);
  PieceSplitter(PieceSplitter&&) noexcept;
  PieceSplitter& operator=(PieceSplitter&&) noexcept;
  ~PieceSplitter();

  /// What matching needs besides the rules; one thread at a time.
  class Scratch {
   public:
    explicit Scratch(const PieceSplitter& splitter);
    Scratch(Scratch&&) noexcept;
    ~Scratch();

   private:
    friend class PieceSplitter;
    struct State;
    std::unique_ptr<State> state_;
  };

  using Emit = std::function<void(std::string_view piece)>;

  /// Calls `emit` for the pieces in order; joined they are the text, which is valid UTF-8. Error: a
  /// pattern that needs absurdly many steps.
  Status Split(std::string_view text, Scratch& scratch, const Emit& emit) const;

 private:
  struct State;
  explicit PieceSplitter(std::unique_ptr<State> state);
  Status SplitFrom(std::size_t rule, std::string_view text, Scratch& scratch,
                   const Emit& emit) const;
  std::unique_ptr<State> state_;
};

}  // namespace tyllm::model
