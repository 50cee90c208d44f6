// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/half_tensors.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "common/format/float16.h"

namespace tyllm::quant {

namespace {

constexpr float kLargestHalf = 65504.0F;
/// All ones: infinite or not a number.
constexpr std::uint16_t kExponent = 0x7c00;

}  // namespace

Status CheckNumbers(std::string_view tensor, std::span<const float> numbers, float largest,
                    std::string_view why) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const float number = numbers[i];
    if (std::fabs(number) <= largest) {  // false for NaN
      continue;
    }
    std::string message = "tensor '" + std::string(tensor) + "' holds " + std::to_string(number) +
                          " at position " + std::to_string(i) + ", expected ";
    message += std::isfinite(number)
                   ? "numbers up to " + std::to_string(largest) + " (" + std::string(why) + ")"
                   : "finite numbers; the model is damaged: download it again";
    return InvalidArgument(std::move(message));
  }
  return OkStatus();
}

Result<std::vector<std::uint16_t>> ToHalf(std::string_view tensor, std::span<const float> numbers) {
  TYLLM_TRY(CheckNumbers(tensor, numbers, kLargestHalf, "the largest of fp16"));
  std::vector<std::uint16_t> halves(numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    halves[i] = format::FloatToHalf(numbers[i]);
  }
  return halves;
}

Result<std::vector<std::uint16_t>> ToHalf(std::string_view name, const format::TensorView& tensor) {
  if (tensor.dtype != format::DType::kF16) {
    TYLLM_ASSIGN(const std::vector<float> numbers, format::ToFloats(name, tensor));
    return ToHalf(name, numbers);
  }
  std::vector<std::uint16_t> halves(tensor.bytes.size() / sizeof(std::uint16_t));
  std::memcpy(halves.data(), tensor.bytes.data(), tensor.bytes.size());
  const bool is_finite = std::all_of(halves.begin(), halves.end(), [](std::uint16_t half) {
    return (half & kExponent) != kExponent;
  });
  if (!is_finite) {
    TYLLM_ASSIGN(const std::vector<float> numbers, format::ToFloats(name, tensor));
    TYLLM_TRY(CheckNumbers(name, numbers, kLargestHalf, "the largest of fp16"));
  }
  return halves;
}

}  // namespace tyllm::quant
