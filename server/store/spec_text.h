// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <tuple>
#include <type_traits>

#include "common/domain/job.h"
#include "common/format/json_text.h"

namespace tyllm::server::store {

/// Whether a kind of job or task reads a group of options.
constexpr bool Reads(domain::TaskKind kind, const domain::QuantizeOptions& /*group*/) {
  return kind == domain::TaskKind::kQuantize;
}

constexpr bool Reads(domain::TaskKind kind, const domain::ConvertOptions& /*group*/) {
  return kind == domain::TaskKind::kConvert;
}

constexpr bool Reads(domain::TaskKind kind, const domain::EvaluateOptions& /*group*/) {
  return kind == domain::TaskKind::kEvaluate;
}

constexpr bool Reads(domain::TaskKind kind, const domain::CompileOptions& /*group*/) {
  return kind == domain::TaskKind::kCompileDie || kind == domain::TaskKind::kAssemble;
}

constexpr bool Reads(domain::JobKind kind, const domain::QuantizeOptions& /*group*/) {
  return kind == domain::JobKind::kQuantize || kind == domain::JobKind::kPipeline;
}

constexpr bool Reads(domain::JobKind kind, const domain::ConvertOptions& /*group*/) {
  return kind == domain::JobKind::kConvert || kind == domain::JobKind::kPipeline;
}

constexpr bool Reads(domain::JobKind kind, const domain::EvaluateOptions& /*group*/) {
  return kind == domain::JobKind::kEvaluate || kind == domain::JobKind::kPipeline;
}

constexpr bool Reads(domain::JobKind kind, const domain::CompileOptions& /*group*/) {
  return kind == domain::JobKind::kCompile || kind == domain::JobKind::kPipeline;
}

template <typename T>
concept OptionGroup =
    std::is_same_v<T, domain::QuantizeOptions> || std::is_same_v<T, domain::ConvertOptions> ||
    std::is_same_v<T, domain::EvaluateOptions> || std::is_same_v<T, domain::CompileOptions>;

/// The JSON text of a JobSpec or TaskSpec. Groups of options that its kind does not read and that
/// nobody set are left out: most of the text; so is a compiler that is not chosen. What is read is
/// written in full, so that a later version with other defaults finds what was asked for.
template <typename Spec>
std::string SpecText(const Spec& spec) {
  std::string text;
  text.reserve(format::kUsualText);
  text += '{';
  const auto add = [&](const auto& row) {
    const auto& value = spec.*(row.member);
    using Value = std::remove_cvref_t<decltype(value)>;
    if constexpr (std::is_same_v<Spec, domain::TaskSpec> && std::is_same_v<Value, std::string>) {
      if (row.member == &domain::TaskSpec::compiler && value.empty()) {
        return;
      }
    }
    if constexpr (OptionGroup<Value>) {
      static const Value kUnset{};
      if (!Reads(spec.kind, value) && value == kUnset) {
        return;
      }
    }
    format::AppendCompactMember(row.key, value, text);
  };
  std::apply([&](const auto&... row) { (add(row), ...); }, format::Members<Spec>::kTable);
  return text + "}";
}

}  // namespace tyllm::server::store
