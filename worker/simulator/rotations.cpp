// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/rotations.h"

#include <algorithm>
#include <string>

#include "worker/artifact/visual_layout.h"

namespace tyllm::simulator {

namespace {

/// That a parameter holds what the model's configuration says.
template <typename T>
Result<std::uint64_t> CheckedPlace(const artifact::ParamsFile& params, std::string_view name,
                                   const std::vector<T>& expected) {
  TYLLM_ASSIGN(const artifact::Param param, params.Find(name));
  const auto bytes = std::as_bytes(std::span(expected));
  if (!std::equal(param.bytes.begin(), param.bytes.end(), bytes.begin(), bytes.end())) {
    return DataLoss(params.path().string() + ": tensor " + std::string(name) +
                    " is not that of config.json; compile the model again");
  }
  return param.offset;
}

}  // namespace

Result<Rotations> Rotations::Load(const Path& folder, const model::ModelShape& shape,
                                  const model::VisionShape& vision, std::int64_t max_kv) {
  TYLLM_ASSIGN(artifact::ParamsFile params,
               artifact::ParamsFile::Open(folder / artifact::kComputeRopeParams));
  const Path path = folder / artifact::kComputeRopeObject;
  TYLLM_ASSIGN(ProgramObject object, ProgramObject::Load(path));
  Rotations rotations(std::move(params), std::move(object));
  const die::Program& program = rotations.object_->program();
  if (std::string_view(program.kind) != "mrope" || program.max_kv != max_kv ||
      program.logit_columns != shape.head_size || program.binding_count != 2) {
    return FailedPrecondition(path.string() + " is a program of kind " + program.kind + " for " +
                              std::to_string(program.max_kv) + " tokens with heads of " +
                              std::to_string(program.logit_columns) + ", expected mrope for " +
                              std::to_string(max_kv) + " tokens with heads of " +
                              std::to_string(shape.head_size) + "; compile the model again");
  }
  TYLLM_ASSIGN(rotations.bindings_.emplace_back(),
               CheckedPlace(*rotations.params_, kMropeFrequencies, model::RopeFrequencies(shape)));
  TYLLM_ASSIGN(
      rotations.bindings_.emplace_back(),
      CheckedPlace(*rotations.params_, kMropeAxes,
                   std::vector<std::int32_t>(vision.rope_axes.begin(), vision.rope_axes.end())));
  TYLLM_ASSIGN(rotations.arena_, AlignedMemory::Allocate(program.arena_bytes, "rope's table"));
  rotations.positions_.resize(static_cast<std::size_t>(3 * max_kv));
  rotations.program_ = std::make_unique<NativeProgram>(
      program, 0, 1,
      DieParameters{rotations.params_->bytes().data(), nullptr, rotations.bindings_.data()},
      DieMemory{rotations.arena_.data(), nullptr});
  return rotations;
}

void Rotations::Set(std::int64_t first, const std::array<std::span<const std::int32_t>, 3>& axes) {
  const auto capacity = std::ssize(positions_) / 3;
  const auto count = std::ssize(axes[0]);
  TYLLM_CHECK(first >= 0 && first + count <= capacity);
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    std::ranges::copy(axes[static_cast<std::size_t>(axis)],
                      positions_.begin() + axis * capacity + first);
  }
  program_->Begin({std::span(positions_).first(static_cast<std::size_t>(count)), {}, first});
  program_->Run(0, 0, {});
}

const float* Rotations::RowsFrom(std::int64_t first) const {
  return program_->Logits() + first * object_->program().logit_columns;
}

}  // namespace tyllm::simulator
