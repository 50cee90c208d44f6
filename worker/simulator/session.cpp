// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/session.h"

#include <algorithm>
#include <string>
#include <utility>

#include "worker/plan/memory_plan.h"
#include "worker/simulator/interpreter.h"
#include "worker/simulator/rotations.h"

namespace tyllm::simulator {

namespace {

std::string List(std::span<const std::int64_t> numbers) {
  std::string text;
  for (const std::int64_t number : numbers) {
    text += (text.empty() ? "" : ", ") + std::to_string(number);
  }
  return text;
}

}  // namespace

struct Session::State {
  State(const LoadedArtifact& loaded, const SessionOptions& options)
      : artifact(loaded), executor(loaded.dies(), options.threads) {}

  const LoadedArtifact& artifact;
  Executor executor;
  std::vector<std::int64_t> buckets;
  std::vector<AlignedMemory> arenas;                           ///< [dies]
  std::vector<AlignedMemory> caches;                           ///< [dies], compiled code
  std::vector<std::vector<float>> float_caches;                ///< [dies], interpreter
  std::vector<std::vector<std::unique_ptr<DieProgram>>> dies;  ///< [programs][dies]
  std::vector<Chunk> chunks;
  std::int64_t history = 0;
  std::optional<Rotations> rotations;  ///< of a visual language model
  SeenSequence seen;                   ///< no positions: text
  SegmentObserver observer;

  Status ChooseBuckets(const std::vector<std::int64_t>& wanted);
  Status AllocateMemory();
  void MakePrograms();
  Status Check(std::span<const std::int32_t> tokens, Rows rows) const;
  Result<std::vector<float>> Feed(std::span<const std::int32_t> tokens, Rows rows);
  void RunChunk(const Chunk& chunk, std::span<const std::int32_t> tokens);
  void GatherLogits(const Chunk& chunk, std::int64_t first_row, std::int64_t rows,
                    float* out) const;
  std::size_t IndexOf(const plan::ProgramId& id) const;
  const plan::Schedule& ScheduleOf(std::size_t program, std::size_t die) const;
};

Status Session::State::ChooseBuckets(const std::vector<std::int64_t>& wanted) {
  const std::vector<std::int64_t>& all = artifact.artifact().buffers.seq_lens;
  buckets = wanted.empty() ? all : wanted;
  for (const std::int64_t bucket : buckets) {
    if (std::find(all.begin(), all.end(), bucket) == all.end()) {
      return InvalidArgument("the model was not compiled for chunks of " + std::to_string(bucket) +
                             " tokens; choose among " + List(all) +
                             ", or compile it with --seq-lens");
    }
  }
  return OkStatus();
}

Status Session::State::AllocateMemory() {
  for (std::size_t die = 0; die < static_cast<std::size_t>(artifact.dies()); ++die) {
    if (artifact.engine() == Engine::kInterpreter) {
      float_caches.push_back(FloatKvCache(ScheduleOf(0, die)));
      continue;
    }
    std::uint64_t bytes = 0;
    for (const LoadedProgram& program : artifact.programs()) {
      bytes = std::max(bytes, program.dies[die].object->program().arena_bytes);
    }
    const std::string name = "die " + std::to_string(die);
    TYLLM_ASSIGN(AlignedMemory arena, AlignedMemory::Allocate(bytes, "the arena of " + name));
    TYLLM_ASSIGN(
        AlignedMemory cache,
        AlignedMemory::Allocate(plan::KvCacheBytes(ScheduleOf(0, die)), "the KV cache of " + name));
    arenas.push_back(std::move(arena));
    caches.push_back(std::move(cache));
  }
  return OkStatus();
}

void Session::State::MakePrograms() {
  for (const LoadedProgram& program : artifact.programs()) {
    std::vector<std::unique_ptr<DieProgram>>& made = dies.emplace_back();
    for (std::size_t die = 0; die < program.dies.size(); ++die) {
      const ProgramOnDie& on_die = program.dies[die];
      if (artifact.engine() == Engine::kInterpreter) {
        made.push_back(
            std::make_unique<Interpreter>(*on_die.schedule, *on_die.weights, float_caches[die]));
        continue;
      }
      made.push_back(std::make_unique<NativeProgram>(
          on_die.object->program(), static_cast<std::uint32_t>(die),
          static_cast<std::uint32_t>(program.dies.size()),
          DieParameters{on_die.weights_at, on_die.constant->bytes().data(), on_die.bindings.data()},
          DieMemory{arenas[die].data(), caches[die].data()}));
    }
  }
}

Status Session::State::Check(std::span<const std::int32_t> tokens, Rows rows) const {
  if (tokens.empty()) {
    return InvalidArgument("there are no tokens to run; expected at least one");
  }
  const std::int64_t vocabulary = artifact.artifact().shape.vocabulary;
  for (const std::int32_t id : tokens) {
    if (id < 0 || id >= vocabulary) {
      return InvalidArgument("token id " + std::to_string(id) + " is outside the vocabulary of " +
                             std::to_string(vocabulary) + " tokens");
    }
  }
  const std::int64_t max_kv = artifact.artifact().buffers.max_kv;
  if (history + std::ssize(tokens) > max_kv) {
    return OutOfRange(std::to_string(tokens.size()) + " tokens after " + std::to_string(history) +
                      " do not fit into the model's KV cache of " + std::to_string(max_kv) +
                      "; shorten the text, or compile with a larger --max-kv");
  }
  if (PlanChunks(buckets, history, 1, rows, artifact.artifact().buffers.visual).empty()) {
    return FailedPrecondition(
        "no program gives the logits of every token: that needs a bucket of "
        "at most 8, and there are " +
        List(buckets) + "; compile with --seq-lens 1,8");
  }
  return OkStatus();
}

Result<std::vector<float>> Session::State::Feed(std::span<const std::int32_t> tokens, Rows rows) {
  TYLLM_TRY(Check(tokens, rows));
  const std::int64_t vocabulary = artifact.artifact().shape.vocabulary;
  const std::int64_t wanted = rows == Rows::kEvery ? std::ssize(tokens) : 1;
  std::vector<float> logits(static_cast<std::size_t>(wanted * vocabulary));
  chunks =
      PlanChunks(buckets, history, std::ssize(tokens), rows, artifact.artifact().buffers.visual);
  std::int64_t done = 0;
  for (const Chunk& chunk : chunks) {
    RunChunk(chunk, tokens.subspan(static_cast<std::size_t>(done),
                                   static_cast<std::size_t>(chunk.tokens)));
    const bool every = plan::EveryLogit(chunk.program.kind);
    if (rows == Rows::kEvery) {
      GatherLogits(chunk, 0, chunk.tokens, logits.data() + done * vocabulary);
    } else if (done + chunk.tokens == std::ssize(tokens)) {
      GatherLogits(chunk, every ? chunk.tokens - 1 : 0, 1, logits.data());
    }
    done += chunk.tokens;
    history += chunk.tokens;
  }
  return logits;
}

void Session::State::RunChunk(const Chunk& chunk, std::span<const std::int32_t> tokens) {
  Call call{tokens, {}, history};
  std::vector<float> embeddings;
  std::vector<float> deepstack;
  if (const artifact::EmbeddingTable* const table = artifact.embedding()) {
    const auto width = static_cast<std::size_t>(table->columns());
    embeddings.resize(tokens.size() * width);
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      table->Read(tokens[t], std::span(embeddings).subspan(t * width, width));
    }
    seen.Place(history, call.tokens(), table->columns(), embeddings.data());
    deepstack = seen.Deepstack(history, call.tokens(), table->columns());
    call.embeddings = embeddings;
    call.deepstack = deepstack.empty() ? nullptr : deepstack.data();
  }
  if (rotations) {
    const auto axes = seen.PositionsFrom(history, call.tokens());
    rotations->Set(history, {axes[0], axes[1], axes[2]});
    call.rotations = rotations->RowsFrom(history);
  }
  std::vector<DieProgram*> programs;
  for (const std::unique_ptr<DieProgram>& program : dies[IndexOf(chunk.program)]) {
    program->Begin(call);
    programs.push_back(program.get());
  }
  executor.Run(programs, call.tokens(), observer);
}

