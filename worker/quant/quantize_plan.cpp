// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/quantize_plan.h"

#include <algorithm>
#include <utility>

#include "worker/model/linear_formats.h"
#include "worker/model/needed_files.h"
#include "worker/model/tensor_inventory.h"
#include "worker/quant/module_patterns.h"
#include "worker/quant/scaling_group.h"

namespace tyllm::quant {

namespace {

std::vector<std::string> LinearsOfLayers(const graph::Graph& graph) {
  std::vector<std::string> linears;
  for (const graph::Block& layer : graph.layers) {
    for (const graph::Node& node : layer.nodes) {
      if (node.op == graph::Op::kLinear) {
        linears.push_back(node.weight);
      }
    }
  }
  return linears;
}

std::string Join(std::span<const std::string> words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : ", ") + word;
  }
  return text;
}

/// Linears that share an input are computed as one by vLLM and by the compiler.
void WarnOfHalfKeptSets(const forward::Model& model, QuantizePlan& plan) {
  for (const graph::Block& layer : model.graph.layers) {
    for (const ScalingGroup& group : FindScalingGroups(layer, model.shape())) {
      std::vector<std::string> kept;
      std::ranges::copy_if(group.linears, std::back_inserter(kept),
                           [&](const std::string& name) { return !plan.quantized.contains(name); });
      if (!kept.empty() && kept.size() < group.linears.size()) {
        plan.warnings.push_back("--keep-float keeps " + Join(kept) + " but not all of " +
                                Join(group.linears) +
                                ": vLLM refuses such a model; keep all of them or none");
      }
    }
  }
}

class Inventory {
 public:
  Inventory(const QuantizePlan& plan, std::int64_t group)
      : plan_(plan), format_(model::LinearFormatOf(plan.format)), group_(group) {}

  Status Add(const model::NeededTensor& needed) {
    if (!needed.is_linear) {
      specs_.push_back({NameOf(needed.name), format::DType::kF16, needed.shape});
      return OkStatus();
    }
    if (!plan_.quantized.contains(needed.name)) {
      specs_.push_back({needed.name + ".weight", format::DType::kF16, needed.shape});
      CountKept(needed);
      return OkStatus();
    }
    const model::LinearSize size{needed.shape[0], needed.shape[1], group_};
    if (const Status fits = format_.check_size(size); !fits.ok()) {
      return fits.Annotate("linear layer '" + needed.name + "'");
    }
    std::ranges::copy(model::TensorsToWrite(format_, needed.name, size),
                      std::back_inserter(specs_));
    return OkStatus();
  }

  std::int64_t kept_float_bytes() const { return kept_float_bytes_; }

  /// What was added since the last call.
  std::vector<format::TensorSpec> Take() { return std::exchange(specs_, {}); }

 private:
  /// The bias of a quantized linear has the key of its format.
  std::string NameOf(const std::string& tensor) const {
    constexpr std::string_view kBias = ".bias";
    if (tensor.ends_with(kBias)) {
      const std::string module = tensor.substr(0, tensor.size() - kBias.size());
      if (plan_.quantized.contains(module)) {
        return module + std::string(format_.bias_key);
      }
    }
    return tensor;
  }

  /// `kept` is what --keep-float kept; the head and a size that does not fit are something else.
  void CountKept(const model::NeededTensor& needed) {
    const model::LinearSize size{needed.shape[0], needed.shape[1], group_};
    if (std::ranges::find(plan_.kept, needed.name) == plan_.kept.end() ||
        !format_.check_size(size).ok()) {
      return;
    }
    std::uint64_t quantized = 0;
    for (const format::TensorSpec& tensor : model::TensorsToWrite(format_, needed.name, size)) {
      quantized += tensor.bytes();
    }
    kept_float_bytes_ += static_cast<std::int64_t>(specs_.back().bytes() - quantized);
  }

  const QuantizePlan& plan_;
  const model::LinearFormat& format_;
  std::int64_t kept_float_bytes_ = 0;
  std::int64_t group_;
  std::vector<format::TensorSpec> specs_;
};

