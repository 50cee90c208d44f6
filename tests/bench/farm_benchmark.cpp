// SPDX-License-Identifier: Apache-2.0
// What a server does a second, and what it costs while it has nothing to do: a process of its own,
// called over loopback. One JSON object on standard output (docs/benchmarks/queue.md).
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "common/base/version.h"
#include "common/cli/command.h"
#include "common/format/json.h"
#include "tests/bench/idle_load.h"
#include "tests/bench/measured_server.h"
#include "tests/bench/queue_load.h"
#include "tests/bench/tree_load.h"

namespace tyllm::bench {
namespace {

using cli::ExitCode;
using format::Json;

struct QueueOptions {
  std::filesystem::path folder = "farm_benchmark.tmp";
  std::int64_t jobs = 5000;
  std::int64_t in_flight = 32;
  std::int64_t waiting = 0;
  std::int64_t rounds = 3;
  std::int64_t latencies = 100;
  std::int64_t workers = 1;
};

struct IdleOptions {
  std::filesystem::path folder = "farm_benchmark.tmp";
  std::int64_t workers = 1000;
  std::int64_t watchers = 1000;
  std::int64_t seconds = 60;
};

struct TreeOptions {
  std::filesystem::path folder = "farm_benchmark.tmp";
  std::int64_t files = 2000;
  std::int64_t bytes = 4096;
  std::int64_t rounds = 3;
  bool one_by_one = false;
};

double At(const std::vector<double>& sorted, double part) {
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(part * last + 0.5)];
}

Result<Json> Round(const MeasuredServer& server, const BlobId& tree, const QueueOptions& options,
                   int round) {
  const std::string name = "round" + std::to_string(round) + "-";
  const auto in_flight = static_cast<int>(options.in_flight);
  Json json = Json::object();
  json["load"] = MachineLoad();
  const std::vector<double> latencies =
      DispatchLatencies(server, tree, static_cast<int>(options.latencies), name + "idle");
  json["dispatch_ms"] = {{"p50", At(latencies, 0.5)},
                         {"p99", At(latencies, 0.99)},
                         {"max", latencies.back()},
                         {"samples", latencies.size()}};
  const auto timed = [&](std::string_view key, auto rate) {
    std::fprintf(stderr, "%s\n", std::string(key).c_str());
    const double cpu = server.Read().cpu_seconds;
    json[std::string(key) + "_per_second"] = rate();
    json[std::string(key) + "_server_cpu_ms"] =
        (server.Read().cpu_seconds - cpu) * 1000 / static_cast<double>(options.jobs);
  };
  const auto claim = [&](const Workers& workers) {
    return [&, workers] { return ClaimAndCompleteRate(server, tree, options.jobs, workers); };
  };
  timed("enqueue", [&] { return SubmitRate(server, tree, options.jobs, in_flight, name); });
  timed("claim_complete", claim({.count = in_flight}));
  timed("enqueue_stream", [&] { return StreamRate(server, tree, options.jobs, in_flight, name); });
  const auto workers = static_cast<int>(options.workers);
  timed("claim_complete_slots", claim({.count = workers, .slots = in_flight / workers}));
  return json;
}

Status RunQueue(const QueueOptions& options) {
  std::filesystem::remove_all(options.folder);
  const std::filesystem::path data = options.folder / "data";
  TYLLM_ASSIGN(const BlobId tree, StoreSmallTree(data));
  TYLLM_TRY(FillQueue(data, tree, options.waiting));
  ::sync();  // the disk is not still writing them when the first round begins
  TYLLM_ASSIGN(const auto server, MeasuredServer::Start(data));
  Json json = Json::object();
  json["benchmark"] = "queue";
  json["version"] = std::string(Version());
  json["in_flight"] = options.in_flight;
  json["jobs"] = options.jobs;
  json["workers_with_slots"] = options.workers;
  json["waiting"] = options.waiting;
  json["rounds"] = Json::array();
  for (int round = 0; round < options.rounds; ++round) {
    TYLLM_ASSIGN(Json one, Round(*server, tree, options, round));
    std::fprintf(stderr, "round %d: %s\n", round, one.dump().c_str());
    json["rounds"].push_back(std::move(one));
  }
  json["server_resident_mib"] = server->Read().resident_mib;
  std::printf("%s\n", format::PrettyJson(json).c_str());
  std::filesystem::remove_all(options.folder);
  return OkStatus();
}

Status RunIdle(const IdleOptions& options) {
  std::filesystem::remove_all(options.folder);
  TYLLM_ASSIGN(const auto server, MeasuredServer::Start(options.folder / "data"));
  TYLLM_ASSIGN(const BlobId tree, UploadSmallTree(*server));
  const Idlers idlers{static_cast<int>(options.workers), static_cast<int>(options.watchers)};
  Json json = Json::object();
  json["benchmark"] = "idle";
  json["version"] = std::string(Version());
  json["workers"] = options.workers;
  json["watchers"] = options.watchers;
  json["connections"] = options.workers + options.watchers;
  json["seconds"] = options.seconds;
  const IdleCost cost = MeasureIdle(*server, tree, idlers, std::chrono::seconds(options.seconds));
  json["load"] = MachineLoad();
  json["cpu_percent_of_a_core"] = cost.cores * 100;
  json["resident_mib"] = cost.resident_mib;
  json["resident_mib_before"] = cost.empty_mib;
  json["sync_calls"] = cost.calls;
  json["broken_calls"] = cost.broken;
  std::printf("%s\n", format::PrettyJson(json).c_str());
  std::filesystem::remove_all(options.folder);
  return OkStatus();
}

Status RunTree(const TreeOptions& options) {
  std::filesystem::remove_all(options.folder);
  TYLLM_ASSIGN(const auto server, MeasuredServer::Start(options.folder / "data"));
  Json json = Json::object();
  json["benchmark"] = "tree";
  json["version"] = std::string(Version());
  json["files"] = options.files;
  json["bytes"] = options.bytes;
  json["one_by_one"] = options.one_by_one;
  json["rounds"] = Json::array();
  for (int round = 0; round < options.rounds; ++round) {
    const auto move = options.one_by_one ? MoveTreeOneByOne : MoveTree;
    TYLLM_ASSIGN(const TreeTimes times,
                 move(*server, options.folder, {options.files, options.bytes}));
    json["rounds"].push_back({{"load", MachineLoad()},
                              {"up_seconds", times.up_seconds},
                              {"down_seconds", times.down_seconds}});
  }
  std::printf("%s\n", format::PrettyJson(json).c_str());
  std::filesystem::remove_all(options.folder);
  return OkStatus();
}

template <typename Options>
void Run(cli::CommandSpec& spec, std::shared_ptr<Options> options, Status (*run)(const Options&)) {
  spec.run = [options, run] {
    const Status status = run(*options);
    return status.ok() ? ExitCode::kOk : cli::ReportError(status);
  };
}

void DeclareQueue(cli::CommandSpec& spec) {
  const auto options = std::make_shared<QueueOptions>();
  spec.options = {
      {"--folder", "DIR", "scratch, removed before and after; on the disk that is meant",
       &options->folder},
      {"--jobs", "N", "of each round", &options->jobs},
      {"--in-flight", "N", "jobs at a time", &options->in_flight},
      {"--workers", "N", "that have as many slots together, where workers have several",
       &options->workers},
      {"--waiting", "N", "jobs that are queued already", &options->waiting},
      {"--rounds", "N", "", &options->rounds},
      {"--latencies", "N", "dispatches that are timed in a round", &options->latencies},
  };
  Run(spec, options, RunQueue);
}

void DeclareIdle(cli::CommandSpec& spec) {
  const auto options = std::make_shared<IdleOptions>();
  spec.options = {
      {"--folder", "DIR", "scratch, removed before and after", &options->folder},
      {"--workers", "N", "each with a connection", &options->workers},
      {"--watchers", "N", "each with a connection", &options->watchers},
      {"--seconds", "N", "for which it is measured", &options->seconds},
  };
  Run(spec, options, RunIdle);
}

void DeclareTree(cli::CommandSpec& spec) {
  const auto options = std::make_shared<TreeOptions>();
  spec.options = {
      {"--folder", "DIR", "scratch, removed before and after; on the disk that is meant",
       &options->folder},
      {"--files", "N", "of a tree, new ones each round", &options->files},
      {"--bytes", "N", "of each", &options->bytes},
      {"--rounds", "N", "", &options->rounds},
      {"--one-by-one", "", "a call and a sync for each file, as older clients do",
       &options->one_by_one},
  };
  Run(spec, options, RunTree);
}

}  // namespace
}  // namespace tyllm::bench

int main(int argc, char** argv) {
  using tyllm::cli::Command;
  const Command commands[] = {
      {"queue", "", "enqueue, claim and complete, dispatch", tyllm::bench::DeclareQueue},
      {"idle", "", "workers and watchers without work", tyllm::bench::DeclareIdle},
      {"tree", "", "a tree of files, up and down", tyllm::bench::DeclareTree},
  };
  return tyllm::cli::RunProgram({"farm_benchmark", "Measures a server.", tyllm::Version()},
                                commands, {}, argc, argv);
}
