// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/compile.h"

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "common/base/clock.h"
#include "common/base/thread_count.h"
#include "common/cli/task_option_rows.h"
#include "common/format/json.h"
#include "worker/app/cache_folder.h"
#include "worker/app/commands/commands.h"
#include "worker/app/commands/print_fit.h"
#include "worker/app/installed.h"
#include "worker/app/vendor_command.h"
#include "worker/artifact/layout.h"
#include "worker/compile/fit_report.h"
#include "worker/compile/time_left.h"
#include "worker/compile/vendor/compile_with_vendor.h"
#include "worker/compile/warnings.h"
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

compile::Place PlaceOf(const CompileArguments& arguments) {
  if (arguments.out.empty()) {
    return {};
  }
  return {&LocalFileSystem(),
          Path(arguments.out) / artifact::DieFolder(arguments.request.options.dies)};
}

bool IsForSilicon(const CompileArguments& arguments) {
  return arguments.request.options.target == domain::CompileTarget::kTytvm;
}

/// What the vendor's toolchain makes is its own to tell: only that nothing is in its way.
cli::ExitCode RunVendorDry(const CompileArguments& arguments) {
  compile::Place place = PlaceOf(arguments);
  place.files = nullptr;
  const auto preparation =
      compile::Preflight(arguments.request, compile::NeedsCompiler::kNo, place);
  if (!preparation.ok()) {
    return cli::ReportError(preparation.status(), arguments.json);
  }
  const std::vector<std::string> warnings = compile::Warnings(*preparation);
  if (arguments.json) {
    std::cout << format::PrettyJson({{"target", "tytvm"},
                                     {"dies", preparation->options.dies},
                                     {"max_kv", preparation->options.max_kv},
                                     {"seq_lens", preparation->options.seq_lens},
                                     {"warnings", warnings}});
    return cli::ExitCode::kOk;
  }
  PrintWarnings(warnings);
  std::printf(
      "nothing is wrong with the options, the model and the place, and a command for the vendor's "
      "toolchain is configured.\nWhether it runs, and what its programs need of memory, disk and "
      "time, only the toolchain knows; --target sim tells that of the simulator's.\n");
  return cli::ExitCode::kOk;
}

cli::ExitCode RunDry(const CompileArguments& arguments, const std::vector<compile::Board>& boards) {
  if (IsForSilicon(arguments)) {
    return RunVendorDry(arguments);
  }
  const auto preparation =
      compile::Preflight(arguments.request, compile::NeedsCompiler::kYes, PlaceOf(arguments));
  if (!preparation.ok()) {
    return cli::ReportError(preparation.status(), arguments.json);
  }
  const auto report =
      compile::Fit(*preparation, boards, ThreadPool(arguments.request.jobs).threads(),
                   compile::ObjectCache(LocalFileSystem(), arguments.request.cache));
  if (!report.ok()) {
    return cli::ReportError(report.status(), arguments.json);
  }
  if (arguments.json) {
    std::cout << format::PrettyJson(format::ToJson(*report));
  } else {
    PrintFit(*report);
  }
  return cli::ExitCode::kOk;
}

/// Before anything is read: what will surprise, and what is needed.
void TellStart(const CompileArguments& arguments, const compile::Preparation& preparation,
               compile::TimeLeft& progress) {
  const int jobs = ThreadPool(arguments.request.jobs).threads();
  const auto fit = compile::Fit(preparation, {}, jobs,
                                compile::ObjectCache(LocalFileSystem(), arguments.request.cache));
  if (!fit.ok()) {
    return;  // what keeps it from being planned is told by who compiles
  }
  progress.Expect(fit->stages);
  PrintStart(*fit);
}

