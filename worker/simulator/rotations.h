// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "worker/artifact/params.h"
#include "worker/model/model_shape.h"
#include "worker/model/vision_shape.h"
#include "worker/simulator/aligned_memory.h"
#include "worker/simulator/native_program.h"

namespace tyllm::simulator {

// In mrope/<signature>_die<d>.params: float32 and int32 [head_size / 2].
inline constexpr std::string_view kMropeFrequencies = "frequencies";
inline constexpr std::string_view kMropeAxes = "axes";

/// Rope's table of one sequence whose positions are in time, height and width: the program of
/// mrope/, run. Not thread-safe.
class Rotations {
 public:
  /// `folder` is the "<N>die" folder. kDataLoss where the parameters are not the model's.
  static Result<Rotations> Load(const Path& folder, const model::ModelShape& shape,
                                const model::VisionShape& vision, std::int64_t max_kv);

  /// Writes the rows of `count` tokens from `first` on, whose positions are `axes` [count] each;
  /// first + count is at most max_kv.
  void Set(std::int64_t first, const std::array<std::span<const std::int32_t>, 3>& axes);

  /// Rows [.., head_size] from token `first` on. Valid until the object goes.
  const float* RowsFrom(std::int64_t first) const;

 private:
  Rotations(artifact::ParamsFile params, ProgramObject object)
      : params_(std::make_unique<artifact::ParamsFile>(std::move(params))),
        object_(std::make_unique<ProgramObject>(std::move(object))) {}

  std::unique_ptr<artifact::ParamsFile> params_;
  std::unique_ptr<ProgramObject> object_;
  std::vector<std::uint64_t> bindings_;
  AlignedMemory arena_;
  std::vector<std::int32_t> positions_;  ///< [3, max_kv]
  std::unique_ptr<NativeProgram> program_;
};

}  // namespace tyllm::simulator
