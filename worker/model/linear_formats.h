// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "worker/model/linear_format.h"

namespace tyllm::model {

extern const LinearFormat kAmtcFormat;
extern const LinearFormat kAwqGemmFormat;
extern const LinearFormat kCompressedTensorsFormat;
extern const LinearFormat kGptqFormat;

/// Every format of quantized layers there is: the one list. Of two with the same tensor names the
/// first is meant where nothing says which.
inline constexpr std::array kLinearFormats{&kAmtcFormat, &kAwqGemmFormat, &kCompressedTensorsFormat,
                                           &kGptqFormat};

/// The format of quantized layers; kFloat is a broken promise.
const LinearFormat& LinearFormatOf(CheckpointFormat format);

/// The tensors of a linear layer that is to be written; their contents are what `pack` returns.
std::vector<format::TensorSpec> TensorsToWrite(const LinearFormat& format,
                                               const std::string& module, const LinearSize& size);

/// nullptr: unknown.
const LinearFormat* FindQuantMethod(std::string_view method);

/// "awq, compressed-tensors, gptq": for messages.
std::string QuantMethods();

}  // namespace tyllm::model
