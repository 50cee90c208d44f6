// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>

#include "common/format/json.h"
#include "worker/model/checkpoint_format.h"

namespace tyllm::evaluate {

/// How well one model predicts the text.
struct ModelScore {
  std::string name;  ///< of its folder
  model::CheckpointFormat format = model::CheckpointFormat::kFloat;
  std::int64_t group_size = 0;  ///< 0 when nothing is quantized
  double nll = 0.0;             ///< mean negative log-likelihood of a predicted token, in nats
  double perplexity = 0.0;      ///< exp(nll)

  bool operator==(const ModelScore&) const = default;
};

/// The text and how it was cut.
struct TextScope {
  std::string name;    ///< of its file
  std::string sha256;  ///< of its bytes
  std::int64_t tokens = 0;
  std::int64_t window = 0;
  std::int64_t windows = 0;
  std::int64_t predictions = 0;

  bool operator==(const TextScope&) const = default;
};

/// What an evaluation found; evaluation.json (docs/formats/evaluation.md).
struct Report {
  std::string format = "tyllm-evaluation";
  std::int64_t version = 1;
  TextScope text;
  ModelScore model;
  // Of the comparison with a reference, where one was given:
  std::optional<ModelScore> reference;
  std::optional<double> perplexity_increase;  ///< model / reference - 1
  std::optional<double> kl_divergence;        ///< mean of KL(reference || model), in nats
  std::optional<double> top1_agreement;       ///< share of places where both like one token best
  std::string device;
  double seconds = 0.0;
  double tokens_per_second = 0.0;  ///< of text, through all the models that ran

  bool operator==(const Report&) const = default;
};

}  // namespace tyllm::evaluate

template <>
struct tyllm::format::Members<tyllm::evaluate::ModelScore> {
  using S = tyllm::evaluate::ModelScore;
  static constexpr auto kTable =
      std::tuple{Member{"name", &S::name, true}, Member{"format", &S::format, true},
                 Member{"group_size", &S::group_size}, Member{"nll", &S::nll, true},
                 Member{"perplexity", &S::perplexity, true}};
};

template <>
struct tyllm::format::Members<tyllm::evaluate::TextScope> {
  using S = tyllm::evaluate::TextScope;
  static constexpr auto kTable = std::tuple{
      Member{"name", &S::name, true},       Member{"sha256", &S::sha256, true},
      Member{"tokens", &S::tokens, true},   Member{"window", &S::window, true},
      Member{"windows", &S::windows, true}, Member{"predictions", &S::predictions, true}};
};

template <>
struct tyllm::format::Members<tyllm::evaluate::Report> {
  using R = tyllm::evaluate::Report;
  static constexpr auto kTable = std::tuple{
      Member{"format", &R::format, true},
      Member{"version", &R::version, true},
      Member{"text", &R::text, true},
      Member{"model", &R::model, true},
      Member{"reference", &R::reference},
      Member{"perplexity_increase", &R::perplexity_increase},
      Member{"kl_divergence", &R::kl_divergence},
      Member{"top1_agreement", &R::top1_agreement},
      Member{"device", &R::device},
      Member{"seconds", &R::seconds},
      Member{"tokens_per_second", &R::tokens_per_second},
  };
};
