// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/session.h"

#include <algorithm>
#include <string>
#include <utility>

#include "worker/plan/memory_plan.h"
#include "worker/simulator/interpreter.h"
#include "worker/simulator/session_state.h"

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
      TYLLM_ASSIGN(AlignedMemory cache, FloatKvCache(ScheduleOf(0, die)));
      caches.push_back(std::move(cache));
      continue;
    }
    std::uint64_t bytes = 0;
    for (const LoadedProgram& program : artifact.programs()) {
      bytes = std::max(bytes, program.dies[die].object->program().arena_bytes);
    }
    const std::string name = "die " + std::to_string(die);
    TYLLM_ASSIGN(AlignedMemory arena,
                 AlignedMemory::Allocate(bytes, "the arena of " + name, pages));
    TYLLM_ASSIGN(AlignedMemory cache,
                 AlignedMemory::Allocate(plan::KvCacheBytes(ScheduleOf(0, die)),
                                         "the KV cache of " + name, pages));
    arenas.push_back(std::move(arena));
    caches.push_back(std::move(cache));
  }
  return OkStatus();
}

namespace {

Result<std::vector<LastingBuffer>> LastingBuffersOf(const plan::Schedule& schedule) {
  TYLLM_ASSIGN(const plan::MemoryPlan memory, plan::PlanMemory(schedule));
  std::vector<LastingBuffer> lasting;
  for (std::size_t b = 0; b < schedule.buffers.size(); ++b) {
    const plan::Buffer& buffer = schedule.buffers[b];
    if (buffer.whole_call) {
      lasting.push_back(
          {memory.offsets[b], static_cast<std::uint64_t>(buffer.columns) * sizeof(float)});
    }
  }
  return lasting;
}

}  // namespace

Status Session::State::MakePrograms() {
  for (const LoadedProgram& program : artifact.programs()) {
    std::vector<std::unique_ptr<DieProgram>>& made = dies.emplace_back();
    for (std::size_t die = 0; die < program.dies.size(); ++die) {
      const ProgramOnDie& on_die = program.dies[die];
      if (artifact.engine() == Engine::kInterpreter) {
        TYLLM_ASSIGN(AlignedMemory buffers, FloatBuffers(*on_die.schedule));
        made.push_back(std::make_unique<Interpreter>(*on_die.schedule, *on_die.weights, caches[die],
                                                     std::move(buffers)));
        continue;
      }
      TYLLM_ASSIGN(std::vector<LastingBuffer> lasting, LastingBuffersOf(*on_die.schedule));
      made.push_back(std::make_unique<NativeProgram>(
          on_die.object->program(), static_cast<std::uint32_t>(die),
          static_cast<std::uint32_t>(program.dies.size()),
          DieParameters{on_die.weights_at, on_die.constant->bytes().data(), on_die.bindings.data()},
          DieMemory{arenas[die].data(), caches[die].data()}, std::move(lasting)));
    }
  }
  return OkStatus();
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
    const CallInputs inputs = InputsOf(
        tokens.subspan(static_cast<std::size_t>(done), static_cast<std::size_t>(chunk.tokens)),
        history);
    const std::size_t index = IndexOf(chunk.program);
    std::vector<DieProgram*> programs;
    for (const std::unique_ptr<DieProgram>& program : dies[index]) {
      program->Begin(inputs.call);
      programs.push_back(program.get());
    }
    executor.Run(programs, chunk.tokens, observer);
    const LogitRows out = RowsOf(chunk, rows, done, std::ssize(tokens), logits.data());
    for (std::size_t die = 0; die < programs.size(); ++die) {
      GatherLogits(index, die, out);
    }
    done += chunk.tokens;
    history += chunk.tokens;
  }
  return logits;
}

Session::State::LogitRows Session::State::RowsOf(const Chunk& chunk, Rows rows, std::int64_t done,
                                                 std::int64_t tokens, float* logits) const {
  if (rows == Rows::kEvery) {
    return {0, chunk.tokens, logits + done * artifact.artifact().shape.vocabulary};
  }
  if (done + chunk.tokens < tokens) {
    return {};
  }
  return {plan::EveryLogit(chunk.program.kind) ? chunk.tokens - 1 : 0, 1, logits};
}

Session::State::CallInputs Session::State::InputsOf(std::span<const std::int32_t> tokens,
                                                    std::int64_t before) {
  CallInputs inputs;
  Call& call = inputs.call;
  call = {tokens, {}, before};
  if (const artifact::EmbeddingTable* const table = artifact.embedding()) {
    const auto width = static_cast<std::size_t>(table->columns());
    inputs.embeddings.resize(tokens.size() * width);
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      table->Read(tokens[t], std::span(inputs.embeddings).subspan(t * width, width));
    }
    seen.Place(before, call.tokens(), table->columns(), inputs.embeddings.data());
    inputs.deepstack = seen.Deepstack(before, call.tokens(), table->columns());
    call.embeddings = inputs.embeddings;
    call.deepstack = inputs.deepstack.empty() ? nullptr : inputs.deepstack.data();
  }
  if (rotations) {
    const auto axes = seen.PositionsFrom(before, call.tokens());
    rotations->Set(before, {axes[0], axes[1], axes[2]});
    call.rotations = rotations->RowsFrom(before);
  }
  return inputs;
}

void Session::State::GatherLogits(std::size_t program, std::size_t die,
                                  const LogitRows& rows) const {
  const plan::Range columns = ScheduleOf(program, die).shard.vocabulary;
  for (std::int64_t r = 0; r < rows.count; ++r) {
    std::copy_n(dies[program][die]->Logits() + (rows.first + r) * columns.size(), columns.size(),
                rows.out + r * artifact.artifact().shape.vocabulary + columns.begin);
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
  TYLLM_TRY(state->MakePrograms());
  if (const model::VisionShape* const vision = artifact.vision()) {
    TYLLM_ASSIGN(state->rotations,
                 Rotations::Load({artifact.artifact().directory, artifact.artifact().buffers.max_kv,
                                  artifact.dies(), artifact.engine()},
                                 artifact.artifact().shape, *vision));
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