void Session::State::GatherLogits(const Chunk& chunk, std::int64_t first_row, std::int64_t rows,
                                  float* out) const {
  const std::size_t program = IndexOf(chunk.program);
  for (std::size_t die = 0; die < dies[program].size(); ++die) {
    const plan::Range columns = ScheduleOf(program, die).shard.vocabulary;
    const float* const from = dies[program][die]->Logits() + first_row * columns.size();
    for (std::int64_t r = 0; r < rows; ++r) {
      std::copy_n(from + r * columns.size(), columns.size(),
                  out + r * artifact.artifact().shape.vocabulary + columns.begin);
    }
  }
}

std::size_t Session::State::IndexOf(const plan::ProgramId& id) const {
  const std::vector<LoadedProgram>& programs = artifact.programs();
  const auto found = std::find_if(programs.begin(), programs.end(),
                                  [&](const LoadedProgram& p) { return p.id == id; });
  TYLLM_CHECK(found != programs.end());
  return static_cast<std::size_t>(found - programs.begin());
}

const plan::Schedule& Session::State::ScheduleOf(std::size_t program, std::size_t die) const {
  return *artifact.programs()[program].dies[die].schedule;
}

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}

Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<Session> Session::Open(const LoadedArtifact& artifact, const SessionOptions& options) {
  auto state = std::make_unique<State>(artifact, options);
  TYLLM_TRY(state->ChooseBuckets(options.buckets));
  TYLLM_TRY(state->AllocateMemory());
  state->MakePrograms();
  if (const model::VisionShape* const vision = artifact.vision()) {
    TYLLM_ASSIGN(state->rotations,
                 Rotations::Load(artifact.artifact().directory, artifact.artifact().shape, *vision,
                                 artifact.artifact().buffers.max_kv));
  }
  return Session(std::move(state));
}

std::int64_t Session::history() const {
  return state_->history;
}

std::int64_t Session::max_kv() const {
  return state_->artifact.artifact().buffers.max_kv;
}

void Session::Rewind(std::int64_t tokens) {
  TYLLM_CHECK(tokens >= 0 && tokens <= state_->history);
  state_->history = tokens;
}

void Session::See(SeenSequence seen) {
  TYLLM_CHECK(state_->rotations.has_value());
  state_->history = 0;
  state_->seen = std::move(seen);
}

Result<std::vector<float>> Session::Feed(std::span<const std::int32_t> tokens) {
  return state_->Feed(tokens, Rows::kLast);
}

Result<std::vector<float>> Session::FeedEvery(std::span<const std::int32_t> tokens) {
  return state_->Feed(tokens, Rows::kEvery);
}

void Session::Record(TaskLog* log) {
  state_->executor.Record(log);
}

std::int64_t Session::threads() const {
  return state_->executor.workers();
}

void Session::Observe(SegmentObserver observer) {
  state_->observer = std::move(observer);
}

const std::vector<Chunk>& Session::chunks() const {
  return state_->chunks;
}

}  // namespace tyllm::simulator
