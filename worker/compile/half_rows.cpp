// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/half_rows.h"

#include <cmath>
#include <cstring>

#include "common/format/float16.h"

namespace tyllm::compile {
namespace {

template <typename T>
T Load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

constexpr std::uint16_t kExponent = 0x7c00;

}  // namespace

Result<HalfRows> HalfRows::Open(const model::Checkpoint& checkpoint, const std::string& module) {
  const std::string name = module + ".weight";
  TYLLM_ASSIGN(const format::TensorView view, checkpoint.Find(name));
  if (view.shape.size() != 2) {
    return InvalidArgument("tensor " + name + " has " + std::to_string(view.shape.size()) +
                           " dimensions, expected a matrix of F16, BF16 or F32");
  }
  return OpenTensor(checkpoint, name);
}

Result<HalfRows> HalfRows::OpenTensor(const model::Checkpoint& checkpoint,
                                      const std::string& name) {
  TYLLM_ASSIGN(format::TensorView view, checkpoint.Find(name));
  const bool is_float = view.dtype == format::DType::kF16 || view.dtype == format::DType::kBF16 ||
                        view.dtype == format::DType::kF32;
  if (!is_float || view.shape.size() < 2) {
    return InvalidArgument("tensor " + name + " has dtype " +
                           std::string(format::kDTypeNames.Name(view.dtype)) +
                           ", expected a matrix of F16, BF16 or F32");
  }
  const std::int64_t rows = view.shape[0];
  view.shape = {rows, rows == 0 ? 0 : view.elements() / rows};
  return HalfRows(name, std::move(view));
}

Status HalfRows::Read(std::int64_t r, std::int64_t first, std::span<std::uint16_t> out) const {
  const auto size = static_cast<std::int64_t>(format::SizeOf(view_.dtype));
  const std::byte* const row = view_.bytes.data() + (r * columns() + first) * size;
  if (view_.dtype == format::DType::kF16) {
    std::memcpy(out.data(), row, out.size_bytes());
    return OkStatus();
  }
  const bool is_brain = view_.dtype == format::DType::kBF16;
  for (std::size_t c = 0; c < out.size(); ++c) {
    const float value = is_brain ? format::BFloat16ToFloat(Load<std::uint16_t>(row + 2 * c))
                                 : Load<float>(row + 4 * c);
    out[c] = format::FloatToHalf(value);
    if ((out[c] & kExponent) == kExponent && std::isfinite(value)) {
      return InvalidArgument("tensor " + name_ + " holds " + std::to_string(value) + " in row " +
                             std::to_string(r) +
                             ", which binary16 does not reach (65504); quantize this layer");
    }
  }
  return OkStatus();
}

}  // namespace tyllm::compile
