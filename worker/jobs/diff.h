// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <tuple>
#include <vector>

#include "common/format/json.h"

namespace tyllm::jobs {

/// One thing that two compiled models say differently; empty where one of them does not say it.
struct FactDifference {
  std::string fact;  ///< "options.max_kv", "die_list.0.shard.heads.end"
  std::string a;
  std::string b;
};

/// How two compiled models differ: what their manifests and memory plans say, and their files.
struct DirectoryDifference {
  std::string a;
  std::string b;
  bool same = true;  ///< every file, byte for byte as the manifests have it
  std::vector<FactDifference> facts;
  std::vector<std::string> only_in_a;
  std::vector<std::string> only_in_b;
  std::vector<std::string> changed;
};

/// Small files are read, weights and programs are compared by the digests of the manifests.
Result<DirectoryDifference> Diff(const Path& a, const Path& b);

}  // namespace tyllm::jobs

template <>
struct tyllm::format::Members<tyllm::jobs::FactDifference> {
  using F = tyllm::jobs::FactDifference;
  static constexpr auto kTable =
      std::tuple{Member{"fact", &F::fact}, Member{"a", &F::a}, Member{"b", &F::b}};
};

template <>
struct tyllm::format::Members<tyllm::jobs::DirectoryDifference> {
  using D = tyllm::jobs::DirectoryDifference;
  static constexpr auto kTable = std::tuple{
      Member{"a", &D::a},
      Member{"b", &D::b},
      Member{"same", &D::same},
      Member{"facts", &D::facts},
      Member{"only_in_a", &D::only_in_a},
      Member{"only_in_b", &D::only_in_b},
      Member{"changed", &D::changed},
  };
};
