// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/base/parallel.h"
#include "common/domain/progress.h"
#include "worker/artifact/params.h"
#include "worker/model/checkpoint.h"
#include "worker/plan/schedule.h"

namespace tyllm::compile {

/// To be raised with every change of what reads or packs weights that changes a byte of
/// common_die<d>.params (worker/model's formats, weight_source, half_rows, half_storage, weights,
/// worker/artifact's params_writer): weights that are packed otherwise are not taken from the
/// cache.
inline constexpr int kPackingVersion = 1;

/// What a run that is killed while it packs writes again of each file, at most, but for one tensor.
inline constexpr std::uint64_t kPartBytes = std::uint64_t{256} << 20U;

/// A weight that a die's common file holds.
struct PackedWeight {
  const plan::Weight* weight = nullptr;
  std::string name;
  std::int64_t layer = -1;
  std::int64_t binding = 0;  ///< its place in the bindings table
};

/// Everything in the common file, in order of the bindings table. The schedule outlives them.
std::vector<PackedWeight> PackedWeights(const plan::Schedule& schedule);

/// What common_die<d>.params of a die holds, in the order of the bindings table. `schedule` is that
/// of any of its programs: they share all weights.
std::vector<artifact::ParamSpec> CommonSpecs(const plan::Schedule& schedule);
/// What constant_die<d>_<s>.params holds.
std::vector<artifact::ParamSpec> ConstantSpecs(const plan::Schedule& schedule);
/// The bindings table of a die's programs: offsets into the two files.
std::vector<std::uint64_t> Bindings(const plan::Schedule& schedule);

/// A die whose common_die<d>.params is to be written.
struct CommonTarget {
  Path path;
  const plan::Schedule* schedule = nullptr;
  /// Where it grows, on the same file system, until it is complete; empty: "<path>.tmp".
  Path unfinished = {};
  /// How far it came in an earlier run; when it is as it was, this one goes on with it.
  std::optional<artifact::WrittenPart> written = {};
  /// Told how far it came, after `part_bytes` more and at a tensor's end. A thread at a
  /// time.
  std::function<Status(const artifact::WrittenPart&)> keep = {};
  std::uint64_t part_bytes = kPartBytes;
};

/// Repacks the weights for the kernels, for several dies in one pass over the model: a tensor is
/// read once and in pieces, no more than one is in memory. Files get their names when they are
/// complete. Gives the SHA-256 of each. Reports stage "pack", in bytes.
Result<std::vector<std::string>> WriteCommonParams(FileSystem& files,
                                                   const model::Checkpoint& checkpoint,
                                                   const std::vector<CommonTarget>& targets,
                                                   ThreadPool& pool,
                                                   domain::ProgressSink& progress);

Status WriteConstantParams(FileSystem& files, const Path& path, const plan::Schedule& schedule);
Status WriteBindingParams(FileSystem& files, const Path& path, const plan::Schedule& schedule);

/// The embedding table as embedding.params.
Status WriteEmbeddingParams(FileSystem& files, const model::Checkpoint& checkpoint,
                            const Path& path);

/// The embedding table as embedding.npy.
Status WriteEmbeddingTable(FileSystem& files, const model::Checkpoint& checkpoint,
                           const Path& path);

}  // namespace tyllm::compile
