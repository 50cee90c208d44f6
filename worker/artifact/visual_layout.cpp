// SPDX-License-Identifier: Apache-2.0
#include "worker/artifact/visual_layout.h"

namespace tyllm::artifact {

namespace {

Path InVisual(std::string_view name, std::int64_t die, std::string_view extension) {
  return Path(kVisualFolder) /
         (std::string(name) + "_die" + std::to_string(die) + std::string(extension));
}

}  // namespace

Path TowerParams(std::int64_t die) {
  return InVisual("constant", die, ".params");
}

Path TowerObject(std::int64_t die) {
  return InVisual("vit", die, ".so");
}

Path TowerSource(std::int64_t die) {
  return InVisual("vit", die, ".cpp");
}

Path TowerRecordFile(std::int64_t die) {
  return InVisual("ckpt_vit", die, ".json");
}

Path TowerFile(const std::string& signature, std::string_view suffix) {
  return Path(kVisualFolder) / (signature + "_" + std::string(suffix));
}

std::string MropeSignature(std::int64_t max_kv) {
  return "3_" + std::to_string(max_kv) + "_[int32]";
}

Path MropeFile(std::int64_t max_kv, std::string_view suffix) {
  return Path(kMropeFolder) / (MropeSignature(max_kv) + "_" + std::string(suffix));
}

}  // namespace tyllm::artifact
