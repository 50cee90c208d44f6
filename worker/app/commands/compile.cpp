// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/compile.h"

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "common/base/clock.h"
#include "common/cli/task_option_rows.h"
#include "common/format/json.h"
#include "worker/app/cache_folder.h"
#include "worker/app/commands/commands.h"
#include "worker/app/commands/human_bytes.h"
#include "worker/app/commands/thread_count.h"
#include "worker/app/installed.h"
#include "worker/app/vendor_command.h"
#include "worker/compile/fit_report.h"
#include "worker/compile/vendor/compile_with_vendor.h"
#include "worker/model/output_place.h"
#include "worker/model/vision_shape.h"
#include "worker/simulator/engine.h"

namespace tyllm::app {

namespace {

struct CompileArguments {
  compile::CompileRequest request;
  std::string model;
  std::string out;
  std::string cache;
  std::string source_tokenizer;
  std::string vendor_command;
  std::int64_t jobs = 0;
  bool dry_run = false;
  std::string board;
  std::optional<Path> boards;
  bool json = false;
};

format::Json ToJson(const compile::CompileSummary& summary, double seconds) {
  format::Json json = {{"directory", summary.directory.string()},
                       {"bytes", summary.bytes},
                       {"programs", summary.counts.programs},
                       {"programs_kept", summary.counts.programs_kept},
                       {"distinct_sources", summary.counts.distinct_sources},
                       {"programs_cached", summary.counts.cached},
                       {"programs_built", summary.counts.built()},
                       {"interpreted", summary.counts.interpreted},
                       {"seconds", seconds}};
  if (summary.verified) {
    json["verify"] = format::ToJson(*summary.verified);
  }
  return json;
}

/// Where the programs came from.
std::string Origin(const compile::BuildCounts& counts) {
  if (counts.interpreted) {
    return "to be interpreted: nothing was compiled";
  }
  return std::to_string(counts.programs_kept) + " from an earlier run; " +
         std::to_string(counts.distinct_sources) +
         " sources of the others: " + std::to_string(counts.built()) + " compiled, " +
         std::to_string(counts.cached) + " from the cache";
}

void Print(const simulator::VerifyReport& verified, const std::string& target_cpu,
           bool interpreted) {
  const bool ran = verified.engine == simulator::kEngineNames.Name(simulator::Engine::kCompiled);
  std::printf("%s: %lld rows of logits, largest difference %.2g\n",
              ran ? "run on the die simulator" : "interpreted in float32",
              static_cast<long long>(verified.rows), verified.max_difference);
  if (verified.visual_tokens > 0) {
    std::printf("and over an image, a prompt of %lld tokens: largest difference %.2g\n",
                static_cast<long long>(verified.visual_tokens), verified.visual_max_difference);
  }
  if (!ran && !interpreted) {
    std::printf("the programs were not run: this machine has not the CPU that they are for (%s)\n",
                target_cpu.c_str());
  }
}

void Print(const compile::CompileSummary& summary, double seconds, const std::string& target_cpu,
           bool vendor) {
  std::printf("%s: %lld programs (%s), %.1f MB, %.1f s\n", summary.directory.c_str(),
              static_cast<long long>(summary.counts.programs),
              vendor ? "the vendor's" : Origin(summary.counts).c_str(),
              static_cast<double>(summary.bytes) / 1e6, seconds);
  if (summary.verified) {
    Print(*summary.verified, target_cpu, summary.counts.interpreted);
  } else {
    std::printf(
        "made by the vendor's toolchain for the silicon: the die simulator cannot run it\n");
  }
}

std::string Size(std::uint64_t bytes) {
  return HumanBytes(static_cast<std::int64_t>(bytes));
}

void Print(const compile::FitReport& report) {
  std::printf("die  heads    weights  constants   KV cache      arena      total   a token\n");
  for (const compile::DieFit& die : report.die_list) {
    const std::string heads = std::to_string(die.heads) + ":" + std::to_string(die.kv_heads);
    std::printf("%3lld  %5s  %9s  %9s  %9s  %9s  %9s %9s\n", static_cast<long long>(die.die),
                heads.c_str(), Size(die.weight_bytes).c_str(), Size(die.constant_bytes).c_str(),
                Size(die.kv_bytes).c_str(), Size(die.arena_bytes).c_str(),
                Size(die.total_bytes).c_str(), Size(die.token_bytes).c_str());
    if (die.tower_weight_bytes > 0) {
      std::printf("     tower  %9s  %9s  %9s  %9s\n", Size(die.tower_weight_bytes).c_str(), "", "",
                  Size(die.tower_arena_bytes).c_str());
    }
  }
  std::printf("\nboard         a die has  fits  longest context  tokens/s at most\n");
  for (const compile::BoardFit& fit : report.boards) {
    std::printf("%-12s  %9s  %-4s  %15lld  %16.1f\n", fit.board.name.c_str(),
                Size(fit.board.die_memory_bytes).c_str(), fit.fits ? "yes" : "no",
                static_cast<long long>(fit.longest_context), fit.tokens_per_second);
  }
  const std::string memory =
      report.memory_bytes > 0 ? HumanBytes(report.memory_bytes) + " of memory; " : std::string();
  std::printf("\n%lld programs, %lld to compile; %s on disk; %sabout %.0f s\n",
              static_cast<long long>(report.programs),
              static_cast<long long>(report.distinct_sources), Size(report.directory_bytes).c_str(),
              memory.c_str(), report.seconds);
}

/// The rows of the table of boards that are asked for.
Result<std::vector<compile::Board>> BoardsOf(const CompileArguments& arguments) {
  Path table;
  if (arguments.boards) {
    table = *arguments.boards;
  } else {
    TYLLM_ASSIGN(table, InstalledFile("boards/boards.json"));
  }
  TYLLM_ASSIGN(std::vector<compile::Board> boards, compile::ReadBoards(table));
  if (arguments.board.empty()) {
    return boards;
  }
  TYLLM_ASSIGN(compile::Board board, compile::FindBoard(boards, arguments.board, table));
  return std::vector{std::move(board)};
}

Result<compile::FitReport> DryRun(const CompileArguments& arguments) {
  TYLLM_ASSIGN(const std::vector<compile::Board> boards, BoardsOf(arguments));
  if (!arguments.out.empty()) {
    TYLLM_TRY(model::CheckOutputPlace(arguments.request.model, arguments.out));
  }
  TYLLM_ASSIGN(const compile::Preparation preparation,
               compile::Preflight(arguments.request, compile::NeedsCompiler::kYes));
  return compile::Fit(preparation, boards, ThreadPool(arguments.request.jobs).threads());
}

cli::ExitCode RunDry(const CompileArguments& arguments) {
  const Result<compile::FitReport> report = DryRun(arguments);
  if (!report.ok()) {
    return cli::ReportError(report.status(), arguments.json);
  }
  if (arguments.json) {
    std::cout << format::PrettyJson(format::ToJson(*report));
  } else {
    Print(*report);
  }
  return cli::ExitCode::kOk;
}

Result<compile::CompileSummary> Compile(const CompileArguments& arguments,
                                        domain::ProgressSink& progress) {
  if (arguments.request.options.target == domain::CompileTarget::kSim) {
    return compile::Compile(LocalFileSystem(), arguments.request, arguments.out, progress);
  }
  const auto print = [](std::string_view line) {
    std::cerr << line << std::endl;  // flushed: a crash must not take it along
  };
  return compile::CompileWithVendor(LocalFileSystem(), arguments.request,
                                    VendorSettingsOf(arguments.vendor_command), arguments.out,
                                    print, progress);
}

/// Options of visual language models, with a model of text. What is wrong with config.json itself
/// is told by who compiles.
Status CheckVisualOptions(const CompileArguments& arguments) {
  const auto config = format::ReadJsonFile(Path(arguments.model) / "config.json");
  if (!config.ok() || model::HasVision(*config)) {
    return OkStatus();
  }
  const domain::VisualOptions& given = arguments.request.options.visual;
  const domain::VisualOptions initial;
  const std::pair<bool, const char*> options[] = {
      {given.image != initial.image, "--image"},
      {given.modality != initial.modality, "--modality"},
      {given.frames != initial.frames, "--frames"},
      {given.vm_die_remap != initial.vm_die_remap, "--vm-die-remap"}};
  for (const auto& [is_given, name] : options) {
    if (is_given) {
      return InvalidArgument(std::string(name) + " is for models that see; " + arguments.model +
                             " is a model of text (its config.json has no vision_config): leave "
                             "it out");
    }
  }
  return OkStatus();
}

/// Options that this run would take no notice of, or that are out of range.
Status Check(const CompileArguments& arguments) {
  TYLLM_TRY(CheckThreadCount("--jobs", arguments.jobs));
  if (!arguments.dry_run && (!arguments.board.empty() || arguments.boards)) {
    return InvalidArgument(std::string(arguments.board.empty() ? "--boards" : "--board") +
                           " is for --dry-run, which tells what fits a board; add that, or leave "
                           "it out");
  }
  return CheckVisualOptions(arguments);
}

cli::ExitCode Run(CompileArguments& arguments, const Invocation& invocation) {
  if (const Status status = Check(arguments); !status.ok()) {
    return cli::ReportError(status, arguments.json);
  }
  compile::CompileRequest& request = arguments.request;
  request.model = arguments.model;
  request.source_tokenizer = arguments.source_tokenizer;
  request.allow_missing_tokenizer = request.options.no_tokenizer;
  request.jobs = static_cast<int>(arguments.jobs);
  if (arguments.dry_run) {
    return RunDry(arguments);
  }
  if (arguments.out.empty()) {
    return cli::ReportError(
        InvalidArgument("--out is missing; name the folder that gets <N>die, or ask what would be "
                        "made with --dry-run"),
        arguments.json);
  }
  request.cache = arguments.cache.empty() ? CacheFolder() / "objects" : Path(arguments.cache);
  const Clock::Steady start = SystemClock().Now();
  const auto summary = Compile(arguments, *invocation.OpenProgress());
  const double seconds = std::chrono::duration<double>(SystemClock().Now() - start).count();
  if (!summary.ok()) {
    return cli::ReportError(summary.status(), arguments.json);
  }
  if (arguments.json) {
    std::cout << format::PrettyJson(ToJson(*summary, seconds));
  } else {
    Print(*summary, seconds, request.options.target_cpu,
          request.options.target != domain::CompileTarget::kSim);
  }
  return cli::ExitCode::kOk;
}

}  // namespace

void DeclareCompile(cli::CommandSpec& spec, Invocation& invocation) {
  auto arguments = std::make_shared<CompileArguments>();
  compile::CompileRequest& request = arguments->request;
  spec.options = {
      {"--model", "DIR", "model directory, quantized or not", &arguments->model, true},
      {"--out", "DIR", "folder that gets <N>die", &arguments->out},
  };
  cli::AddOptions(spec, request.options);
  spec.options.push_back(
      {"--jobs", "N", "compilers and threads at once; 0: one a CPU", &arguments->jobs});
  spec.options.push_back({"--compiler", "PROGRAM",
                          "C++ compiler; default: clang++-19, clang++ or g++; none: interpreted",
                          &request.compiler});
  spec.options.push_back({"--cache", "DIR", "folder of compiled objects", &arguments->cache});
  spec.options.push_back({"--vendor-command", "TEXT",
                          "with --target tytvm: how its Python starts; default: "
                          "$TYLLM_TYTVM_COMMAND",
                          &arguments->vendor_command});
  spec.options.push_back({"--source-tokenizer", "DIR",
                          "folder whose tokenizer files go into the output, not the model's",
                          &arguments->source_tokenizer});
  spec.options.push_back({"--dry-run", "",
                          "check everything, tell memory, longest context and time, make nothing",
                          &arguments->dry_run});
  spec.options.push_back(
      {"--board", "NAME", "with --dry-run: only this row of the boards", &arguments->board});
  spec.options.push_back({"--boards", "FILE",
                          "with --dry-run: table of boards; default: the one of the program",
                          &arguments->boards});
  spec.options.push_back({"--json", "", "print one JSON document", &arguments->json});
  spec.run = [arguments, &invocation] { return Run(*arguments, invocation); };
}

}  // namespace tyllm::app
