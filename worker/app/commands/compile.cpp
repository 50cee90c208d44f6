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

namespace tyllm::app {

namespace {

struct CompileArguments {
  compile::CompileRequest request;
  std::string model;
  std::string out;
  std::string cache;
  std::int64_t jobs = 0;
  bool json = false;
};

format::Json ToJson(const compile::CompileSummary& summary, double seconds) {
  format::Json json = {{"directory", summary.directory.string()},
                       {"bytes", summary.bytes},
                       {"programs", summary.counts.programs},
                       {"programs_kept", summary.counts.programs_kept},
                       {"distinct_sources", summary.counts.distinct_sources},
                       {"seconds", seconds}};
  if (summary.verified) {
    json["verify"] = format::ToJson(*summary.verified);
  }
  return json;
}

void Print(const compile::CompileSummary& summary, double seconds) {
  std::printf("%s: %lld programs (%lld from an earlier run, %lld compiled), %.1f MB, %.1f s\n",
              summary.directory.c_str(), static_cast<long long>(summary.counts.programs),
              static_cast<long long>(summary.counts.programs_kept),
              static_cast<long long>(summary.counts.distinct_sources),
              static_cast<double>(summary.bytes) / 1e6, seconds);
  if (summary.verified) {
    std::printf("run on the die simulator: %lld rows of logits, largest difference %.2g\n",
                static_cast<long long>(summary.verified->rows), summary.verified->max_difference);
  } else {
    std::printf("not run: this machine has not the CPU that it was compiled for\n");
  }
}

cli::ExitCode Run(CompileArguments& arguments, const Invocation& invocation) {
  compile::CompileRequest& request = arguments.request;
  request.model = arguments.model;
  request.jobs = static_cast<int>(arguments.jobs);
  request.cache = arguments.cache.empty() ? CacheFolder() / "objects" : Path(arguments.cache);
  const Clock::Steady start = SystemClock().Now();
  const auto summary =
      compile::Compile(LocalFileSystem(), request, arguments.out, *invocation.OpenProgress());
  const double seconds = std::chrono::duration<double>(SystemClock().Now() - start).count();
  if (!summary.ok()) {
    return cli::ReportError(summary.status(), arguments.json);
  }
  if (arguments.json) {
    std::cout << format::PrettyJson(ToJson(*summary, seconds));
  } else {
    Print(*summary, seconds);
  }
  return cli::ExitCode::kOk;
}

}  // namespace

void DeclareCompile(cli::CommandSpec& spec, Invocation& invocation) {
  auto arguments = std::make_shared<CompileArguments>();
  compile::CompileRequest& request = arguments->request;
  spec.options = {
      {"--model", "DIR", "model directory, quantized or not", &arguments->model, true},
      {"--out", "DIR", "folder that gets <N>die", &arguments->out, true},
  };
  cli::AddOptions(spec, request.options);
  spec.options.push_back(
      {"--jobs", "N", "compilers and threads at once; 0: one a CPU", &arguments->jobs});
  spec.options.push_back({"--compiler", "PROGRAM",
                          "C++ compiler; default: clang++-19, clang++ or g++", &request.compiler});
  spec.options.push_back({"--cache", "DIR", "folder of compiled objects", &arguments->cache});
  spec.options.push_back(
      {"--no-tokenizer", "", "the model has no tokenizer.json", &request.allow_missing_tokenizer});
  spec.options.push_back({"--json", "", "print one JSON document", &arguments->json});
  spec.run = [arguments, &invocation] { return Run(*arguments, invocation); };
}

}  // namespace tyllm::app
