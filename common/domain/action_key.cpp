// SPDX-License-Identifier: Apache-2.0
#include "common/domain/job.h"

namespace tyllm::domain {

namespace {

// What the kind reads, and nothing else: the options of other kinds are in the spec too.
format::Json OptionsRead(const TaskSpec& spec) {
  switch (spec.kind) {
    case TaskKind::kQuantize:
      return format::ToJson(spec.quantize);
    case TaskKind::kConvert:
      return format::ToJson(spec.convert);
    case TaskKind::kEvaluate:
      return format::ToJson(spec.evaluate);
    case TaskKind::kCompileDie: {
      format::Json options = format::ToJson(spec.compile);
      options["die"] = spec.die;
      return options;
    }
    case TaskKind::kAssemble: {
      format::Json options = format::ToJson(spec.compile);
      options["name"] = spec.name;
      return options;
    }
  }
  return {};
}

}  // namespace

Sha256 ActionKey(const TaskSpec& spec, const std::map<std::string, BlobId>& inputs,
                 std::string_view toolchain_version) {
  // Member tables and std::map have one order, so equal actions have equal text.
  format::Json action = format::Json::object();
  action["kind"] = format::ToJson(spec.kind);
  action["toolchain"] = toolchain_version;
  action["options"] = OptionsRead(spec);
  action["inputs"] = format::ToJson(inputs);
  return DigestOf(format::CompactJson(action));
}

}  // namespace tyllm::domain
