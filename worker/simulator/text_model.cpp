// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/text_model.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "worker/artifact/artifact.h"
#include "worker/forward/generator.h"
#include "worker/forward/visual_prompt.h"
#include "worker/simulator/loaded_tower.h"

namespace tyllm::simulator {

namespace {

class CompiledModel final : public TextModel {
 public:
  static Result<std::unique_ptr<TextModel>> Open(const TextModelOptions& options) {
    TYLLM_ASSIGN(LoadedArtifact loaded,
                 LoadedArtifact::Load(options.directory, options.engine, Residency::kCopied));
    auto model = std::make_unique<CompiledModel>(std::move(loaded), options.chunks);
    model->exact_images_ = options.exact_images;
    if (model->loaded_.vision() != nullptr) {
      TYLLM_ASSIGN(model->tower_,
                   LoadedTower::Load(model->loaded_.artifact().directory, options.threads));
    }
    TYLLM_ASSIGN(Session session, Session::Open(model->loaded_, {options.chunks, options.threads}));
    model->session_.emplace(std::move(session));
    return std::unique_ptr<TextModel>(std::move(model));
  }

  CompiledModel(LoadedArtifact loaded, std::vector<std::int64_t> chunks)
      : loaded_(std::move(loaded)),
        buckets_(chunks.empty() ? loaded_.artifact().buffers.seq_lens : std::move(chunks)) {}

  std::string name() const override {
    return std::to_string(loaded_.dies()) + (loaded_.dies() == 1 ? " die, " : " dies, ") +
           std::string(kEngineNames.Name(loaded_.engine()));
  }

  Path directory() const override { return loaded_.artifact().directory; }

  const model::VisionShape* vision() const override { return loaded_.vision(); }

  Result<vision::LoadedMedium> Load(const vision::Medium& medium) const override {
    if (!tower_) {
      return FailedPrecondition(directory().string() +
                                " was compiled as a model of text: it takes no images or videos");
    }
    const artifact::VisualConfig& config = tower_->config();
    const bool takes_videos = config.modality == domain::Modality::kVideo;
    if (medium.is_video != takes_videos) {
      return InvalidArgument(
          medium.path.string() + " is " + (medium.is_video ? "a video" : "an image") +
          ", and the model was compiled for " + (takes_videos ? "videos" : "images") +
          "; compile it with the other --modality");
    }
    return vision::LoadMedium(
        directory(), *loaded_.vision(), medium,
        vision::FixedSize{{config.width, config.height}, config.frames, exact_images_});
  }

  Result<Continuation> Continue(const GenerateRequest& request, const Clock& clock,
                                const OnToken& on_token) override {
    TYLLM_TRY(Look(request));
    const std::int64_t known = RewindTo(request.prompt);
    GenerateRequest rest{{request.prompt.begin() + known, request.prompt.end()},
                         request.max_tokens,
                         request.stop,
                         request.sampling};
    Continuation out;
    for (const Chunk& chunk : PlanChunks(buckets_, known, std::ssize(rest.prompt), Rows::kLast,
                                         loaded_.artifact().buffers.visual)) {
      out.chunks.push_back(chunk.tokens);
    }
    TYLLM_ASSIGN(out.generated, Generate(*session_, rest, clock, on_token));
    cached_ = request.prompt;
    cached_.insert(cached_.end(), out.generated.tokens.begin(), out.generated.tokens.end());
    cached_.resize(static_cast<std::size_t>(session_->history()));
    return out;
  }

 private:
  bool HasVisualTokens(const std::vector<std::int32_t>& prompt) const {
    const model::VisionShape* const shape = loaded_.vision();
    return shape != nullptr && std::ranges::any_of(prompt, [&](std::int32_t id) {
             return id == shape->image_token || id == shape->video_token;
           });
  }

  /// Runs the tower over the prompt's media. What is cached of a prompt with other media is
  /// forgotten.
  Status Look(const GenerateRequest& request) {
    if (request.media.empty() && !looked_ && !HasVisualTokens(request.prompt)) {
      return OkStatus();
    }
    if (!tower_) {
      return FailedPrecondition(directory().string() +
                                " was compiled as a model of text: it takes no images or videos");
    }
    std::vector<model::VisualItem> items;
    std::vector<forward::VisualFeatures> features;
    for (const vision::LoadedMedium& medium : request.media) {
      items.push_back(medium.item);
      TYLLM_ASSIGN(features.emplace_back(), tower_->Run(medium.patches));
    }
    TYLLM_ASSIGN(SeenSequence seen,
                 SeenSequence::Make(*loaded_.vision(), request.prompt, items, features));
    session_->See(std::move(seen));
    cached_.clear();
    looked_ = !request.media.empty();
    return OkStatus();
  }

