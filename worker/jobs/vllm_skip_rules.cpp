// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "worker/jobs/lint.h"
#include "worker/quant/module_patterns.h"

// Which layers vLLM takes for quantized.
namespace tyllm::jobs::vllm {

namespace {

using model::CheckpointFormat;

constexpr std::string_view kVisual = "visual";

std::vector<std::string> Entries(const LintSubject& subject) {
  if (subject.quantization == nullptr) {
    return {};
  }
  const bool compressed = subject.checkpoint.format() == CheckpointFormat::kCompressedTensors;
  const auto list = subject.quantization->find(compressed ? "ignore" : "modules_to_not_convert");
  std::vector<std::string> entries;
  if (list != subject.quantization->end() && list->is_array()) {
    for (const format::Json& entry : *list) {
      if (entry.is_string()) {
        entries.push_back(entry.get<std::string>());
      }
    }
  }
  return entries;
}

/// What vLLM calls a module of a model that sees.
std::string MappedName(const std::string& name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kPrefixes = {{
      {"model.language_model.", "language_model.model."},
      {"model.visual.", "visual."},
      {"lm_head.", "language_model.lm_head."},
      {"model.", "language_model.model."},
  }};
  for (const auto& [from, to] : kPrefixes) {
    if (name.starts_with(from)) {
      return std::string(to) + name.substr(from.size());
    }
  }
  return name;
}

/// AWQ: an entry found anywhere in the name. compressed-tensors: the whole name, or an expression
/// after "re:" that its beginning matches.
class Entry {
 public:
  Entry(std::string text, CheckpointFormat format) : text_(std::move(text)) {
    exact_ = format == CheckpointFormat::kCompressedTensors;
    if (exact_ && text_.starts_with("re:")) {
      const std::vector<std::string> expression{"^(?:" + text_.substr(3) + ")"};
      if (auto compiled = quant::ModulePatterns::Compile(expression); compiled.ok()) {
        pattern_.emplace(*std::move(compiled));
      }
    }
  }

  bool Matches(const std::string& name) const {
    return MatchesOne(name) || MatchesOne(MappedName(name));
  }

  const std::string& text() const { return text_; }

 private:
  bool MatchesOne(const std::string& name) const {
    if (pattern_) {
      return pattern_->Match(name);
    }
    return exact_ ? name == text_ : name.find(text_) != std::string::npos;
  }

  std::string text_;
  bool exact_ = false;
  std::optional<quant::ModulePatterns> pattern_;
};

/// "; it ends in a layer's number ..." for entries like model.layers.1, which is in
/// model.layers.10.
std::string LayerHint(const std::string& entry) {
  return !entry.empty() && std::isdigit(static_cast<unsigned char>(entry.back())) != 0
             ? "; it ends in a layer's number and is a part of other layers' names too"
             : "";
}

void CheckEntry(const LintSubject& subject, const Entry& entry, LintFindings& findings) {
  bool hits_float = entry.Matches("lm_head") || entry.Matches("model.visual.blocks.0") ||
                    entry.Matches("visual.blocks.0");
  for (const std::string& linear : subject.linears) {
    if (!entry.Matches(linear)) {
      continue;
    }
    if (subject.checkpoint.IsQuantized(linear)) {
      findings.Error("'" + entry.text() + "' of the skip list matches " + linear +
                     ", which is quantized: vLLM would look for its float weights" +
                     LayerHint(entry.text()) + "; write the full name of each module");
      return;
    }
    hits_float = true;
  }
  if (!hits_float) {
    findings.Warning("'" + entry.text() + "' of the skip list matches no module");
  }
}

void CheckVisual(const LintSubject& subject, const std::vector<Entry>& entries,
                 LintFindings& findings) {
  const auto skips = [&](const std::string& name) {
    return std::ranges::any_of(entries, [&](const Entry& e) { return e.Matches(name); });
  };
  if (!subject.Sees()) {
    return;
  }
  if (!skips("visual.blocks.0.attn.qkv")) {
    findings.Error(
        "the skip list does not name the visual tower, which is in floating point; add "
        "\"visual\" and \"model.visual\"");
    return;
  }
  const auto has = [&](std::string_view text) {
    return std::ranges::any_of(entries, [&](const Entry& e) { return e.text() == text; });
  };
  if (subject.IsAwq() && has(kVisual) != has("model." + std::string(kVisual))) {
    findings.Warning(
        "the skip list names the visual tower in one style only; transformers 5 matches "
        "beginnings of names: write both \"visual\" and \"model.visual\"");
  }
}

}  // namespace

void CheckSkipList(const LintSubject& subject, LintFindings& findings) {
  const CheckpointFormat format = subject.checkpoint.format();
  if (subject.quantization == nullptr || format == CheckpointFormat::kGptq) {
    return;
  }
  std::vector<Entry> entries;
  for (std::string& text : Entries(subject)) {
    entries.emplace_back(std::move(text), format);
  }
  for (const Entry& entry : entries) {
    CheckEntry(subject, entry, findings);
  }
  CheckVisual(subject, entries, findings);
  for (const std::string& linear : subject.linears) {
    if (subject.checkpoint.IsQuantized(linear) ||
        std::ranges::any_of(entries, [&](const Entry& e) { return e.Matches(linear); })) {
      continue;
    }
    if (entries.empty()) {
      findings.Warning(linear +
                       " is in floating point and no skip list says so: only newer versions of "
                       "vLLM find out by themselves; list every such module");
    } else {
      findings.Error(linear +
                     " is in floating point, but the skip list does not name it, and vLLM infers "
                     "nothing where there is a list; add it");
    }
    return;  // one of them is enough to know
  }
}

void CheckFusedLayers(const LintSubject& subject, LintFindings& findings) {
  if (!subject.IsQuantized()) {
    return;
  }
  const model::ModelShape& shape = subject.checkpoint.shape();
  const model::DecoderNames& names = shape.names;
  const std::vector<std::vector<std::string_view>> sets = {{names.q, names.k, names.v},
                                                           {names.gate, names.up}};
  for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
    for (const auto& set : sets) {
      const auto quantized = std::ranges::count_if(set, [&](std::string_view module) {
        return subject.checkpoint.IsQuantized(names.InLayer(layer, module));
      });
      if (quantized != 0 && quantized != std::ssize(set)) {
        findings.Error(names.Layer(layer) + ": " + std::to_string(quantized) + " of " +
                       std::to_string(set.size()) + " layers that vLLM computes as one are " +
                       "quantized (" + std::string(set.front()) +
                       " and its siblings), expected all or none; quantize with --keep-float for "
                       "all of them");
      }
    }
  }
}

}  // namespace tyllm::jobs::vllm
