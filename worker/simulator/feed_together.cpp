// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "worker/simulator/session_state.h"

namespace tyllm::simulator {

namespace {

using Bytes = std::vector<std::byte>;

Bytes Copy(DieProgram& program) {
  Bytes copy;
  for (const std::span<const std::byte> part : program.Lasting()) {
    copy.insert(copy.end(), part.begin(), part.end());
  }
  return copy;
}

void PutBack(const Bytes& copy, DieProgram& program) {
  const std::byte* from = copy.data();
  for (const std::span<std::byte> part : program.Lasting()) {
    std::copy_n(from, part.size(), part.data());
    from += part.size();
  }
}

}  // namespace

/// A call between two of its segments.
struct Session::PendingCall {
  State* session = nullptr;
  std::size_t program = 0;
  State::CallInputs inputs;
  State::LogitRows wanted;
  /// What it left in the arena of each die; nothing where that is what it left in die 0's, as in
  /// all of a group that sums together.
  std::vector<Bytes> left;

  std::size_t dies() const { return session->dies[program].size(); }

  DieProgram& On(std::size_t die) { return *session->dies[program][die]; }

  /// Makes a die's program go on with this call.
  DieProgram* Resume(std::size_t die) {
    DieProgram& resumed = On(die);
    resumed.Begin(inputs.call);
    if (!left.empty()) {
      PutBack(left[die].empty() ? left[0] : left[die], resumed);
    }
    return &resumed;
  }

  void Leave() {
    left.resize(dies());
    for (std::size_t die = 0; die < dies(); ++die) {
      left[die] = Copy(On(die));
      if (die > 0 && left[die] == left[0]) {
        left[die] = {};
      }
    }
  }

  void RunSegment(Executor& executor, std::size_t segment) {
    std::vector<DieProgram*> programs;
    for (std::size_t die = 0; die < dies(); ++die) {
      programs.push_back(Resume(die));
    }
    executor.Run(programs, inputs.call.tokens(), session->observer, {segment, segment + 1});
    Leave();
  }

  void RunHead(Executor& executor, std::size_t segment, std::size_t die) {
    DieProgram* const program_of_die = Resume(die);
    executor.Run(std::span(&program_of_die, 1), inputs.call.tokens(),
                 die == 0 ? session->observer : SegmentObserver(), {segment, segment + 1});
    session->GatherLogits(program, die, wanted);
  }
};

/// Many calls that are done together.
class Session::CallsTogether {
 public:
  /// Logits of the tokens will be in `out`. What Check refuses must not come here.
  void Add(const Feeding& feeding, float* out) {
    State& session = *feeding.session->state_;
    const std::span<const std::int32_t> tokens = feeding.tokens;
    const auto count = std::ssize(tokens);
    session.chunks = ChunksOf(feeding);
    std::int64_t taken = 0;
    for (const Chunk& chunk : session.chunks) {
      PendingCall& call = calls_.emplace_back();
      call.session = &session;
      call.program = session.IndexOf(chunk.program);
      call.inputs = session.InputsOf(
          tokens.subspan(static_cast<std::size_t>(taken), static_cast<std::size_t>(chunk.tokens)),
          session.history);
      call.wanted = session.RowsOf(chunk, feeding.rows, taken, count, out);
      taken += chunk.tokens;
      session.history += chunk.tokens;
    }
    if (const artifact::EmbeddingTable* const table = session.artifact.embedding()) {
      table->Forget();
    }
  }

  void Run(const std::function<void(std::size_t)>& done) {
    const std::size_t head = calls_.front().On(0).segments().size() - 1;
    for (std::size_t segment = 0; segment < head; ++segment) {
      RunSegment(segment);
      if (done) {
        done(segment + 1);
      }
    }
    RunHeads(head);
    if (done) {
      done(head + 1);
    }
  }

 private:
  static std::vector<Chunk> ChunksOf(const Feeding& feeding) {
    const State& session = *feeding.session->state_;
    const bool visual = session.artifact.artifact().buffers.visual;
    const auto count = std::ssize(feeding.tokens);
    const std::int64_t first = std::min(feeding.first, count);
    std::vector<Chunk> chunks =
        PlanChunks(session.buckets, session.history, first, feeding.rows, visual);
    std::ranges::copy(
        PlanChunks(session.buckets, session.history + first, count - first, feeding.rows, visual),
        std::back_inserter(chunks));
    return chunks;
  }

  Executor& executor() const { return calls_.front().session->executor; }

  const LoadedArtifact& artifact() const { return calls_.front().session->artifact; }

  std::size_t dies() const { return calls_.front().dies(); }

  void RunSegment(std::size_t segment) {
    for (PendingCall& call : calls_) {
      call.RunSegment(executor(), segment);
    }
    for (std::size_t die = 0; die < dies(); ++die) {
      artifact().Forget(segment, die);
    }
  }

  /// The largest matrix of all, of which one die's part is resident at a time.
  void RunHeads(std::size_t head) {
    for (std::size_t die = 0; die < dies(); ++die) {
      for (PendingCall& call : calls_) {
        if (call.wanted.count > 0) {
          call.RunHead(executor(), head, die);
        }
      }
      artifact().Forget(head, die);
    }
  }

  std::vector<PendingCall> calls_;
};

Result<std::vector<std::vector<float>>> Session::FeedTogether(
    std::span<const Feeding> feedings, const std::function<void(std::size_t)>& done) {
  for (const Feeding& feeding : feedings) {
    TYLLM_TRY(feeding.session->state_->Check(feeding.tokens, feeding.rows));
  }
  CallsTogether calls;
  std::vector<std::vector<float>> logits;
  for (const Feeding& feeding : feedings) {
    const State& state = *feeding.session->state_;
    const std::int64_t rows = feeding.rows == Rows::kEvery ? std::ssize(feeding.tokens) : 1;
    std::vector<float>& out = logits.emplace_back(
        static_cast<std::size_t>(rows * state.artifact.artifact().shape.vocabulary));
    calls.Add(feeding, out.data());
  }
  if (!feedings.empty()) {
    calls.Run(done);
  }
  return logits;
}

}  // namespace tyllm::simulator
