// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "common/base/child_process.h"
#include "tests/support/temporary_directory.h"
#include "worker/compile/preparation.h"
#include "worker/compile/weights.h"
#include "worker/quant/synthesize.h"

// Packing the weights of a 32B model (AWQ, group 128) for 4 dies, against copying the same model
// with `cp`; both end when the bytes are on the disk. TYLLM_BENCH_LAYERS layers of 64 are
// synthesized in TMPDIR, 2 unless set: each takes 0.26 GB, the embedding table and the head 3.1 GB.
// Bytes are those that are written; `peak_rss` is the largest of the process so far.
// BM_PackBesideCp packs, and copies the files that it wrote with `cp`, in turns: `ratio` is the
// speed of packing in that of `cp`, `pack_cpu` and `cp_cpu` are the CPU seconds of all threads, the
// kernel's included but for what it writes back later.
namespace tyllm {
namespace {

std::int64_t Layers() {
  const char* const text = std::getenv("TYLLM_BENCH_LAYERS");
  return text == nullptr ? 2 : std::atoll(text);
}

/// The model, made once for all benchmarks and removed at the end.
class Model {
 public:
  static const Model& Get() {
    static const Model model;
    return model;
  }

  Path path() const { return folder_ / "model"; }

  Path scratch() const { return folder_ / "out"; }

  std::int64_t bytes() const { return bytes_; }

 private:
  Model() {
    domain::NoProgress progress;
    quant::SynthesisRequest request;
    auto published = quant::FindPublishedModel("DeepSeek-R1-Distill-Qwen-32B");
    TYLLM_CHECK(published.ok());
    request.model = *std::move(published);
    request.out = path();
    request.layers = Layers();
    request.quantized = domain::QuantizedFormat::kAwq;
    const auto report = quant::Synthesize(request, progress);
    TYLLM_CHECK(report.ok());
    bytes_ = report->bytes;
  }

  testing::TemporaryDirectory folder_;
  std::int64_t bytes_ = 0;
};

double PeakRss() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

/// Returns when the copy is on the disk.
void CopyWithCp(const Path& from, const Path& to) {
  const auto copied = RunCommand(
      {{"/bin/sh", "-c", "cp -r \"$1\" \"$2\" && sync -f \"$2\"", "sh", from.string(), to.string()},
       {},
       {},
       {}},
      std::chrono::minutes(30));
  TYLLM_CHECK(copied.ok() && copied->exit.ok());
}

void BM_CopyWithCp(benchmark::State& state) {
  const Model& model = Model::Get();
  for (auto _ : state) {
    std::filesystem::remove_all(model.scratch());
    CopyWithCp(model.path(), model.scratch());
  }
  std::filesystem::remove_all(model.scratch());
  state.SetBytesProcessed(state.iterations() * model.bytes());
}

compile::Preparation PrepareFor(std::int64_t dies) {
  compile::CompileRequest request;
  request.model = Model::Get().path();
  request.options.dies = dies;
  request.allow_missing_tokenizer = true;
  domain::NoProgress progress;
  auto prepared = compile::Prepare(request, compile::NeedsCompiler::kNo, progress);
  TYLLM_CHECK(prepared.ok());
  return *std::move(prepared);
}

/// What comes before packing: the model's digest, and a look at all numbers of tables of 16 bits.
void BM_LookAtModel(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(PrepareFor(state.range(0)).model_digest.data());
  }
  state.SetBytesProcessed(state.iterations() * Model::Get().bytes());
  state.counters["peak_rss"] = benchmark::Counter(PeakRss());
}

/// The plans of all dies' files.
std::vector<plan::Schedule> SchedulesOf(const compile::Preparation& prepared) {
  std::vector<plan::Schedule> schedules;
  for (std::int64_t die = 0; die < prepared.options.dies; ++die) {
    auto planned = prepared.Plan(die);
    TYLLM_CHECK(planned.ok());
    schedules.push_back(std::move((*planned)[0].schedule));
  }
  return schedules;
}

/// Packs all dies into the scratch folder. Gives the bytes that were written.
std::int64_t Pack(const compile::Preparation& prepared) {
  const Model& model = Model::Get();
  std::filesystem::remove_all(model.scratch());
  std::filesystem::create_directories(model.scratch());
  const std::vector<plan::Schedule> schedules = SchedulesOf(prepared);
  std::vector<compile::CommonTarget> targets;
  std::int64_t bytes = 0;
  for (std::size_t die = 0; die < schedules.size(); ++die) {
    targets.push_back({model.scratch() / std::to_string(die), &schedules[die]});
    bytes += static_cast<std::int64_t>(
        artifact::LayOut(compile::CommonSpecs(schedules[die])).file_bytes);
  }
  ThreadPool pool;
  domain::NoProgress progress;
  TYLLM_CHECK(compile::WriteCommonParams(LocalFileSystem(), prepared.model.checkpoint, targets,
                                         pool, progress)
                  .ok());
  return bytes;
}

void Finish(benchmark::State& state, std::int64_t bytes) {
  std::filesystem::remove_all(Model::Get().scratch());
  state.SetBytesProcessed(state.iterations() * bytes);
  state.counters["peak_rss"] = benchmark::Counter(PeakRss());
}

void BM_PackForDies(benchmark::State& state) {
  const compile::Preparation prepared = PrepareFor(state.range(0));
  std::int64_t bytes = 0;
  for (auto _ : state) {
    bytes = Pack(prepared);
  }
  Finish(state, bytes);
}

/// Seconds that have passed, and those of CPUs that this process and its children took.
struct Seconds {
  static Seconds Now() {
    using Clock = std::chrono::steady_clock;
    Seconds now{std::chrono::duration<double>(Clock::now().time_since_epoch()).count(), 0};
    for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
      rusage usage{};
      ::getrusage(who, &usage);
      for (const timeval& time : {usage.ru_utime, usage.ru_stime}) {
        now.cpu += static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
      }
    }
    return now;
  }

