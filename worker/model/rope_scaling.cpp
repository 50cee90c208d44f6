// SPDX-License-Identifier: Apache-2.0
#include "worker/model/rope_scaling.h"

#include <numbers>

namespace tyllm::model {

float Llama3Scaling::Scaled(float frequency) const {
  const auto positions = static_cast<float>(original_positions);
  const auto low = static_cast<float>(low_frequency_factor);
  const auto high = static_cast<float>(high_frequency_factor);
  const auto divisor = static_cast<float>(factor);
  const float wavelength = 2.0F * std::numbers::pi_v<float> / frequency;
  if (wavelength < positions / high) {
    return frequency;
  }
  if (wavelength > positions / low) {
    return frequency / divisor;
  }
  const float smooth = (positions / wavelength - low) / (high - low);
  return (1.0F - smooth) * frequency / divisor + smooth * frequency;
}

}  // namespace tyllm::model
