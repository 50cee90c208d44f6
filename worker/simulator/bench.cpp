// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/bench.h"

#include <algorithm>
#include <random>

#include "worker/simulator/memory_speed.h"
#include "worker/simulator/op_table.h"
#include "worker/simulator/session.h"

namespace tyllm::simulator {
namespace {

constexpr double kGiga = 1e9;
constexpr std::int64_t kMostRepeats = 1000;

/// A model that is open, with everything that a pass needs.
struct Subject {
  const LoadedArtifact& loaded;
  const BenchRequest& request;
  Session session;
  std::vector<std::int32_t> tokens;

  std::span<const std::int32_t> prompt() const {
    return std::span(tokens).first(static_cast<std::size_t>(request.prompt_tokens));
  }

  std::span<const std::int32_t> after() const {
    return std::span(tokens).subspan(static_cast<std::size_t>(request.prompt_tokens));
  }
};

std::vector<const plan::Schedule*> SchedulesOf(const LoadedArtifact& loaded,
                                               const plan::ProgramId& id) {
  std::vector<const plan::Schedule*> schedules;
  for (const LoadedProgram& program : loaded.programs()) {
    if (program.id == id) {
      for (const ProgramOnDie& die : program.dies) {
        schedules.push_back(die.schedule.get());
      }
    }
  }
  return schedules;
}

Status Check(const BenchRequest& request, const LoadedArtifact& loaded) {
  const std::int64_t max_kv = loaded.artifact().buffers.max_kv;
  if (request.prompt_tokens < 1 || request.decode_tokens < 1) {
    return InvalidArgument(
        "nothing to measure: expected at least one token to prefill and one to decode");
  }
  if (request.prompt_tokens > max_kv || request.decode_tokens > max_kv - request.prompt_tokens) {
    return InvalidArgument(std::to_string(request.prompt_tokens) + " + " +
                           std::to_string(request.decode_tokens) +
                           " tokens do not fit into the model's KV cache of " +
                           std::to_string(max_kv) + "; lower --prompt or --decode");
  }
  if (request.repeats < 1 || request.repeats > kMostRepeats || request.threads < 0) {
    return InvalidArgument("--repeats is " + std::to_string(request.repeats) + ", expected 1 to " +
                           std::to_string(kMostRepeats) + "; --threads at least 0");
  }
  return OkStatus();
}

std::vector<std::int32_t> RandomTokens(std::int64_t count, std::int64_t vocabulary) {
  std::mt19937 random(1);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  for (std::int32_t& token : tokens) {
    token = static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(vocabulary));
  }
  return tokens;
}

/// The whole prompt at once.
Status RunPrefill(Subject& subject) {
  subject.session.Reset();
  return subject.session.Feed(subject.prompt()).status();
}

/// Token by token what comes after the prompt.
Status RunDecode(Subject& subject) {
  subject.session.Rewind(subject.request.prompt_tokens);
  for (const std::int32_t& token : subject.after()) {
    TYLLM_TRY(subject.session.Feed(std::span(&token, 1)).status());
  }
  return OkStatus();
}

/// The calls that feeding `tokens` one Feed of `step` after another makes, without their logs.
std::vector<LoggedCall> CallsOf(const Subject& subject, std::int64_t history, std::int64_t tokens,
                                std::int64_t step) {
  std::vector<LoggedCall> calls;
  const std::vector<std::int64_t>& buckets = subject.loaded.artifact().buffers.seq_lens;
  for (std::int64_t done = 0; done < tokens; done += step) {
    for (const Chunk& chunk : PlanChunks(buckets, history + done, step, Rows::kLast,
                                         subject.loaded.artifact().buffers.visual)) {
      const std::int64_t before =
          calls.empty() ? history : calls.back().history + calls.back().tokens;
      calls.push_back({SchedulesOf(subject.loaded, chunk.program), chunk.tokens, before, {}});
    }
  }
  return calls;
}

/// Seconds of `repeats` runs, sorted.
template <typename Run>
Result<std::vector<double>> Seconds(std::int64_t repeats, Run run) {
  std::vector<double> seconds;
  for (std::int64_t i = 0; i < repeats; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    TYLLM_TRY(run());
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds;
}

/// Fills in everything that follows from the times of the repeats.
void Rate(const std::vector<double>& seconds, std::span<const LoggedCall> calls, double memory,
          BenchSide& side) {
  double bytes = 0;
  side.tokens = 0;
  for (const LoggedCall& call : calls) {
    bytes += BytesOfCall(call.schedules, call.tokens, call.history);
    side.tokens += call.tokens;
  }
  const auto count = static_cast<double>(side.tokens);
  side.tokens_per_second = count / seconds.front();
  side.median_tokens_per_second = count / seconds[seconds.size() / 2];
  side.bytes_per_token = bytes / count;
  side.gigabytes_per_second = bytes / seconds.front() / kGiga;
  side.share_of_memory_speed = side.gigabytes_per_second / memory;
}

void RateOps(std::span<const LoggedCall> calls, double seconds, double memory, BenchSide& side) {
  side.ops = OpsOf(calls);
  side.between_ms = seconds * 1e3;
  for (BenchOp& op : side.ops) {
    op.gigabytes_per_second = op.bytes / (op.milliseconds * 1e-3) / kGiga;
    op.share_of_memory_speed = op.gigabytes_per_second / memory;
    side.between_ms -= op.milliseconds;
  }
}

/// Repeats `run`, which makes `calls`, then runs it once more with a clock around every part; the
/// calls get their logs.
template <typename Run>
Result<BenchSide> Measure(Subject& subject, double memory, std::vector<LoggedCall>& calls,
                          Run run) {
  BenchSide side;
  const plan::ProgramId& id = calls.front().schedules.front()->program;
  side.program =
      std::string(plan::kProgramKindNames.Name(id.kind)) + " " + std::to_string(id.bucket);
  TYLLM_TRY(run(subject));  // touches every page
  TYLLM_ASSIGN(const std::vector<double> seconds,
               Seconds(subject.request.repeats, [&] { return run(subject); }));
  Rate(seconds, calls, memory, side);
  if (subject.loaded.engine() == Engine::kInterpreter) {
    return side;  // it does a whole segment as one part
  }
  TaskLog log;
  subject.session.Record(&log);
  TYLLM_TRY(run(subject));  // so that the log has memory
  for (std::vector<TaskSpan>& worker : log) {
    worker.clear();
  }
  subject.session.Record(&log);
  const Result<std::vector<double>> logged = Seconds(1, [&] { return run(subject); });
  subject.session.Record(nullptr);
  TYLLM_TRY(logged.status());
  ShareOut(log, calls);
  RateOps(calls, logged->front(), memory, side);
  return side;
}

std::string HeadOf(const plan::Schedule& schedule) {
  for (const plan::Step& step : schedule.head.steps) {
    if (step.kind == plan::StepKind::kLinear) {
      const plan::WeightKind kind = schedule.WeightOf(step.weights.front(), 0).kind;
      return std::string(plan::kWeightKindNames.Name(kind));
    }
  }
  return {};
}

}  // namespace

Result<BenchReport> Bench(FileSystem& files, const BenchRequest& request,
                          domain::ProgressSink& progress) {
  progress.Report({"bench", 0, 4, "passes", "loading"});
  TYLLM_ASSIGN(const LoadedArtifact loaded,
               LoadedArtifact::Load(request.directory, Engine::kCompiled, Residency::kCopied));
  TYLLM_TRY(Check(request, loaded));
  if (request.trace && loaded.engine() == Engine::kInterpreter) {
    return InvalidArgument("--trace is of programs, and " + request.directory.string() +
                           " has none (it was compiled with --compiler none); leave it out");
  }
  TYLLM_ASSIGN(Session session, Session::Open(loaded, {{}, request.threads}));
  const plan::Schedule& schedule = *loaded.programs()[0].dies[0].schedule;
  Subject subject{
      loaded, request, std::move(session),
      RandomTokens(request.prompt_tokens + request.decode_tokens, schedule.shape.vocabulary)};
  BenchReport report;
  report.directory = loaded.artifact().directory.string();
  report.dies = loaded.dies();
  report.threads = subject.session.threads();
  report.target_cpu = loaded.artifact().manifest.toolchain.target_cpu;
  report.engine = kEngineNames.Name(loaded.engine());
  report.head = HeadOf(schedule);
  progress.Report({"bench", 1, 4, "passes", "memory"});
  TYLLM_ASSIGN(const double memory, MeasureReadSpeed(report.threads));
  report.memory_gigabytes_per_second = memory / kGiga;
  progress.Report({"bench", 2, 4, "passes", "prefill"});
  std::vector<LoggedCall> prefill =
      CallsOf(subject, 0, request.prompt_tokens, request.prompt_tokens);
  TYLLM_ASSIGN(report.prefill,
               Measure(subject, report.memory_gigabytes_per_second, prefill, RunPrefill));
  progress.Report({"bench", 3, 4, "passes", "decode"});
  std::vector<LoggedCall> decode =
      CallsOf(subject, request.prompt_tokens, request.decode_tokens, 1);
  TYLLM_ASSIGN(report.decode,
               Measure(subject, report.memory_gigabytes_per_second, decode, RunDecode));
  progress.Report({"bench", 4, 4, "passes", ""});
  if (request.trace) {
    prefill.push_back(std::move(decode.front()));
    TYLLM_TRY(WriteFileAtomically(files, *request.trace, ChromeTrace(prefill)));
  }
  return report;
}

}  // namespace tyllm::simulator