  Seconds Since(const Seconds& before) const { return {wall - before.wall, cpu - before.cpu}; }

  double wall = 0;
  double cpu = 0;
};

void BM_PackBesideCp(benchmark::State& state) {
  const compile::Preparation prepared = PrepareFor(state.range(0));
  const Path scratch = Model::Get().scratch();
  Path copy = scratch;
  copy += ".copy";
  std::int64_t bytes = 0;
  Seconds packing;
  Seconds copying;
  for (auto _ : state) {
    std::filesystem::remove_all(copy);
    const Seconds begin = Seconds::Now();
    bytes = Pack(prepared);
    const Seconds packed = Seconds::Now();
    CopyWithCp(scratch, copy);
    packing = packed.Since(begin);
    copying = Seconds::Now().Since(packed);
  }
  std::filesystem::remove_all(copy);
  Finish(state, bytes);
  state.counters["ratio"] = copying.wall / packing.wall;
  state.counters["pack_s"] = packing.wall;
  state.counters["cp_s"] = copying.wall;
  state.counters["pack_cpu"] = packing.cpu;
  state.counters["cp_cpu"] = copying.cpu;
}

/// All that a compilation does with a model's weights before it compiles.
void BM_CheckAndPack(benchmark::State& state) {
  std::int64_t bytes = 0;
  for (auto _ : state) {
    bytes = Pack(PrepareFor(state.range(0)));
  }
  Finish(state, bytes);
}

BENCHMARK(BM_CopyWithCp)->Unit(benchmark::kSecond)->UseRealTime()->Iterations(1);
BENCHMARK(BM_LookAtModel)->Arg(4)->Unit(benchmark::kSecond)->UseRealTime()->Iterations(1);
BENCHMARK(BM_PackForDies)->Arg(4)->Unit(benchmark::kSecond)->UseRealTime()->Iterations(1);
BENCHMARK(BM_PackBesideCp)->Arg(4)->Unit(benchmark::kSecond)->UseRealTime()->Iterations(1);
BENCHMARK(BM_CheckAndPack)->Arg(4)->Unit(benchmark::kSecond)->UseRealTime()->Iterations(1);

}  // namespace
}  // namespace tyllm
