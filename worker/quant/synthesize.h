// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "common/base/file_system.h"
#include "common/domain/progress.h"
#include "common/domain/task_options.h"
#include "common/format/json.h"
#include "worker/model/published_models.h"
#include "worker/quant/shard_plan.h"

namespace tyllm::quant {

struct SynthesisRequest {
  model::PublishedModel model;
  Path out;                 ///< must not exist
  std::int64_t layers = 0;  ///< of the decoder; 0: as many as the model has
  /// Layout of the linear layers; nothing: all in float16.
  std::optional<domain::QuantizedFormat> quantized;
  std::int64_t group = 128;
  /// vision_config in place of the published model's (a smaller one).
  std::optional<format::Json> vision;
  std::uint64_t shard_bytes = kDefaultShardBytes;
};

struct SynthesisReport {
  std::string model;
  std::int64_t layers = 0;
  std::int64_t parameters = 0;         ///< of the language model
  std::int64_t visual_parameters = 0;  ///< of the visual tower
  std::int64_t tensors = 0;
  std::int64_t weight_files = 0;
  std::int64_t bytes = 0;         ///< of weights
  std::int64_t buffer_bytes = 0;  ///< memory for tensors, whatever the size of the model
};

/// The published model of this name (any case of letters); kNotFound lists them.
Result<model::PublishedModel> FindPublishedModel(std::string_view name);

/// Writes a model directory of a published model's shape with random weights, in the hub's form:
/// config.json, safetensors files with an index where there are several, and a tokenizer that loads
/// (MakeTokenizer). For tests and benchmarks at full size. Tensors go to the disk piece by piece.
/// The same request gives the same bytes everywhere. Weights are normal with a deviation of 1 /
/// sqrt(inputs), those that write into the residual stream 1 / sqrt(2 layers) of that, norms near
/// 1, so that hidden states and logits are of the order of 1. The folder appears only when it is
/// complete.
Result<SynthesisReport> Synthesize(const SynthesisRequest& request, domain::ProgressSink& progress,
                                   FileSystem& files = LocalFileSystem());

std::string ReportText(const SynthesisReport& report);

}  // namespace tyllm::quant

template <>
struct tyllm::format::Members<tyllm::quant::SynthesisReport> {
  using R = tyllm::quant::SynthesisReport;
  static constexpr auto kTable = std::tuple{
      Member{"model", &R::model},           Member{"layers", &R::layers},
      Member{"parameters", &R::parameters}, Member{"visual_parameters", &R::visual_parameters},
      Member{"tensors", &R::tensors},       Member{"weight_files", &R::weight_files},
      Member{"bytes", &R::bytes},           Member{"buffer_bytes", &R::buffer_bytes},
  };
};
