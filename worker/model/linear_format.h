// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/format/json.h"
#include "common/format/safetensors.h"
#include "worker/model/checkpoint_format.h"
#include "worker/model/quantized_matrix.h"

namespace tyllm::model {

/// A quantized linear layer [out, in] whose scales cover `group` inputs each.
struct LinearSize {
  std::int64_t out = 0;
  std::int64_t in = 0;
  std::int64_t group = 0;  ///< divides in

  std::int64_t groups() const { return in / group; }
};

/// What the configuration of a quantized model says about all of its layers.
struct LinearTraits {
  std::int64_t group = 0;    ///< 0: not said, the scales tell
  bool symmetric = false;    ///< no zero points are stored: all are 8
  unsigned zero_offset = 0;  ///< what was taken off zero points before they were stored
  bool needs_order = false;  ///< a tensor with the group of each input must be there
};

enum class LinearPart : std::uint8_t {
  kWeight,
  kZeros,
  kScales,
  kShape,  ///< [out, in], I64 [2]
  kOrder,  ///< the group of each input, I32 [in]; only inputs in their natural order are supported
};
inline constexpr std::size_t kLinearParts = 5;

/// One tensor of a quantized linear layer.
struct PartSpec {
  LinearPart part = LinearPart::kWeight;
  std::string_view key;               ///< what follows the module's name: ".qweight"
  std::vector<format::DType> dtypes;  ///< any of them when read; the first is written
  std::vector<std::int64_t> shape;
  bool required = true;
};

/// The tensors of one layer, by LinearPart; nullptr where there is none. Types and shapes are those
/// of the format's PartSpecs, and required ones are there.
using LinearTensors = std::array<const format::TensorView*, kLinearParts>;

constexpr std::size_t IndexOf(LinearPart part) {
  return static_cast<std::size_t>(part);
}

/// Contents of one tensor as they are in a file.
struct PackedPart {
  std::string_view key;
  std::vector<std::byte> bytes;
};

/// Modules of a quantized model that stay in floating point.
struct FloatModules {
  std::vector<std::string> linears;  ///< full names of linear layers inside decoder layers
  bool visual_tower = false;
};

/// Layouts of codes and zero points that something else than a format's `pack` knows of.
enum class WordLayout : std::uint8_t {
  kOther,
  kAwqGemm,  ///< awq_gemm.h's three tensors
};

/// A way to store 4-bit linear layers as data: one file in worker/model/formats and one row in
/// kLinearFormats (docs/formats/checkpoints.md describes every one of them).
struct LinearFormat {
  CheckpointFormat format = CheckpointFormat::kFloat;
  std::string_view quant_method;  ///< of quantization_config; empty for a format that has none
  std::string_view weight_key;    ///< the tensor that tells that a layer is stored so
  std::string_view bias_key;
  std::string_view scales_key;
  std::size_t group_axis = 0;  ///< of the scales
  WordLayout words = WordLayout::kOther;

  /// Reads quantization_config, nullptr where there is none. kUnimplemented and kInvalidArgument
  /// name the key below `what`.
  Result<LinearTraits> (*read_config)(const format::Json* config, std::string_view what) = nullptr;
  /// kInvalidArgument when a layer of this size cannot be stored.
  Status (*check_size)(const LinearSize& size) = nullptr;
  /// In the order in which they are written.
  std::vector<PartSpec> (*parts)(const LinearSize& size, const LinearTraits& traits) = nullptr;
  /// Zero points and scales; without codes.
  Result<QuantizedMatrix> (*grids)(const LinearSize& size, const LinearTraits& traits,
                                   const LinearTensors& tensors) = nullptr;
  /// Codes of a part: q [region.rows, region.columns].
  void (*codes)(const LinearSize& size, const LinearTensors& tensors, const CodeRegion& region,
                std::uint8_t* q) = nullptr;
  /// The parts of default traits, in their order. nullptr: read only.
  Result<std::vector<PackedPart>> (*pack)(const QuantizedMatrix& matrix) = nullptr;
  /// quantization_config as other readers want it. nullptr: none is written.
  format::Json (*config)(std::int64_t group, const FloatModules& kept) = nullptr;
};

}  // namespace tyllm::model
