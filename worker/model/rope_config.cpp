// SPDX-License-Identifier: Apache-2.0
#include "worker/model/rope_config.h"

#include <cmath>

namespace tyllm::model {

namespace {

std::string Key(std::string_view what, std::string_view key) {
  return std::string(what) + "." + std::string(key);
}

Result<double> NumberOf(const std::optional<double>& value, std::string_view what,
                        std::string_view key) {
  if (!value) {
    return InvalidArgument(std::string(what) + " has no key '" + std::string(key) +
                           "', which scaling of type 'llama3' needs; add it");
  }
  if (!std::isfinite(*value) || *value <= 0.0 || *value > 1e6) {
    return InvalidArgument(Key(what, key) + " is " + std::to_string(*value) +
                           ", expected more than 0 and at most 1000000");
  }
  return *value;
}

Result<Llama3Scaling> ReadLlama3(const RopeConfig& config, std::string_view what) {
  constexpr std::int64_t kMostPositions = 1 << 27;
  Llama3Scaling scaling;
  TYLLM_ASSIGN(scaling.factor, NumberOf(config.factor, what, "factor"));
  TYLLM_ASSIGN(scaling.low_frequency_factor,
               NumberOf(config.low_freq_factor, what, "low_freq_factor"));
  TYLLM_ASSIGN(scaling.high_frequency_factor,
               NumberOf(config.high_freq_factor, what, "high_freq_factor"));
  if (scaling.factor < 1.0) {
    return InvalidArgument(Key(what, "factor") + " is " + std::to_string(scaling.factor) +
                           ", expected 1 or more");
  }
  if (scaling.high_frequency_factor <= scaling.low_frequency_factor) {
    return InvalidArgument(Key(what, "high_freq_factor") + " is " +
                           std::to_string(scaling.high_frequency_factor) +
                           ", expected more than low_freq_factor, which is " +
                           std::to_string(scaling.low_frequency_factor));
  }
  scaling.original_positions = config.original_max_position_embeddings.value_or(0);
  if (scaling.original_positions < 1 || scaling.original_positions > kMostPositions) {
    return InvalidArgument(Key(what, "original_max_position_embeddings") + " is " +
                           std::to_string(scaling.original_positions) +
                           " or missing, expected 1 to " + std::to_string(kMostPositions));
  }
  return scaling;
}

Status CheckSections(const RopeConfig& config, std::int64_t head_size, std::string_view what) {
  if (!config.mrope_section) {
    return OkStatus();
  }
  std::int64_t sum = 0;
  bool sane = config.mrope_section->size() == 3;
  for (const std::int64_t section : *config.mrope_section) {
    sane = sane && section >= 0 && section <= head_size;
    sum += sane ? section : 0;
  }
  if (sane && 2 * sum == head_size) {
    return OkStatus();
  }
  return InvalidArgument(Key(what, "mrope_section") + " is " +
                         format::CompactJson(format::ToJson(*config.mrope_section)).substr(0, 80) +
                         ", expected three numbers whose sum is half the head size of " +
                         std::to_string(head_size));
}

/// Nothing: not scaled.
Result<std::optional<Llama3Scaling>> ReadScaling(const RopeConfig& config, std::int64_t head_size,
                                                 std::string_view what) {
  if (config.partial_rotary_factor.value_or(1.0) != 1.0) {
    return Unimplemented(Key(what, "partial_rotary_factor") + " is " +
                         std::to_string(*config.partial_rotary_factor) + ", supported is only 1");
  }
  TYLLM_TRY(CheckSections(config, head_size, what));
  const std::string type = config.rope_type.value_or(config.type.value_or("default"));
  if (type == "llama3") {
    TYLLM_ASSIGN(const Llama3Scaling scaling, ReadLlama3(config, what));
    return std::optional(scaling);
  }
  if (type != "default" && type != "mrope") {
    return Unimplemented(Key(what, config.rope_type ? "rope_type" : "type") + " is '" +
                         type.substr(0, 80) +
                         "', supported are 'default' (no scaling), 'llama3' and 'mrope'");
  }
  return std::optional<Llama3Scaling>();
}

Result<double> ReadTheta(const RopeKeys& keys, const RopeConfig& form, std::string_view what) {
  const std::optional<double> theta = form.rope_theta ? form.rope_theta : keys.rope_theta;
  if (!theta) {
    return InvalidArgument(std::string(what) +
                           " has neither 'rope_theta' nor 'rope_parameters.rope_theta'; add one");
  }
  if (!(*theta > 1.0 && *theta < 1e30)) {
    return InvalidArgument(Key(what, "rope_theta") + " is " + std::to_string(*theta) +
                           ", expected more than 1 and less than 1e30");
  }
  return *theta;
}

/// In one spelling, theta and all, and without what says nothing.
RopeConfig Normalized(RopeConfig form, const std::optional<double>& theta) {
  form.rope_theta = form.rope_theta ? form.rope_theta : theta;
  form.rope_type = form.rope_type.value_or(form.type.value_or("default"));
  form.rope_type = *form.rope_type == "mrope" ? "default" : *form.rope_type;
  form.type.reset();
  form.partial_rotary_factor = form.partial_rotary_factor.value_or(1.0);
  return form;
}

/// The form that counts: transformers takes `rope_scaling` where it says anything.
Result<std::string_view> ChooseForm(const RopeKeys& keys, std::string_view what) {
  const bool has_scaling = keys.rope_scaling && *keys.rope_scaling != RopeConfig();
  const bool has_parameters = keys.rope_parameters && *keys.rope_parameters != RopeConfig();
  if (has_scaling && has_parameters &&
      Normalized(*keys.rope_scaling, keys.rope_theta) !=
          Normalized(*keys.rope_parameters, keys.rope_theta)) {
    return InvalidArgument(Key(what, "rope_scaling") + " and " + Key(what, "rope_parameters") +
                           " say different things of the same rope, expected one of them, or both "
                           "alike; take away the one that is wrong");
  }
  return std::string_view(has_scaling ? "rope_scaling" : "rope_parameters");
}

}  // namespace

Result<Rope> ReadRope(const RopeKeys& keys, std::int64_t head_size, std::string_view what) {
  TYLLM_ASSIGN(const std::string_view key, ChooseForm(keys, what));
  const RopeConfig form =
      (key == "rope_scaling" ? keys.rope_scaling : keys.rope_parameters).value_or(RopeConfig());
  Rope rope;
  TYLLM_ASSIGN(rope.theta, ReadTheta(keys, form, what));
  TYLLM_ASSIGN(rope.scaling, ReadScaling(form, head_size, Key(what, key)));
  return rope;
}

}  // namespace tyllm::model
