// SPDX-License-Identifier: Apache-2.0
#include "common/domain/job.h"
#include "common/domain/tools.h"
#include "common/format/json_text.h"

namespace tyllm::domain {

namespace {

/// The options as an object, with one more member at its end.
template <typename Options, typename Value>
std::string WithMember(const Options& options, std::string_view key, const Value& value) {
  std::string text = format::CompactText(options);
  text.pop_back();
  format::AppendCompactMember(key, value, text);
  return text + "}";
}

// What the kind reads, and nothing else: the options of other kinds are in the spec too.
std::string OptionsRead(const TaskSpec& spec) {
  switch (spec.kind) {
    case TaskKind::kQuantize:
      return format::CompactText(spec.quantize);
    case TaskKind::kConvert:
      return format::CompactText(spec.convert);
    case TaskKind::kEvaluate:
      return format::CompactText(spec.evaluate);
    case TaskKind::kCompileDie:
      return WithMember(spec.compile, "die", spec.die);
    case TaskKind::kAssemble:
      return WithMember(spec.compile, "name", spec.name);
  }
  return "{}";
}

}  // namespace

Sha256 ActionKey(const TaskSpec& spec, const std::map<std::string, BlobId>& inputs,
                 std::string_view toolchain_version) {
  // Member tables and std::map have one order, so equal actions have equal text.
  std::string action = "{";
  format::AppendCompactMember("kind", spec.kind, action);
  format::AppendCompactMember("toolchain", std::string(toolchain_version), action);
  if (HasCompiler(spec)) {
    format::AppendCompactMember("compiler", spec.compiler, action);
  }
  action += ",\"options\":" + OptionsRead(spec);
  format::AppendCompactMember("inputs", inputs, action);
  return DigestOf(action + "}");
}

}  // namespace tyllm::domain
