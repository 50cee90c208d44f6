// SPDX-License-Identifier: Apache-2.0
#include "worker/model/checkpoint_layout.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "worker/model/awq_gemm.h"
#include "worker/model/tensor_inventory.h"

namespace tyllm::model {

namespace {

using format::DType;
using format::ShapeText;
using format::TensorView;
using Shape = std::vector<std::int64_t>;

std::string Join(std::string_view module, std::string_view key) {
  return std::string(module) + std::string(key);
}

/// "F16 [2, 3]"
std::string Describe(const TensorView& tensor) {
  return std::string(format::kDTypeNames.Name(tensor.dtype)) + " " + ShapeText(tensor.shape);
}

bool IsFloat(DType dtype) {
  return dtype == DType::kF16 || dtype == DType::kBF16 || dtype == DType::kF32;
}

bool IsAllZero(const TensorView& tensor) {
  return std::all_of(tensor.bytes.begin(), tensor.bytes.end(),
                     [](std::byte byte) { return byte == std::byte{0}; });
}

class LayoutFinder {
 public:
  LayoutFinder(const WeightFiles& weights, const std::optional<QuantizationConfig>& quantization,
               const Path& directory)
      : weights_(weights), quantization_(quantization), directory_(directory) {
    if (quantization_) {
      // Some quantizers write -1 for "not in groups of a fixed size": the tensors decide.
      layout_.group = std::max<std::int64_t>(quantization_->GroupSize().value_or(0), 0);
    }
  }

  Result<CheckpointLayout> Find(const ModelShape& shape) && {
    for (const NeededTensor& needed : NeededTensors(shape)) {
      TYLLM_TRY(needed.is_linear ? AddLinear(needed) : AddFloat(needed));
    }
    TYLLM_TRY(CheckQuantized());
    TYLLM_TRY(CheckBiases());
    for (const std::string& name : weights_.Names()) {
      if (shape.names.IsVisual(name)) {
        layout_.visual.push_back(name);
      } else if (!used_.contains(name) && name != Join(shape.names.head, ".weight")) {
        // A tied head may be stored as well; it is the embedding table, which is read instead.
        layout_.unused.push_back(name);
      }
    }
    return std::move(layout_);
  }

 private:
  std::string In(std::string_view tensor) const {
    return weights_.FileOf(tensor).string() + ": tensor '" + std::string(tensor) + "'";
  }

  Status Missing(const std::string& tensor, const std::string& expected) const {
    return InvalidArgument(directory_.string() + " has no tensor '" + tensor + "', expected " +
                           expected + "; config.json and the weights do not belong together, or " +
                           "the model is incomplete");
  }

  Status CheckTensor(const std::string& name, const Shape& shape, std::string_view types,
                     bool (*type_fits)(DType)) {
    const TensorView* const tensor = weights_.Find(name);
    const std::string expected = std::string(types) + " " + ShapeText(shape);
    if (tensor == nullptr) {
      return Missing(name, expected);
    }
    if (tensor->shape != shape || !type_fits(tensor->dtype)) {
      return InvalidArgument(In(name) + " is " + Describe(*tensor) + ", expected " + expected);
    }
    used_.insert(name);
    return OkStatus();
  }

  Status AddFloat(const NeededTensor& needed) {
    std::string name = needed.name;
    // The bias of a linear layer has the key of its storage.
    if (const std::size_t dot = name.rfind(".bias"); dot != std::string::npos) {
      const auto linear = layout_.linears.find(name.substr(0, dot));
      if (linear != layout_.linears.end()) {
        name = Join(linear->first, KeysOf(linear->second.format).bias);
      }
    }
    return CheckTensor(name, needed.shape, "F16, BF16 or F32", IsFloat);
  }

  Status AddLinear(const NeededTensor& needed) {
    LinearStorage storage{needed.shape[0], needed.shape[1]};
    const LinearKeys* found = nullptr;
    for (const LinearKeys& keys : kLinearKeys) {
      const std::string name = Join(needed.name, keys.weight);
      if (weights_.Find(name) == nullptr) {
        continue;
      }
      if (found != nullptr) {
        return InvalidArgument(directory_.string() + " has both '" +
                               Join(needed.name, found->weight) + "' and '" + name +
                               "'; a linear layer must be stored in one way");
      }
      found = &keys;
    }
    if (found == nullptr) {
      return Missing(needed.name + ".weight",
                     "F16, BF16 or F32 " + ShapeText(needed.shape) + " or a quantized form of it");
    }
    storage.format = found->format;
    layout_.linears.emplace(needed.name, storage);
    if (storage.format == CheckpointFormat::kFloat) {
      return CheckTensor(Join(needed.name, found->weight), needed.shape, "F16, BF16 or F32",
                         IsFloat);
    }
    return AddQuantized(needed.name, storage, *found);
  }