  /// Keeps of the cache what `prompt` begins with, but never all of it: its last token gives the
  /// first logits.
  std::int64_t RewindTo(const std::vector<std::int32_t>& prompt) {
    const auto [mine, theirs] =
        std::mismatch(cached_.begin(), cached_.end(), prompt.begin(), prompt.end());
    const std::int64_t known =
        std::max<std::int64_t>(0, std::min(mine - cached_.begin(), std::ssize(prompt) - 1));
    session_->Rewind(known);
    return known;
  }

  LoadedArtifact loaded_;
  std::vector<std::int64_t> buckets_;
  std::optional<Session> session_;  ///< refers to loaded_
  std::optional<LoadedTower> tower_;
  bool exact_images_ = false;
  bool looked_ = false;  ///< what is cached has images in it
  std::vector<std::int32_t> cached_;
};

class FloatModel final : public TextModel {
 public:
  static Result<std::unique_ptr<TextModel>> Open(const TextModelOptions& options) {
    if (!options.chunks.empty()) {
      return InvalidArgument("--chunks is for compiled models; " + options.directory.string() +
                             " is a model directory");
    }
    TYLLM_ASSIGN(forward::Model model, forward::OpenModel(options.directory));
    TYLLM_ASSIGN(auto backend, tensor::MakeBackend("cpu", static_cast<int>(options.threads)));
    return std::unique_ptr<TextModel>(
        std::make_unique<FloatModel>(options.directory, std::move(model), std::move(backend)));
  }

  FloatModel(Path directory, forward::Model model, std::unique_ptr<tensor::Backend> backend)
      : directory_(std::move(directory)),
        model_(std::move(model)),
        backend_(std::move(backend)),
        generator_(model_, *backend_) {
    Result<forward::VisualPrompter> prompter = forward::VisualPrompter::Open(model_);
    if (prompter.ok()) {
      prompter_.emplace(*std::move(prompter));
    }
  }

  std::string name() const override { return "float32"; }

  const model::VisionShape* vision() const override {
    return prompter_ ? &prompter_->tower().shape : nullptr;
  }

  Result<vision::LoadedMedium> Load(const vision::Medium& medium) const override {
    if (!prompter_) {
      return FailedPrecondition(directory_.string() +
                                " is a model of text: it takes no images or videos");
    }
    TYLLM_ASSIGN(std::vector<vision::LoadedMedium> loaded, prompter_->Load({&medium, 1}));
    return std::move(loaded.front());
  }

  Path directory() const override { return directory_; }

  Result<Continuation> Continue(const GenerateRequest& request, const Clock& clock,
                                const OnToken& on_token) override {
    Continuation out;
    out.chunks = {std::ssize(request.prompt)};
    Generated& made = out.generated;
    const auto begin = clock.Now();
    std::optional<Clock::Steady> first;
    TYLLM_ASSIGN(const std::shared_ptr<const forward::VisualInput> visual, Look(request));
    TYLLM_ASSIGN(made.tokens, generator_.Generate({request.prompt, request.max_tokens, request.stop,
                                                   request.sampling, visual},
                                                  [&](std::int32_t token) {
                                                    first = first.value_or(clock.Now());
                                                    if (on_token) {
                                                      on_token(token);
                                                    }
                                                  }));
    const auto end = clock.Now();
    made.ending =
        std::ssize(made.tokens) < request.max_tokens ? Ending::kStopToken : Ending::kMaxTokens;
    made.prefill_seconds = std::chrono::duration<double>(first.value_or(end) - begin).count();
    made.decode_seconds = std::chrono::duration<double>(end - first.value_or(end)).count();
    made.decoded = std::max<std::int64_t>(std::ssize(made.tokens) - 1, 0);
    return out;
  }

 private:
  Result<std::shared_ptr<const forward::VisualInput>> Look(const GenerateRequest& request) const {
    if (request.media.empty()) {
      return std::shared_ptr<const forward::VisualInput>();
    }
    if (!prompter_) {
      return FailedPrecondition(directory_.string() +
                                " is a model of text: it takes no images or videos");
    }
    TYLLM_ASSIGN(forward::VisualSequence sequence,
                 prompter_->Read({request.prompt, request.media}, *backend_));
    return std::move(sequence.visual);
  }

  Path directory_;
  forward::Model model_;
  std::unique_ptr<tensor::Backend> backend_;
  forward::Generator generator_;
  std::optional<forward::VisualPrompter> prompter_;  ///< of a model that sees
};

}  // namespace

Result<std::unique_ptr<TextModel>> TextModel::Open(const TextModelOptions& options) {
  return artifact::IsArtifact(options.directory) ? CompiledModel::Open(options)
                                                 : FloatModel::Open(options);
}

}  // namespace tyllm::simulator
