// SPDX-License-Identifier: Apache-2.0
#include "worker/model/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "worker/model/checkpoint_layout.h"
#include "worker/model/families.h"
#include "worker/model/passenger_files.h"
#include "worker/model/quantization_config.h"
#include "worker/model/quantized_linear.h"
#include "worker/model/visual_tower.h"
#include "worker/model/weight_files.h"

namespace tyllm::model {

namespace {

std::string Join(std::string_view module, std::string_view key) {
  return std::string(module) + std::string(key);
}

Result<format::Json> ReadConfig(const Path& directory) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(directory, ignored)) {
    return NotFound("model folder " + directory.string() +
                    " does not exist or is not a folder; give the folder that holds config.json");
  }
  const Path path = directory / "config.json";
  if (!std::filesystem::exists(path, ignored)) {
    return NotFound(path.string() +
                    " is missing; give a model folder of the Hugging Face form, with config.json "
                    "and safetensors files");
  }
  return format::ReadJsonFile(path);
}

}  // namespace

struct Checkpoint::State {
  Path directory;
  format::Json config;
  ModelShape shape;
  WeightFiles weights;
  CheckpointLayout layout;
  std::vector<Path> passengers;

  bool IsTiedHead(std::string_view linear) const {
    return shape.tied_head && linear == shape.names.head;
  }

  const LinearStorage* FindLinear(std::string_view linear) const {
    const auto it = layout.linears.find(linear);
    return it == layout.linears.end() ? nullptr : &it->second;
  }

  const format::TensorView* FindTensor(std::string_view name) const {
    if (const format::TensorView* const tensor = weights.Find(name)) {
      return tensor;
    }
    constexpr std::string_view kBias = ".bias";
    if (!name.ends_with(kBias)) {
      return nullptr;
    }
    const std::string_view module = name.substr(0, name.size() - kBias.size());
    const LinearStorage* const linear = FindLinear(module);
    return linear == nullptr ? nullptr : weights.Find(Join(module, linear->bias_key()));
  }

  Status NoSuchLinear(std::string_view linear) const {
    return NotFound(directory.string() + ": '" + std::string(linear) +
                    "' is no linear layer of this model");
  }
};

Checkpoint::Checkpoint(std::unique_ptr<State> state) : state_(std::move(state)) {}

Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

Result<Checkpoint> Checkpoint::Open(const Path& directory) {
  auto state = std::make_unique<State>();
  state->directory = directory;
  TYLLM_ASSIGN(state->config, ReadConfig(directory));
  const std::string what = (directory / "config.json").string();
  TYLLM_ASSIGN(state->shape, ParseShape(state->config, what));
  TYLLM_ASSIGN(const auto quantization, FindQuantizationConfig(state->config, directory));
  TYLLM_ASSIGN(state->weights, WeightFiles::Open(directory));
  ChooseNames(state->shape, [&](const DecoderNames& names) {
    return state->weights.Find(Join(names.embedding, ".weight")) != nullptr;
  });
  TYLLM_ASSIGN(state->layout, FindLayout(state->weights, state->shape, quantization, directory));
  for (std::string& name : UnusedVisualTensors(state->config, state->layout.visual)) {
    std::erase(state->layout.visual, name);
    state->layout.unused.push_back(std::move(name));
  }
  TYLLM_ASSIGN(state->passengers, FindPassengerFiles(directory));
  return Checkpoint(std::move(state));
}

const Path& Checkpoint::directory() const {
  return state_->directory;
}

const ModelShape& Checkpoint::shape() const {
  return state_->shape;
}

const format::Json& Checkpoint::config() const {
  return state_->config;
}

CheckpointFormat Checkpoint::format() const {
  return state_->layout.format;
}

std::int64_t Checkpoint::group_size() const {
  return state_->layout.traits.group;
}

const std::vector<std::string>& Checkpoint::visual_tensors() const {
  return state_->layout.visual;
}

const std::vector<std::string>& Checkpoint::unused_tensors() const {
  return state_->layout.unused;
}

const std::vector<Path>& Checkpoint::PassengerFiles() const {
  return state_->passengers;
}

std::vector<std::string> Checkpoint::TensorNames() const {
  return state_->weights.Names();
}

void Checkpoint::Forget(std::string_view prefix) const {
  state_->weights.Forget(prefix);
}

bool Checkpoint::IsQuantized(std::string_view linear) const {
  const LinearStorage* const storage = state_->FindLinear(linear);
  return storage != nullptr && storage->format != nullptr;
}

bool Checkpoint::Has(std::string_view tensor) const {
  return state_->FindTensor(tensor) != nullptr;
}

Result<format::TensorView> Checkpoint::Find(std::string_view tensor) const {
  if (const format::TensorView* const found = state_->FindTensor(tensor)) {
    return *found;
  }
  return NotFound(state_->directory.string() + " has no tensor '" + std::string(tensor) + "'");
}

Result<std::vector<float>> Checkpoint::ReadFloats(std::string_view tensor) const {
  TYLLM_ASSIGN(const format::TensorView view, Find(tensor));
  return format::ToFloats(tensor, view).Annotate(state_->directory.string());
}

Result<QuantizedLinear> Checkpoint::OpenQuantized(std::string_view linear) const {
  const LinearStorage* const storage = state_->FindLinear(linear);
  if (storage == nullptr) {
    return state_->NoSuchLinear(linear);
  }
  if (storage->format == nullptr) {
    return FailedPrecondition(state_->directory.string() + ": linear layer '" +
                              std::string(linear) + "' is not quantized");
  }
  const CheckpointLayout& layout = state_->layout;
  const LinearSize size = layout.SizeOf(*storage);
  LinearTensors tensors{};
  for (const PartSpec& part : storage->format->parts(size, layout.traits)) {
    tensors[IndexOf(part.part)] = state_->weights.Find(Join(linear, part.key));
  }
  return QuantizedLinear::Open(*storage->format, size, layout.traits, tensors)
      .Annotate(state_->directory.string() + ": linear layer '" + std::string(linear) + "'");
}

Result<QuantizedMatrix> Checkpoint::ReadQuantized(std::string_view linear) const {
  TYLLM_ASSIGN(QuantizedLinear opened, OpenQuantized(linear));
  return std::move(opened).ReadAll();
}

std::vector<std::string> Checkpoint::TensorsOf(std::string_view linear) const {
  const LinearStorage* const storage = state_->FindLinear(linear);
  if (storage == nullptr) {
    return {};
  }
  if (storage->format == nullptr) {
    return {Join(linear, ".weight")};
  }
  const CheckpointLayout& layout = state_->layout;
  std::vector<std::string> names;
  for (const PartSpec& part : storage->format->parts(layout.SizeOf(*storage), layout.traits)) {
    if (std::string name = Join(linear, part.key); state_->weights.Find(name) != nullptr) {
      names.push_back(std::move(name));
    }
  }
  return names;
}

Result<std::vector<float>> Checkpoint::ReadLinear(std::string_view linear) const {
  if (state_->IsTiedHead(linear)) {
    return ReadFloats(Join(state_->shape.names.embedding, ".weight"));
  }
  const LinearStorage* const storage = state_->FindLinear(linear);
  if (storage == nullptr) {
    return state_->NoSuchLinear(linear);
  }
  if (storage->format == nullptr) {
    return ReadFloats(Join(linear, ".weight"));
  }
  TYLLM_ASSIGN(const QuantizedMatrix matrix, ReadQuantized(linear));
  return matrix.Dequantize();
}

}  // namespace tyllm::model
