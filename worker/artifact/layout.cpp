// SPDX-License-Identifier: Apache-2.0
#include "worker/artifact/layout.h"

#include <string>

namespace tyllm::artifact {
namespace {

const Path& Batch() {
  static const Path batch(kBatchFolder);
  return batch;
}

std::string OfDie(std::int64_t die) {
  return "_die" + std::to_string(die);
}

Path InBucket(std::int64_t bucket, const std::string& name) {
  return Batch() / ("seqlen_" + std::to_string(bucket)) / name;
}

std::string KindName(const plan::ProgramId& program) {
  return std::string(plan::kProgramKindNames.Name(program.kind));
}

}  // namespace

Path DieFolder(std::int64_t dies) {
  return std::to_string(dies) + "die";
}

Path CommonParams(std::int64_t die) {
  return Batch() / ("common" + OfDie(die) + ".params");
}

Path ConstantParams(std::int64_t die, std::int64_t bucket) {
  return Batch() / ("constant" + OfDie(die) + "_" + std::to_string(bucket) + ".params");
}

Path BindingParams(std::int64_t die, std::int64_t bucket) {
  return InBucket(bucket, "llm" + OfDie(die) + ".params");
}

Path ProgramObject(const plan::ProgramId& program, std::int64_t die) {
  return InBucket(program.bucket, KindName(program) + OfDie(die) + ".so");
}

Path ProgramSource(const plan::ProgramId& program, std::int64_t die) {
  return InBucket(program.bucket, KindName(program) + OfDie(die) + ".cpp");
}

Path ProgramRecordFile(const plan::ProgramId& program, std::int64_t die) {
  return InBucket(program.bucket, "ckpt_" + KindName(program) + OfDie(die) + ".json");
}

}  // namespace tyllm::artifact