Result<compile::CompileSummary> Compile(const CompileArguments& arguments,
                                        const compile::VendorSettings& vendor,
                                        const Invocation& invocation) {
  const std::unique_ptr<domain::ProgressSink> sink = invocation.OpenProgress();
  compile::CompileRequest request = arguments.request;
  if (!IsForSilicon(arguments)) {
    compile::TimeLeft progress(*sink, SystemClock());
    request.started = [&](const compile::Preparation& preparation) {
      TellStart(arguments, preparation, progress);
    };
    return compile::Compile(LocalFileSystem(), request, arguments.out, progress);
  }
  request.started = [](const compile::Preparation& preparation) {
    PrintWarnings(compile::Warnings(preparation));
  };
  const auto print = [](std::string_view line) {
    std::cerr << line << std::endl;  // flushed: a crash must not take it along
  };
  return compile::CompileWithVendor(LocalFileSystem(), request, vendor, arguments.out, print,
                                    *sink);
}

/// Options that this run would take no notice of, or that are out of range.
std::vector<Status> ProblemsOf(const CompileArguments& arguments) {
  std::vector<Status> problems{CheckThreadCount("--jobs", arguments.jobs)};
  const auto refuse = [&](const std::string& text) { problems.push_back(InvalidArgument(text)); };
  const bool names_board = !arguments.board.empty() || arguments.boards;
  const std::string board = arguments.board.empty() ? "--boards" : "--board";
  if (!arguments.dry_run && names_board) {
    refuse(board + " is for --dry-run, which tells what fits a board; add that, or leave it out");
  }
  if (!arguments.dry_run && arguments.out.empty()) {
    refuse(
        "--out is missing; name the folder that gets <N>die, or ask what would be made with "
        "--dry-run");
  }
  if (!IsForSilicon(arguments)) {
    if (!arguments.vendor_command.empty()) {
      refuse(
          "--vendor-command is for --target tytvm, which starts the vendor's toolchain; add "
          "that, or leave it out");
    }
    return problems;
  }
  if (!arguments.cache.empty()) {
    refuse(
        "--cache is of no use with --target tytvm: what the vendor's toolchain makes is not "
        "cached; leave it out");
  }
  if (arguments.dry_run && names_board) {
    refuse(board +
           " is for --target sim: what the vendor's programs need is not known; leave it "
           "out");
  }
  return problems;
}

/// Fills in what the arguments say of the request, and what is wrong with them.
void Complete(CompileArguments& arguments, std::vector<compile::Board>& boards,
              compile::VendorSettings& vendor) {
  compile::CompileRequest& request = arguments.request;
  request.model = arguments.model;
  request.source_tokenizer = arguments.source_tokenizer;
  request.allow_missing_tokenizer = request.options.no_tokenizer;
  request.cache = arguments.cache.empty() ? CacheFolder() / "objects" : Path(arguments.cache);
  request.problems = ProblemsOf(arguments);
  request.jobs = request.problems.front().ok() ? static_cast<int>(arguments.jobs) : 0;
  const auto take = [&](auto result, auto& value) {
    request.problems.push_back(result.status());
    if (result.ok()) {
      value = *std::move(result);
    }
  };
  if (IsForSilicon(arguments)) {
    take(VendorSettingsOf(arguments.vendor_command), vendor);
    if (request.problems.back().ok()) {
      request.problems.push_back(compile::CheckVendorCommand(vendor));
    }
  } else if (arguments.dry_run) {
    take(BoardsOf(arguments), boards);
  }
}

cli::ExitCode Run(CompileArguments& arguments, const Invocation& invocation) {
  std::vector<compile::Board> boards;
  compile::VendorSettings vendor;
  Complete(arguments, boards, vendor);
  if (arguments.dry_run) {
    return RunDry(arguments, boards);
  }
  if (arguments.out.empty()) {
    return cli::ReportError(
        compile::Preflight(arguments.request, compile::NeedsCompiler::kNo).status(),
        arguments.json);
  }
  const Clock::Steady start = SystemClock().Now();
  const auto summary = Compile(arguments, vendor, invocation);
  const double seconds = std::chrono::duration<double>(SystemClock().Now() - start).count();
  if (!summary.ok()) {
    return cli::ReportError(summary.status(), arguments.json);
  }
  if (arguments.json) {
    std::cout << format::PrettyJson(ToJson(*summary, seconds));
  } else {
    Print(*summary, seconds, arguments.request.options.target_cpu, IsForSilicon(arguments));
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
