// SPDX-License-Identifier: Apache-2.0
#include "worker/model/awq_gemm.h"
#include "worker/model/linear_formats.h"

namespace tyllm::model {

namespace {

constexpr AwqGemmKeys kKeys{".quanted_layer.quanted_weight", ".quanted_layer.zero",
                            ".quanted_layer.weight_scale"};

/// Whatever stands there was not written for AMTC: no reader of quantization_config reads it.
Result<LinearTraits> ReadConfig(const format::Json* /*config*/, std::string_view /*what*/) {
  return LinearTraits{};
}

std::vector<PartSpec> Parts(const LinearSize& size, const LinearTraits& /*traits*/) {
  return AwqGemmParts(size, kKeys);
}

Result<std::vector<PackedPart>> Pack(const QuantizedMatrix& matrix) {
  return PackAwqGemm(matrix, kKeys);
}

}  // namespace

constexpr LinearFormat kAmtcFormat{
    .format = CheckpointFormat::kAmtc,
    .quant_method = "",
    .weight_key = kKeys.weight,
    .bias_key = ".quanted_layer.bias",
    .scales_key = kKeys.scales,
    .group_axis = 0,
    .words = WordLayout::kAwqGemm,
    .read_config = ReadConfig,
    .check_size = CheckAwqGemmSize,
    .parts = Parts,
    .grids = AwqGemmGrids,
    .codes = AwqGemmCodes,
    .pack = Pack,
    .config = nullptr,
};

}  // namespace tyllm::model