Status ChooseModules(const forward::Model& model, const domain::QuantizeOptions& options,
                     QuantizePlan& plan) {
  TYLLM_ASSIGN(const ModulePatterns patterns, ModulePatterns::Compile(options.keep_float));
  const std::vector<std::string> linears = LinearsOfLayers(model.graph);
  for (const std::string& linear : linears) {
    if (patterns.Match(linear)) {
      plan.kept.push_back(linear);
    } else {
      plan.quantized.insert(linear);
    }
  }
  if (plan.quantized.empty()) {
    return InvalidArgument("--keep-float matches all " + std::to_string(linears.size()) +
                           " linear layers, so nothing is left to quantize; expected patterns "
                           "such as '\\.down_proj$'");
  }
  // A pattern for the visual tower asks for what is done anyway.
  std::vector<std::string> names = linears;
  std::ranges::copy(model.checkpoint.visual_tensors(), std::back_inserter(names));
  for (const std::string& unused : patterns.Unused(names)) {
    plan.warnings.push_back("--keep-float '" + unused + "' matches no linear layer, such as " +
                            linears.front());
  }
  WarnOfHalfKeptSets(model, plan);
  return OkStatus();
}

Status CutIntoParts(const forward::Model& model, std::int64_t group, QuantizePlan& plan) {
  const std::vector<graph::Block>& layers = model.graph.layers;
  plan.parts.push_back({.name = "the embedding", .tensors = {}});
  for (const graph::Block& layer : layers) {
    plan.parts.push_back({.name = layer.name, .tensors = {}});
  }
  plan.parts.push_back({.name = "the head", .tensors = {}});
  // The embedding, then each layer's tensors together, then the rest.
  std::size_t part = 0;
  Inventory inventory(plan, group);
  for (const model::NeededTensor& needed : model::NeededTensors(model.shape())) {
    const auto is_of = [&](std::size_t p) {
      return needed.name.starts_with(plan.parts[p].name + ".");
    };
    if (part < layers.size() && is_of(part + 1)) {
      ++part;
    } else if (part > 0 && !is_of(part)) {
      part = layers.size() + 1;
    }
    TYLLM_TRY(inventory.Add(needed));
    std::ranges::move(inventory.Take(), std::back_inserter(plan.parts[part].tensors));
  }
  plan.kept_float_bytes = inventory.kept_float_bytes();
  return OkStatus();
}

Status AddCopied(const model::Checkpoint& checkpoint, QuantizePlan& plan) {
  const std::vector<std::string>& unused = checkpoint.unused_tensors();
  plan.copied = checkpoint.visual_tensors();
  plan.copied.insert(plan.copied.end(), unused.begin(), unused.end());
  for (const std::string& name : plan.copied) {
    TYLLM_ASSIGN(const format::TensorView view, checkpoint.Find(name));
    plan.parts.back().tensors.push_back({name, view.dtype, view.shape});
  }
  if (!unused.empty()) {
    plan.warnings.push_back(std::to_string(unused.size()) +
                            " tensors that the architecture does not use are copied as they are, "
                            "such as " +
                            unused.front());
  }
  return OkStatus();
}

}  // namespace

Result<QuantizePlan> PlanQuantization(const forward::Model& model,
                                      const domain::QuantizeOptions& options) {
  const model::Checkpoint& checkpoint = model.checkpoint;
  if (checkpoint.format() != model::CheckpointFormat::kFloat) {
    return FailedPrecondition(checkpoint.directory().string() + " is quantized already (" +
                              std::string(model::kCheckpointFormatNames.Name(checkpoint.format())) +
                              "), expected a floating-point model; `tyllm convert` turns one "
                              "quantized format into another");
  }
  QuantizePlan plan;
  plan.format = WrittenFormat(options.format);
  TYLLM_TRY(ChooseModules(model, options, plan));
  TYLLM_TRY(CutIntoParts(model, options.group_size, plan));
  TYLLM_TRY(AddCopied(checkpoint, plan));
  for (const model::MissingFile& file :
       model::FindMissingFiles(checkpoint.directory(), checkpoint.config())) {
    plan.warnings.push_back(model::Describe(file));
  }
  for (const std::string& name : checkpoint.TensorNames()) {
    TYLLM_ASSIGN(const format::TensorView view, checkpoint.Find(name));
    plan.source_bytes += static_cast<std::int64_t>(view.bytes.size());
  }
  return plan;
}

}  // namespace tyllm::quant
