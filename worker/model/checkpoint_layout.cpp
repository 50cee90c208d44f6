// SPDX-License-Identifier: Apache-2.0
#include "worker/model/checkpoint_layout.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <string_view>
#include <utility>

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
      : weights_(weights), quantization_(quantization), directory_(directory) {}

  Result<CheckpointLayout> Find(const ModelShape& shape) && {
    TYLLM_TRY(ReadMethod());
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
        name = Join(linear->first, linear->second.bias_key());
      }
    }
    return CheckTensor(name, needed.shape, "F16, BF16 or F32", IsFloat);
  }

  /// Formats without a quantization_config are told by their names alone, and it says nothing then.
  bool IsNamed(const LinearFormat& format) const {
    return std::ranges::any_of(weights_.Names(), [&](const std::string& name) {
      return name.ends_with(format.weight_key);
    });
  }

  Status ReadMethod() {
    const bool told_by_names = std::ranges::any_of(kLinearFormats, [&](const LinearFormat* format) {
      return format->quant_method.empty() && IsNamed(*format);
    });
    if (!quantization_ || told_by_names) {
      return OkStatus();
    }
    method_ = FindQuantMethod(quantization_->method);
    if (method_ == nullptr) {
      return Unimplemented(quantization_->what + ".quant_method is '" +
                           quantization_->method.substr(0, 80) +
                           "', supported are: " + QuantMethods());
    }
    TYLLM_ASSIGN(layout_.traits, method_->read_config(&quantization_->json, quantization_->what));
    return OkStatus();
  }

  /// Whether a layer may be stored so, given what config.json says.
  bool MayBe(const LinearFormat& format) const {
    return method_ == nullptr || format.quant_method.empty() || &format == method_;
  }

  /// nullptr: none of them.
  const LinearFormat* FormatOf(const std::string& module, bool any) const {
    for (const LinearFormat* const format : kLinearFormats) {
      if ((any || MayBe(*format)) && weights_.Find(Join(module, format->weight_key)) != nullptr) {
        return format;
      }
    }
    return nullptr;
  }

  Status AddLinear(const NeededTensor& needed) {
    const LinearFormat* const found = FormatOf(needed.name, false);
    const std::string weight = needed.name + ".weight";
    layout_.linears.emplace(needed.name, LinearStorage{needed.shape[0], needed.shape[1], found});
    if (found == nullptr) {
      TYLLM_TRY(CheckMethod(needed.name));
      return CheckTensor(weight, needed.shape, "F16, BF16 or F32", IsFloat);
    }
    TYLLM_TRY(CheckStoredOnce(needed.name, *found));
    return AddQuantized(needed.name, layout_.linears.find(needed.name)->second);
  }

  /// A layer in a format that config.json does not name.
  Status CheckMethod(const std::string& module) const {
    const LinearFormat* const other = FormatOf(module, true);
    if (other == nullptr) {
      return OkStatus();
    }
    return InvalidArgument(quantization_->what + ".quant_method is '" + quantization_->method +
                           "', but '" + Join(module, other->weight_key) + "' belongs to " +
                           std::string(kCheckpointFormatNames.Name(other->format)) +
                           "; config.json and the weights do not belong together");
  }

  Status CheckStoredOnce(const std::string& module, const LinearFormat& found) const {
    const std::string own = Join(module, found.weight_key);
    std::vector<std::string> names{module + ".weight"};
    for (const LinearFormat* const format : kLinearFormats) {
      names.push_back(Join(module, format->weight_key));
    }
    for (const std::string& name : names) {
      if (name != own && weights_.Find(name) != nullptr) {
        return InvalidArgument(directory_.string() + " has both '" + name + "' and '" + own +
                               "'; a linear layer must be stored in one way");
      }
    }
    return OkStatus();
  }

  /// The first quantized layer decides what config.json leaves open; all others must agree.
  Status AddQuantized(const std::string& module, const LinearStorage& storage) {
    const LinearFormat& format = *storage.format;
    if (layout_.format == CheckpointFormat::kFloat) {
      layout_.format = format.format;
      if (method_ == nullptr) {
        TYLLM_ASSIGN(layout_.traits,
                     format.read_config(
                         nullptr, (directory_ / "config.json").string() + ".quantization_config"));
      }
    }
    if (layout_.format != format.format) {
      return InvalidArgument(directory_.string() + " has linear layers both as " +
                             std::string(kCheckpointFormatNames.Name(layout_.format)) + " and as " +
                             std::string(kCheckpointFormatNames.Name(format.format)) + " ('" +
                             module + "'), expected one of them");
    }
    if (layout_.traits.group == 0) {
      TYLLM_ASSIGN(layout_.traits.group, GroupSizeFromScales(module, storage));
    }
    if (const Status fits = format.check_size(layout_.SizeOf(storage)); !fits.ok()) {
      return fits.Annotate(In(Join(module, format.weight_key)));
    }
    for (const PartSpec& part : format.parts(layout_.SizeOf(storage), layout_.traits)) {
      TYLLM_TRY(AddPart(module, part, layout_.SizeOf(storage)));
    }
    return OkStatus();
  }

  Status AddPart(const std::string& module, const PartSpec& part, const LinearSize& size) {
    const std::string name = Join(module, part.key);
    const TensorView* const tensor = weights_.Find(name);
    if (tensor == nullptr && !part.required) {
      return OkStatus();
    }
    std::string expected;
    for (const DType dtype : part.dtypes) {
      expected += (expected.empty() ? "" : " or ") + std::string(format::kDTypeNames.Name(dtype));
    }
    expected += " " + ShapeText(part.shape);
    if (tensor == nullptr) {
      return Missing(name, expected);
    }
    if (tensor->shape != part.shape || std::ranges::count(part.dtypes, tensor->dtype) == 0) {
      return InvalidArgument(In(name) + " is " + Describe(*tensor) + ", expected " + expected);
    }
    used_.insert(name);
    return part.part == LinearPart::kOrder ? CheckOrder(name, *tensor, size) : OkStatus();
  }

  /// Groups of inputs that do not lie side by side cannot be computed group by group.
  Status CheckOrder(const std::string& name, const TensorView& tensor,
                    const LinearSize& size) const {
    for (std::int64_t i = 0; i < size.in; ++i) {
      std::int32_t group = 0;
      std::memcpy(&group, tensor.bytes.data() + i * static_cast<std::int64_t>(sizeof(group)),
                  sizeof(group));
      if (group != i / size.group) {
        return Unimplemented(In(name) + " puts input " + std::to_string(i) + " into group " +
                             std::to_string(group) + ", expected " +
                             std::to_string(i / size.group) +
                             ": the model was quantized in the order of its activations (desc_act, "
                             "actorder), which is not supported; quantize it without");
      }
    }
    return OkStatus();
  }

  Result<std::int64_t> GroupSizeFromScales(const std::string& module,
                                           const LinearStorage& storage) const {
    const std::string name = Join(module, storage.format->scales_key);
    const TensorView* const scales = weights_.Find(name);
    const std::size_t axis = storage.format->group_axis;
    const std::string out = std::to_string(storage.out);
    const std::string expected = axis == 0 ? "[groups, " + out + "]" : "[" + out + ", groups]";
    if (scales == nullptr) {
      return Missing(name, "F16 " + expected);
    }
    const std::int64_t groups = scales->shape.size() <= axis ? 0 : scales->shape[axis];
    if (groups < 1 || storage.in % groups != 0) {
      return InvalidArgument(In(name) + " is " + Describe(*scales) + ", expected F16 " + expected +
                             " with a number of groups that divides " + std::to_string(storage.in));
    }
    return storage.in / groups;
  }

  Status CheckQuantized() {
    if (layout_.format != CheckpointFormat::kFloat) {
      return OkStatus();
    }
    layout_.traits = {};
    if (quantization_) {
      return InvalidArgument(quantization_->what + " says that the model is quantized by " +
                             (quantization_->method.empty() ? "?" : quantization_->method) +
                             ", but no linear layer is quantized; remove it or download the "
                             "weights that belong to it");
    }
    return OkStatus();
  }

  /// A bias that the architecture does not have would be left out silently: only zeros may be.
  Status CheckBiases() const {
    for (const auto& [module, storage] : layout_.linears) {
      const std::string name = Join(module, storage.bias_key());
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
  const LinearFormat* method_ = nullptr;  ///< what config.json names
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
