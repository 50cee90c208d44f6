// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/filled_calls.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tyllm::simulator {

namespace {

/// Products of weights and tokens that one session may take more than the reference's text: some
/// seconds.
constexpr std::int64_t kProducts = 400'000'000'000;

}  // namespace

std::int64_t TokensBehindOne(const model::ModelShape& shape, std::int64_t bucket,
                             std::int64_t max_kv, std::int64_t tokens) {
  const std::int64_t affordable = std::max<std::int64_t>(2, kProducts / shape.parameters());
  return std::min({bucket, max_kv - 1, std::max(tokens - 1, affordable)});
}

Result<FilledCalls> FilledCalls::Open(const LoadedArtifact& loaded, const Golden& golden,
                                      bool every) {
  const artifact::Artifact& artifact = loaded.artifact();
  const auto tokens = std::ssize(golden.tokens);
  FilledCalls calls(artifact.shape.vocabulary, every);
  for (const LoadedProgram& program : loaded.programs()) {
    const plan::ProgramId id = program.id;
    const std::int64_t at_once =
        TokensBehindOne(artifact.shape, id.bucket, artifact.buffers.max_kv, tokens);
    if (loaded.engine() == Engine::kInterpreter || !plan::TakesHistory(id.kind) || id.bucket == 1 ||
        at_once < 1) {
      continue;
    }
    TYLLM_ASSIGN(Session behind, Session::Open(loaded, {{id.bucket}, 0, Pages::kSmall}));
    const Rows rows = plan::EveryLogit(id.kind) ? Rows::kEvery : Rows::kLast;
    Run run{id, golden.tokens, rows, at_once, std::move(behind), {}};
    if (every || at_once + 1 > tokens) {
      run.text.resize(static_cast<std::size_t>(at_once + 1));
      for (std::size_t i = golden.tokens.size(); i < run.text.size(); ++i) {
        run.text[i] = run.text[i - golden.tokens.size()];
      }
    }
    if (at_once + 1 > tokens) {
      TYLLM_ASSIGN(run.before, Session::Open(loaded, {{id.bucket}, 0, Pages::kSmall}));
    }
    calls.runs_.push_back(std::move(run));
  }
  return calls;
}

std::vector<Session::Feeding> FilledCalls::Feedings() {
  std::vector<Session::Feeding> feedings;
  for (Run& run : runs_) {
    feedings.push_back({&run.behind, run.text, run.rows, 1});
    if (run.before) {
      feedings.push_back({&*run.before, run.text, Rows::kLast, run.at_once});
    }
  }
  return feedings;
}

Status FilledCalls::Check(std::span<const std::vector<float>> logits,
                          std::span<const float> of_text) const {
  const auto row = static_cast<std::size_t>(vocabulary_);
  for (const Run& run : runs_) {
    const std::span<const float> found = logits.front();
    logits = logits.subspan(1);
    if (run.before) {
      TYLLM_TRY(Compare(run, found.last(row), logits.front(), Describe(run.before->chunks())));
      logits = logits.subspan(1);
      continue;
    }
    const std::span<const float> expected = every_ ? of_text.first(run.text.size() * row) : of_text;
    TYLLM_TRY(Compare(run, found, expected.last(found.size()), "other chunks"));
  }
  return OkStatus();
}

Status FilledCalls::Compare(const Run& run, std::span<const float> found,
                            std::span<const float> expected, const std::string& otherwise) const {
  if (std::memcmp(found.data(), expected.data(), found.size_bytes()) == 0) {
    return OkStatus();
  }
  return DataLoss("program " + std::string(plan::kProgramKindNames.Name(run.program.kind)) +
                  " of " + std::to_string(run.program.bucket) +
                  " tokens: " + std::to_string(run.text.size()) + " tokens give other logits as " +
                  Describe(run.behind.chunks()) + " than as " + otherwise +
                  ": they have to be the same bits; compile the model again");
}

std::vector<std::string> FilledCalls::Chunkings() const {
  std::vector<std::string> chunkings;
  for (const Run& run : runs_) {
    chunkings.push_back(Describe(run.behind.chunks()));
  }
  return chunkings;
}

}  // namespace tyllm::simulator
