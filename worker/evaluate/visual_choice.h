// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "common/domain/progress.h"
#include "common/format/json.h"
#include "worker/evaluate/participant.h"

namespace tyllm::evaluate {

struct VisualChoiceRequest {
  Path model;
  std::optional<Path> reference;  ///< usually the float model
  Path questions;
  std::int64_t most = 0;  ///< questions; 0: all
  std::string device = "auto";
  int threads = 0;
};

/// How many questions were answered rightly.
struct VisualAccuracy {
  std::string name;  ///< category, or the model's for all
  std::int64_t questions = 0;
  std::int64_t right = 0;
  double accuracy = 0;

  bool operator==(const VisualAccuracy&) const = default;
};

/// Results of one model.
struct VisualScore {
  std::string model;
  VisualAccuracy all;
  std::vector<VisualAccuracy> categories;  ///< by name

  bool operator==(const VisualScore&) const = default;
};

struct VisualChoiceReport {
  std::string questions;  ///< file name
  VisualScore model;
  std::optional<VisualScore> reference;
  /// Share of questions that both answer alike.
  std::optional<double> agreement;
  std::optional<double> accuracy_drop;  ///< reference - model
  double seconds = 0;

  bool operator==(const VisualChoiceReport&) const = default;
};

/// What can be found wrong before any model runs: a file of questions or images that are not there,
/// a model that does not see or has no letters to answer with.
Status CheckVisualChoices(const Path& questions, std::int64_t most, Participants models);

/// A report without results: every figure is there, and 0.
VisualChoiceReport EmptyVisualReport(bool with_reference);

/// Asks each model each question about its image, in its chat format, and takes the letter that it
/// likes best as the first token of its answer. Computed in float32, some questions at a time.
/// Reports the stage "questions".
Result<VisualChoiceReport> EvaluateVisualChoices(const VisualChoiceRequest& request,
                                                 domain::ProgressSink& progress);

/// A few lines for people.
std::string ReportText(const VisualChoiceReport& report);

}  // namespace tyllm::evaluate

template <>
struct tyllm::format::Members<tyllm::evaluate::VisualAccuracy> {
  using A = tyllm::evaluate::VisualAccuracy;
  static constexpr auto kTable =
      std::tuple{Member{"name", &A::name}, Member{"questions", &A::questions},
                 Member{"right", &A::right}, Member{"accuracy", &A::accuracy}};
};

template <>
struct tyllm::format::Members<tyllm::evaluate::VisualScore> {
  using S = tyllm::evaluate::VisualScore;
  static constexpr auto kTable = std::tuple{Member{"model", &S::model}, Member{"all", &S::all},
                                            Member{"categories", &S::categories}};
};

template <>
struct tyllm::format::Members<tyllm::evaluate::VisualChoiceReport> {
  using R = tyllm::evaluate::VisualChoiceReport;
  static constexpr auto kTable =
      std::tuple{Member{"questions", &R::questions},         Member{"model", &R::model},
                 Member{"reference", &R::reference},         Member{"agreement", &R::agreement},
                 Member{"accuracy_drop", &R::accuracy_drop}, Member{"seconds", &R::seconds}};
};
