// SPDX-License-Identifier: Apache-2.0
#include "common/domain/project.h"

#include "common/base/digest.h"

namespace tyllm::domain {

std::string EtagOf(const Project& project) {
  constexpr std::size_t kDigits = 16;
  Project unknown;
  unknown.name = project.name;
  if (project == unknown) {
    return std::string(kUnknownProjectEtag);
  }
  return DigestOf(format::CompactJson(format::ToJson(project))).Hex().substr(0, kDigits);
}

}  // namespace tyllm::domain
