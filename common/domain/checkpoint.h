// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <tuple>

#include "common/base/digest.h"
#include "common/format/json.h"

namespace tyllm::domain {

/// Partial work that another worker can go on from: a tree of what the toolchain has finished, all
/// of it uploaded.
struct Checkpoint {
  BlobId tree;
  std::string stage;
  std::int64_t done = 0;  ///< of `total` that the stage counts
  std::int64_t total = 0;
  std::int64_t unix_ms = 0;

  bool operator==(const Checkpoint&) const = default;
};

}  // namespace tyllm::domain

template <>
struct tyllm::format::Members<tyllm::domain::Checkpoint> {
  using C = tyllm::domain::Checkpoint;
  static constexpr auto kTable = std::tuple{
      Member{"tree", &C::tree, true}, Member{"stage", &C::stage},     Member{"done", &C::done},
      Member{"total", &C::total},     Member{"unix_ms", &C::unix_ms},
  };
};
