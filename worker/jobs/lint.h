// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "common/base/enum_table.h"
#include "common/base/file_system.h"
#include "common/format/json.h"
#include "worker/model/checkpoint.h"

namespace tyllm::jobs {

enum class LintLevel : std::uint8_t {
  kError,    ///< the reader refuses the model, or computes something else
  kWarning,  ///< some versions or settings of it do, or it is slower than it could be
};

inline constexpr EnumTable<LintLevel, 2> kLintLevelNames("lint level",
                                                         {{{LintLevel::kError, "error"},
                                                           {LintLevel::kWarning, "warning"}}});

constexpr const auto& NamesOf(LintLevel) {
  return kLintLevelNames;
}

struct LintFinding {
  std::string rule;
  LintLevel level = LintLevel::kError;
  std::string message;  ///< names the thing, what was found, what was expected, what to do
};

/// Whether a number of GPUs that share the layers can load the model.
struct ParallelSize {
  std::int64_t size = 1;
  bool loads = true;
  std::vector<std::string> reasons;  ///< why not
  std::vector<std::string> slower;   ///< where it loads: what its fastest kernels do not take
};

/// What a reader will make of a model directory.
struct LintReport {
  std::string reader = "vllm";
  std::string directory;
  model::CheckpointFormat format = model::CheckpointFormat::kFloat;
  std::vector<std::string> rules;  ///< all that were applied
  std::vector<LintFinding> findings;
  std::vector<ParallelSize> tensor_parallel;
  std::int64_t errors = 0;
  std::int64_t warnings = 0;
};

/// What rules look at.
struct LintSubject {
  const model::Checkpoint& checkpoint;
  const format::Json* quantization = nullptr;  ///< quantization_config; nullptr: none
  std::string quantization_file;     ///< a file of its own that holds it; empty: config.json
  std::vector<std::string> linears;  ///< of all decoder layers

  bool IsQuantized() const { return checkpoint.format() != model::CheckpointFormat::kFloat; }

  bool IsAwq() const { return checkpoint.format() == model::CheckpointFormat::kAwqGemm; }

  bool Sees() const { return checkpoint.config().contains("vision_config"); }
};

/// Where rules put what they find.
class LintFindings {
 public:
  explicit LintFindings(LintReport& report) : report_(report) {}

  void StartRule(std::string_view rule) { report_.rules.emplace_back(rule); }

  void Error(std::string message) { Add(LintLevel::kError, std::move(message)); }

  void Warning(std::string message) { Add(LintLevel::kWarning, std::move(message)); }

  void Add(ParallelSize size) { report_.tensor_parallel.push_back(std::move(size)); }

 private:
  void Add(LintLevel level, std::string message) {
    ++(level == LintLevel::kError ? report_.errors : report_.warnings);
    report_.findings.push_back({report_.rules.back(), level, std::move(message)});
  }

  LintReport& report_;
};

/// One thing that a reader asks of a model. Rules are rows of a table and know nothing of each
/// other.
struct LintRule {
  std::string_view name;
  void (*check)(const LintSubject& subject, LintFindings& findings);
};

// The rules of vLLM (docs/manual/tyllm-inspect.md lists them with their reasons). Sources: vLLM,
// model_executor/layers/quantization/{awq,awq_marlin,auto_awq}.py, csrc/quantization/awq.
namespace vllm {

void CheckFormat(const LintSubject& subject, LintFindings& findings);
void CheckKeys(const LintSubject& subject, LintFindings& findings);
void CheckGroupSize(const LintSubject& subject, LintFindings& findings);
void CheckElementType(const LintSubject& subject, LintFindings& findings);
void CheckSkipList(const LintSubject& subject, LintFindings& findings);
void CheckFusedLayers(const LintSubject& subject, LintFindings& findings);
void CheckHead(const LintSubject& subject, LintFindings& findings);
void CheckTensorParallel(const LintSubject& subject, LintFindings& findings);
void CheckModuleNames(const LintSubject& subject, LintFindings& findings);
void CheckUnusedTensors(const LintSubject& subject, LintFindings& findings);
void CheckMetadata(const LintSubject& subject, LintFindings& findings);
void CheckIndex(const LintSubject& subject, LintFindings& findings);
void CheckFiles(const LintSubject& subject, LintFindings& findings);

}  // namespace vllm

inline constexpr std::array kVllmRules = {
    LintRule{"format", vllm::CheckFormat},
    LintRule{"keys", vllm::CheckKeys},
    LintRule{"group-size", vllm::CheckGroupSize},
    LintRule{"element-type", vllm::CheckElementType},
    LintRule{"skip-list", vllm::CheckSkipList},
    LintRule{"fused-layers", vllm::CheckFusedLayers},
    LintRule{"head", vllm::CheckHead},
    LintRule{"tensor-parallel", vllm::CheckTensorParallel},
    LintRule{"module-names", vllm::CheckModuleNames},
    LintRule{"unused-tensors", vllm::CheckUnusedTensors},
    LintRule{"metadata", vllm::CheckMetadata},
    LintRule{"index", vllm::CheckIndex},
    LintRule{"files", vllm::CheckFiles},
};

/// Applies the rules of vLLM. A directory that cannot be opened as a model is an error of its own.
Result<LintReport> LintForVllm(const Path& directory);

/// Text for people: a line a finding, the tensor-parallel sizes, a line with the counts.
std::string ReportText(const LintReport& report);

}  // namespace tyllm::jobs

template <>
struct tyllm::format::Members<tyllm::jobs::LintFinding> {
  using F = tyllm::jobs::LintFinding;
  static constexpr auto kTable = std::tuple{Member{"rule", &F::rule}, Member{"level", &F::level},
                                            Member{"message", &F::message}};
};

template <>
struct tyllm::format::Members<tyllm::jobs::ParallelSize> {
  using P = tyllm::jobs::ParallelSize;
  static constexpr auto kTable =
      std::tuple{Member{"size", &P::size}, Member{"loads", &P::loads},
                 Member{"reasons", &P::reasons}, Member{"slower", &P::slower}};
};

template <>
struct tyllm::format::Members<tyllm::jobs::LintReport> {
  using R = tyllm::jobs::LintReport;
  static constexpr auto kTable = std::tuple{
      Member{"reader", &R::reader},
      Member{"directory", &R::directory},
      Member{"format", &R::format},
      Member{"errors", &R::errors},
      Member{"warnings", &R::warnings},
      Member{"findings", &R::findings},
      Member{"tensor_parallel", &R::tensor_parallel},
      Member{"rules", &R::rules},
  };
};
