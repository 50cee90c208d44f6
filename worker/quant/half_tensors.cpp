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
/// Numbers that one task converts.
constexpr std::size_t kPiece = std::size_t{1} << 20;

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

namespace {

/// The same bytes when they are finite fp16 already.
Status PieceToHalf(std::string_view name, const format::TensorView& piece,
                   std::span<std::uint16_t> halves) {
  if (piece.dtype == format::DType::kF16) {
    std::memcpy(halves.data(), piece.bytes.data(), piece.bytes.size());
    if (std::ranges::all_of(halves, [](auto half) { return (half & kExponent) != kExponent; })) {
      return OkStatus();
    }
  }
  TYLLM_ASSIGN(const std::vector<float> numbers, format::ToFloats(name, piece));
  TYLLM_ASSIGN(const std::vector<std::uint16_t> converted, ToHalf(name, numbers));
  std::ranges::copy(converted, halves.begin());
  return OkStatus();
}

}  // namespace

Result<std::vector<std::uint16_t>> ToHalf(std::string_view name, const format::TensorView& tensor,
                                          tensor::TaskLanes& lanes) {
  const auto numbers = static_cast<std::size_t>(tensor.elements());
  const std::size_t width = tensor.bytes.size() / std::max<std::size_t>(1, numbers);
  std::vector<std::uint16_t> halves(numbers);
  std::vector<Status> statuses((numbers + kPiece - 1) / kPiece);
  lanes.ForEach(static_cast<std::int64_t>(statuses.size()), [&](std::int64_t i, auto&) {
    const std::size_t first = static_cast<std::size_t>(i) * kPiece;
    const std::size_t count = std::min(kPiece, numbers - first);
    format::TensorView piece = tensor;
    piece.shape = {static_cast<std::int64_t>(count)};
    piece.bytes = tensor.bytes.subspan(first * width, count * width);
    statuses[static_cast<std::size_t>(i)] =
        PieceToHalf(name, piece, std::span(halves).subspan(first, count));
  });
  for (std::size_t i = 0; i < statuses.size(); ++i) {
    if (!statuses[i].ok()) {
      return i == 0 ? statuses[i]
                    : statuses[i].Annotate("counting from number " + std::to_string(i * kPiece));
    }
  }
  return halves;
}

}  // namespace tyllm::quant
