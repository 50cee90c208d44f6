// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/rotations.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "common/base/portable_math.h"
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

/// Where the parameters of a file are that hold what the model's configuration says.
struct MropePlaces {
  std::uint64_t frequencies = 0;
  std::uint64_t axes = 0;
};

Result<MropePlaces> CheckParams(const artifact::ParamsFile& params,
                                const std::vector<float>& frequencies,
                                const std::vector<std::int32_t>& axes) {
  MropePlaces places;
  TYLLM_ASSIGN(places.frequencies, CheckedPlace(params, kMropeFrequencies, frequencies));
  TYLLM_ASSIGN(places.axes, CheckedPlace(params, kMropeAxes, axes));
  return places;
}

}  // namespace

Result<Rotations> Rotations::Load(const Request& request, const model::ModelShape& shape,
                                  const model::VisionShape& vision) {
  Rotations rotations;
  rotations.frequencies_ = model::RopeFrequencies(shape);
  rotations.axes_.assign(vision.rope_axes.begin(), vision.rope_axes.end());
  for (std::int64_t die = 0; die < request.dies; ++die) {
    const Path name = artifact::MropeFile(request.max_kv, "die" + std::to_string(die) + ".params");
    TYLLM_ASSIGN(const artifact::ParamsFile params,
                 artifact::ParamsFile::Open(request.folder / name));
    TYLLM_TRY(CheckParams(params, rotations.frequencies_, rotations.axes_).status());
  }
  TYLLM_ASSIGN(rotations.arena_,
               AlignedMemory::Allocate(
                   static_cast<std::uint64_t>(request.max_kv * shape.head_size) * sizeof(float),
                   "rope's table", Pages::kSmall));
  if (request.engine == Engine::kCompiled) {
    TYLLM_TRY(rotations.LoadProgram(request.folder, request.max_kv));
  }
  return rotations;
}

Status Rotations::LoadProgram(const Path& folder, std::int64_t max_kv) {
  const auto head_size = 2 * std::ssize(frequencies_);
  TYLLM_ASSIGN(artifact::ParamsFile params,
               artifact::ParamsFile::Open(folder / artifact::kComputeRopeParams));
  params_ = std::make_unique<artifact::ParamsFile>(std::move(params));
  TYLLM_ASSIGN(const MropePlaces places, CheckParams(*params_, frequencies_, axes_));
  bindings_ = {places.frequencies, places.axes};
  const Path path = folder / artifact::kComputeRopeObject;
  TYLLM_ASSIGN(ProgramObject object, ProgramObject::Load(path));
  object_ = std::make_unique<ProgramObject>(std::move(object));
  const die::Program& program = object_->program();
  if (std::string_view(program.kind) != "mrope" || program.max_kv != max_kv ||
      program.logit_columns != head_size || program.binding_count != bindings_.size() ||
      program.logits_offset != 0 || program.arena_bytes != arena_.size()) {
    return FailedPrecondition(path.string() + " is a program of kind " + program.kind + " for " +
                              std::to_string(program.max_kv) + " tokens with heads of " +
                              std::to_string(program.logit_columns) + ", expected mrope for " +
                              std::to_string(max_kv) + " tokens with heads of " +
                              std::to_string(head_size) + "; compile the model again");
  }
  positions_.resize(static_cast<std::size_t>(3 * max_kv));
  program_ = std::make_unique<NativeProgram>(
      program, 0, 1, DieParameters{params_->bytes().data(), nullptr, bindings_.data()},
      DieMemory{arena_.data(), nullptr});
  return OkStatus();
}

void Rotations::Set(std::int64_t first, const std::array<std::span<const std::int32_t>, 3>& axes) {
  const auto half = std::ssize(frequencies_);
  const auto count = std::ssize(axes[0]);
  const std::int64_t capacity =
      static_cast<std::int64_t>(arena_.size() / sizeof(float)) / (2 * half);
  TYLLM_CHECK(first >= 0 && first + count <= capacity);
  if (program_ == nullptr) {
    float* row = reinterpret_cast<float*>(arena_.data()) + first * 2 * half;
    for (std::int64_t t = 0; t < count; ++t, row += 2 * half) {
      for (std::int64_t i = 0; i < half; ++i) {
        const auto pair = static_cast<std::size_t>(i);
        const std::int32_t position =
            axes[static_cast<std::size_t>(axes_[pair])][static_cast<std::size_t>(t)];
        const float angle = static_cast<float>(position) * frequencies_[pair];
        row[i] = static_cast<float>(PortableCos(static_cast<double>(angle)));
        row[half + i] = static_cast<float>(PortableSin(static_cast<double>(angle)));
      }
    }
    return;
  }
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    std::ranges::copy(axes[static_cast<std::size_t>(axis)],
                      positions_.begin() + axis * capacity + first);
  }
  program_->Begin({std::span(positions_).first(static_cast<std::size_t>(count)), {}, first});
  program_->Run(0, 0, {});
}

const float* Rotations::RowsFrom(std::int64_t first) const {
  return reinterpret_cast<const float*>(arena_.data()) + first * 2 * std::ssize(frequencies_);
}

}  // namespace tyllm::simulator
