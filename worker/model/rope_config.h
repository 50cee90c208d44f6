// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/format/json.h"
#include "worker/model/rope_scaling.h"

namespace tyllm::model {

/// `rope_scaling` of configurations up to transformers 4, `rope_parameters` of transformers 5.
struct RopeConfig {
  std::optional<double> rope_theta;
  std::optional<std::string> rope_type;
  std::optional<std::string> type;  ///< older spelling of rope_type
  std::optional<double> partial_rotary_factor;
  std::optional<double> factor;
  std::optional<double> low_freq_factor;
  std::optional<double> high_freq_factor;
  std::optional<std::int64_t> original_max_position_embeddings;
  /// Frequencies that turn with time, height and width. All three are the same position in a text,
  /// so that text is turned as if there were no sections.
  std::optional<std::vector<std::int64_t>> mrope_section;

  bool operator==(const RopeConfig&) const = default;
};

/// All that config.json says of rope: theta at the top, and either form of the rest. Where both
/// are there they must say the same, and their theta counts before that of the top, as in
/// transformers 5.
struct RopeKeys {
  std::optional<double> rope_theta;
  std::optional<RopeConfig> rope_scaling;
  std::optional<RopeConfig> rope_parameters;
};

/// How positions turn queries and keys.
struct Rope {
  double theta = 10000.0;
  std::optional<Llama3Scaling> scaling;
};

/// Checked: kUnimplemented names a kind of scaling that no family supports. `what` names the file.
Result<Rope> ReadRope(const RopeKeys& keys, std::int64_t head_size, std::string_view what);

}  // namespace tyllm::model

template <>
struct tyllm::format::Members<tyllm::model::RopeConfig> {
  using C = tyllm::model::RopeConfig;
  static constexpr auto kTable =
      std::tuple{Member{"rope_theta", &C::rope_theta},
                 Member{"rope_type", &C::rope_type},
                 Member{"type", &C::type},
                 Member{"partial_rotary_factor", &C::partial_rotary_factor},
                 Member{"factor", &C::factor},
                 Member{"low_freq_factor", &C::low_freq_factor},
                 Member{"high_freq_factor", &C::high_freq_factor},
                 Member{"original_max_position_embeddings", &C::original_max_position_embeddings},
                 Member{"mrope_section", &C::mrope_section}};
};
