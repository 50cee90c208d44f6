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
#include "worker/simulator/engine.h"
#include "worker/simulator/native_program.h"

namespace tyllm::simulator {

// In mrope/<signature>_die<d>.params: float32 and int32 [head_size / 2].
inline constexpr std::string_view kMropeFrequencies = "frequencies";
inline constexpr std::string_view kMropeAxes = "axes";

/// Rope's table of one sequence whose positions are in time, height and width: the program of
/// mrope/, run, or what it stands for in plain loops. Not thread-safe.
class Rotations {
 public:
  struct Request {
    Path folder;  ///< "<N>die"
    std::int64_t max_kv = 0;
    std::int64_t dies = 1;
    Engine engine = Engine::kCompiled;
  };

  /// kDataLoss where the parameters of a die are not the model's.
  static Result<Rotations> Load(const Request& request, const model::ModelShape& shape,
                                const model::VisionShape& vision);

  /// Writes the rows of `count` tokens from `first` on, whose positions are `axes` [count] each;
  /// first + count is at most max_kv.
  void Set(std::int64_t first, const std::array<std::span<const std::int32_t>, 3>& axes);

  /// Rows [.., head_size] from token `first` on. Valid until the object goes.
  const float* RowsFrom(std::int64_t first) const;

 private:
  Rotations() = default;
  Status LoadProgram(const Path& folder, std::int64_t max_kv);

  std::vector<float> frequencies_;
  std::vector<std::int32_t> axes_;
  AlignedMemory arena_;                           ///< the rows
  std::unique_ptr<artifact::ParamsFile> params_;  ///< from here on: of the program
  std::unique_ptr<ProgramObject> object_;
  std::vector<std::uint64_t> bindings_;
  std::vector<std::int32_t> positions_;  ///< [3, max_kv]
  std::unique_ptr<NativeProgram> program_;
};

}  // namespace tyllm::simulator