  /// The first quantized layer decides what config.json leaves open; all others must agree.
  Status AddQuantized(const std::string& module, const LinearStorage& storage,
                      const LinearKeys& keys) {
    if (layout_.format == CheckpointFormat::kFloat) {
      layout_.format = storage.format;
    }
    if (layout_.format != storage.format) {
      return InvalidArgument(directory_.string() + " has linear layers both as " +
                             std::string(kCheckpointFormatNames.Name(layout_.format)) + " and as " +
                             std::string(kCheckpointFormatNames.Name(storage.format)) + " ('" +
                             module + "'), expected one of them");
    }
    if (layout_.group == 0) {
      TYLLM_ASSIGN(layout_.group, GroupSizeFromScales(Join(module, keys.scales), storage));
    }
    if (const Status fits = CheckAwqGemmShape(storage.out, storage.in, layout_.group); !fits.ok()) {
      return fits.Annotate(In(Join(module, keys.weight)));
    }
    const std::int64_t groups = storage.in / layout_.group;
    const std::int64_t words = storage.out / kAwqGemmPack;
    const auto is_i32 = [](DType dtype) { return dtype == DType::kI32; };
    const auto is_f16 = [](DType dtype) { return dtype == DType::kF16; };
    TYLLM_TRY(CheckTensor(Join(module, keys.weight), {storage.in, words}, "I32", is_i32));
    TYLLM_TRY(CheckTensor(Join(module, keys.zeros), {groups, words}, "I32", is_i32));
    return CheckTensor(Join(module, keys.scales), {groups, storage.out}, "F16", is_f16);
  }

  Result<std::int64_t> GroupSizeFromScales(const std::string& name,
                                           const LinearStorage& storage) const {
    const TensorView* const scales = weights_.Find(name);
    if (scales == nullptr) {
      return Missing(name, "F16 [groups, " + std::to_string(storage.out) + "]");
    }
    const std::int64_t groups = scales->shape.empty() ? 0 : scales->shape[0];
    if (groups < 1 || storage.in % groups != 0) {
      return InvalidArgument(In(name) + " is " + Describe(*scales) + ", expected F16 [groups, " +
                             std::to_string(storage.out) +
                             "] with a number of groups that divides " +
                             std::to_string(storage.in));
    }
    return storage.in / groups;
  }

  Status CheckQuantized() {
    if (layout_.format != CheckpointFormat::kFloat) {
      return OkStatus();
    }
    layout_.group = 0;
    if (quantization_) {
      return InvalidArgument((directory_ / "config.json").string() +
                             " has a quantization_config, but no linear layer is quantized "
                             "(no tensor ends in .qweight or .quanted_weight); remove the key or "
                             "download the weights that belong to it");
    }
    return OkStatus();
  }

  /// A bias that the architecture does not have would be left out silently: only zeros may be.
  Status CheckBiases() const {
    for (const auto& [module, storage] : layout_.linears) {
      const std::string name = Join(module, KeysOf(storage.format).bias);
      const TensorView* const bias = weights_.Find(name);
      if (bias != nullptr && !used_.contains(name) && !IsAllZero(*bias)) {
        return InvalidArgument(In(name) +
                               " is a bias that is not zero, but the architecture that "
                               "config.json names has none here");
      }
    }
    return OkStatus();
  }

  const WeightFiles& weights_;
  const std::optional<QuantizationConfig>& quantization_;
  const Path& directory_;
  CheckpointLayout layout_;
  std::set<std::string, std::less<>> used_;
};

}  // namespace

Result<CheckpointLayout> FindLayout(const WeightFiles& weights, const ModelShape& shape,
                                    const std::optional<QuantizationConfig>& quantization,
                                    const Path& directory) {
  return LayoutFinder(weights, quantization, directory).Find(shape);
}

}  // namespace tyllm::model
