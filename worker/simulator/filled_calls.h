// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "worker/simulator/golden.h"
#include "worker/simulator/session.h"

namespace tyllm::simulator {

/// Tokens that a program of `bucket` tokens is given at once behind another one to prove it: all
/// that it takes, but of large models no more than `tokens` of the reference's text, which would
/// take long.
std::int64_t TokensBehindOne(const model::ModelShape& shape, std::int64_t bucket,
                             std::int64_t max_kv, std::int64_t tokens);

/// Every program that takes a history and more than one token, called with that: one token is read,
/// then as many at once as TokensBehindOne says. What must come out is what the same text gives in
/// other chunks, bit by bit. None where programs are interpreted. What it is given outlives it.
class FilledCalls {
 public:
  static Result<FilledCalls> Open(const LoadedArtifact& loaded, const Golden& golden, bool every);

  /// The feedings of all sessions.
  std::vector<Session::Feeding> Feedings();

  /// `logits` are those of the feedings, `of_text` those of all of the reference's tokens: every
  /// row of them, or the last one.
  Status Check(std::span<const std::vector<float>> logits, std::span<const float> of_text) const;

  /// "1+128", after Session::FeedTogether.
  std::vector<std::string> Chunkings() const;

 private:
  struct Run {
    plan::ProgramId program;
    std::vector<std::int32_t> text;
    Rows rows = Rows::kLast;
    std::int64_t at_once = 0;
    Session behind;
    /// All but the text's last token at once, then that one: where the reference's text is shorter.
    std::optional<Session> before;
  };

  explicit FilledCalls(std::int64_t vocabulary, bool every)
      : vocabulary_(vocabulary), every_(every) {}

  Status Compare(const Run& run, std::span<const float> found, std::span<const float> expected,
                 const std::string& otherwise) const;

  std::int64_t vocabulary_;
  bool every_;
  std::vector<Run> runs_;
};

}  // namespace tyllm::simulator
