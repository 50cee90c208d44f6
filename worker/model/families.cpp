// SPDX-License-Identifier: Apache-2.0
#include "worker/model/families.h"

namespace tyllm::model {

namespace {

std::string KnownArchitectures() {
  std::string names;
  for (const Family* const family : kFamilies) {
    names += (names.empty() ? "" : ", ") + std::string(family->architecture);
  }
  return names;
}

Result<std::string> ReadArchitecture(const format::Json& config, std::string_view what) {
  if (!config.is_object()) {
    return format::WrongKind(what, config, "an object");
  }
  const auto list = config.find("architectures");
  if (list == config.end() || !list->is_array() || list->empty() || !list->front().is_string()) {
    return InvalidArgument(std::string(what) +
                           " has no key 'architectures' with a list of at least one name; "
                           "expected one of: " +
                           KnownArchitectures());
  }
  return list->front().get<std::string>();
}

}  // namespace

Result<ModelShape> ParseShape(const format::Json& config, std::string_view what) {
  TYLLM_ASSIGN(const std::string architecture, ReadArchitecture(config, what));
  for (const Family* const family : kFamilies) {
    if (family->architecture == architecture) {
      TYLLM_ASSIGN(ModelShape shape, family->parse(config, what));
      shape.family = family->name;
      shape.architecture = family->architecture;
      return shape;
    }
  }
  return Unimplemented(std::string(what) + ".architectures names '" + architecture.substr(0, 120) +
                       "', supported: " + KnownArchitectures());
}

}  // namespace tyllm::model
