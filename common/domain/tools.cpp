// SPDX-License-Identifier: Apache-2.0
#include "common/domain/tools.h"

namespace tyllm::domain {

bool IsCompilerTool(std::string_view tool) {
  return tool == kSimX86Tool || tool == kSimArmTool || tool == kVendorTool;
}

std::string_view CompilerTool(const CompileOptions& options) {
  return options.target == CompileTarget::kTytvm ? kVendorTool : CompilerTool(options.target_cpu);
}

std::string_view CompilerTool(std::string_view target_cpu) {
  return target_cpu.starts_with("arm") ? kSimArmTool : kSimX86Tool;
}

bool RunsCompiler(const TaskSpec& spec) {
  return spec.kind == TaskKind::kCompileDie ||
         (spec.kind == TaskKind::kAssemble && spec.compile.target == CompileTarget::kTytvm);
}

bool HasCompiler(const TaskSpec& spec) {
  return spec.kind == TaskKind::kCompileDie || spec.kind == TaskKind::kAssemble;
}

void SetCompiler(JobPlan& plan, std::string_view compiler) {
  for (PlannedTask& task : plan.tasks) {
    if (HasCompiler(task.spec)) {
      task.spec.compiler = compiler;
    }
  }
}

}  // namespace tyllm::domain
