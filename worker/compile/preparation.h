// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/domain/progress.h"
#include "worker/artifact/manifest.h"
#include "worker/compile/generate.h"
#include "worker/compile/request.h"
#include "worker/compile/system_compiler.h"
#include "worker/compile/visual/tower_build.h"
#include "worker/forward/model.h"
#include "worker/plan/memory_plan.h"
#include "worker/simulator/engine.h"

namespace tyllm::compile {

/// One program of one die, planned and written as C++.
struct PlannedProgram {
  plan::Schedule schedule;
  plan::MemoryPlan memory;
  GeneratedProgram generated;
};

/// Everything about a compilation that is known before any weight is packed.
struct Preparation {
  forward::Model model;
  plan::WeightFormats formats;
  plan::ShardPlan shards;
  std::vector<plan::ProgramId> programs;
  domain::CompileOptions options;  ///< checked, target CPU resolved
  SystemCompiler compiler;         ///< empty when none is needed
  artifact::Toolchain toolchain;
  std::string model_digest;
  Path source_tokenizer;  ///< folder of tokenizer files in place of the model's; may be empty
  std::optional<TowerPlan> tower;  ///< of a model that sees, unless only its text was asked for

  /// What the result is proven with on this machine: where there are no programs, or none for its
  /// CPU, the interpreter.
  simulator::Engine ProofEngine() const;

  /// What programs of the language model take.
  plan::ProgramInputs inputs() const;

  /// All programs of a die, in the order of `programs`.
  Result<std::vector<PlannedProgram>> Plan(std::int64_t die) const {
    return PlanFor(die, options.max_kv);
  }

  /// The same for another length of the KV cache.
  Result<std::vector<PlannedProgram>> PlanFor(std::int64_t die, std::int64_t max_kv) const;
  /// Digest of everything that the output depends on: what staged work must agree in to be resumed.
  std::string Key() const;
};

enum class NeedsCompiler : std::uint8_t { kYes, kNo };

/// Where a result will be written.
struct Place {
  FileSystem* files = nullptr;          ///< whose room is looked at; nullptr: nobody's
  Path result;                          ///< the folder that must not exist; empty: not known yet
  std::vector<std::int64_t> dies = {};  ///< only the parameters of these; empty: everything
};

/// Looks for everything that can go wrong: options, the model's form, files needed at the end, the
/// number of dies, the compiler, the place of the result and the room there. All problems come in
/// one message, a line each. Reads headers only; `model_digest` stays empty.
Result<Preparation> Preflight(const CompileRequest& request, NeedsCompiler needs,
                              const Place& place = {});

/// Preflight, then the model's digest (stage "check", in bytes), for which every file is read, and
/// how the numbers of its head and embedding table are stored.
Result<Preparation> Prepare(const CompileRequest& request, NeedsCompiler needs,
                            domain::ProgressSink& progress, const Place& place = {});

}  // namespace tyllm::compile
