// SPDX-License-Identifier: Apache-2.0
#include "worker/forward/visual_prompt.h"

#include <utility>

#include "worker/model/tokenizer.h"

namespace tyllm::forward {

std::int64_t VisualPrompt::patches() const {
  std::int64_t sum = 0;
  for (const vision::LoadedMedium& medium : media) {
    sum += medium.item.grid.patches();
  }
  return sum;
}

Result<VisualPrompter> VisualPrompter::Open(const Model& model) {
  TYLLM_ASSIGN(graph::Tower tower, OpenTower(model));
  return VisualPrompter(model, std::move(tower));
}

Result<std::vector<vision::LoadedMedium>> VisualPrompter::Load(
    std::span<const vision::Medium> media) const {
  std::vector<vision::LoadedMedium> loaded;
  for (const vision::Medium& medium : media) {
    TYLLM_ASSIGN(vision::LoadedMedium one,
                 vision::LoadMedium(model_->checkpoint.directory(), tower_.shape, medium));
    loaded.push_back(std::move(one));
  }
  return loaded;
}

Result<std::string> VisualPrompter::Write(const model::Tokenizer& tokenizer,
                                          const std::string& message,
                                          std::span<const vision::LoadedMedium> media) const {
  TYLLM_ASSIGN(const vision::VisualSpelling spelling,
               vision::SpellingOf(tower_.shape, [&](std::int32_t id) {
                 return std::string(tokenizer.BytesOf(id));
               }));
  return vision::PromptText(tower_.shape, spelling, media) + message;
}

Result<std::vector<VisualSequence>> VisualPrompter::Read(std::vector<VisualPrompt> prompts,
                                                         tensor::Backend& backend) const {
  std::vector<VisualSequence> sequences(prompts.size());
  std::vector<model::VisualPositions> positions;
  std::vector<VisualPixels> pixels;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    TYLLM_ASSIGN(sequences[i].ids,
                 vision::ExpandPlaceholders(tower_.shape, prompts[i].ids, prompts[i].media));
    std::vector<model::VisualItem> items;
    for (vision::LoadedMedium& medium : prompts[i].media) {
      items.push_back(medium.item);
      pixels.push_back({medium.item, std::move(medium.patches)});
    }
    TYLLM_ASSIGN(positions.emplace_back(),
                 model::PositionsOf(tower_.shape, sequences[i].ids, items));
  }
  std::vector<VisualFeatures> features;
  if (!pixels.empty()) {
    TYLLM_ASSIGN(features, RunTower(*model_, tower_, backend, pixels));
  }
  std::size_t first = 0;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const std::size_t count = prompts[i].media.size();
    const std::span<const VisualFeatures> own(features.data() + first, count);
    first += count;
    TYLLM_ASSIGN(VisualInput input,
                 MakeVisualInput(model_->shape(), tower_.shape, positions[i], own));
    sequences[i].visual = std::make_shared<const VisualInput>(std::move(input));
  }
  return sequences;
}

Result<VisualSequence> VisualPrompter::Read(VisualPrompt prompt, tensor::Backend& backend) const {
  std::vector<VisualPrompt> prompts;
  prompts.push_back(std::move(prompt));
  TYLLM_ASSIGN(std::vector<VisualSequence> sequences, Read(std::move(prompts), backend));
  return std::move(sequences.front());
}

}  // namespace tyllm::forward
