// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/synthesize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <utility>

#include "common/base/staging.h"
#include "worker/model/linear_formats.h"
#include "worker/model/quantization_config.h"
#include "worker/model/tensor_inventory.h"
#include "worker/model/visual_tower.h"
#include "worker/quant/made_tokenizer.h"
#include "worker/quant/model_config.h"
#include "worker/quant/random_numbers.h"
#include "worker/quant/written_format.h"

namespace tyllm::quant {

namespace {

constexpr std::size_t kPieceBytes = 1U << 22U;
/// Deviation of a code of 4 bits, all equally likely, from a zero point of 7 or 8.
constexpr double kCodeDeviation = 4.637;

/// What the elements of a tensor are.
struct Content {
  enum class Kind : std::uint8_t {
    kNormal,  ///< F16 around `mean`
    kScales,  ///< F16, three to five quarters of `deviation`
    kCodes,   ///< any nibbles
    kZeros,   ///< nibbles of 7 and 8
    kSizes,   ///< `sizes`
  };

  Kind kind = Kind::kNormal;
  double mean = 0.0;
  double deviation = 0.0;
  std::vector<std::int64_t> sizes;
};

struct MadeTensor {
  format::TensorSpec spec;
  Content content;
};

/// All tensors of a made-up model, in the order of their use.
class Contents {
 public:
  Contents(const model::ModelShape& shape, const model::LinearFormat* format, std::int64_t group)
      : shape_(shape), format_(format), group_(group) {}

  Status AddLanguageModel() {
    for (const model::NeededTensor& needed : model::NeededTensors(shape_)) {
      if (needed.is_linear && format_ != nullptr && needed.name != shape_.names.head) {
        TYLLM_TRY(AddQuantized(needed));
      } else {
        AddFloat(needed, needed.is_linear ? ".weight" : "");
      }
    }
    return OkStatus();
  }

  void AddFloat(const model::NeededTensor& needed, const char* suffix) {
    const std::string name = needed.name + suffix;
    tensors_.push_back({{name, format::DType::kF16, needed.shape},
                        {Content::Kind::kNormal, MeanOf(name), DeviationOf(needed), {}}});
  }

  std::vector<MadeTensor> Take() && { return std::move(tensors_); }

 private:
  Status AddQuantized(const model::NeededTensor& needed) {
    const model::LinearSize size{needed.shape[0], needed.shape[1], group_};
    if (const Status fits = format_->check_size(size); !fits.ok()) {
      return fits.Annotate("linear layer '" + needed.name + "'");
    }
    const model::LinearTraits traits{.group = group_};
    const double step = DeviationOf(needed) / kCodeDeviation;
    for (const model::PartSpec& part : format_->parts(size, traits)) {
      if (!part.required) {
        continue;
      }
      tensors_.push_back({{needed.name + std::string(part.key), part.dtypes.front(), part.shape},
                          {KindOf(part.part), 0.0, step, {size.out, size.in}}});
    }
    return OkStatus();
  }

  static Content::Kind KindOf(model::LinearPart part) {
    switch (part) {
      case model::LinearPart::kWeight:
        return Content::Kind::kCodes;
      case model::LinearPart::kZeros:
        return Content::Kind::kZeros;
      case model::LinearPart::kScales:
        return Content::Kind::kScales;
      case model::LinearPart::kShape:
      case model::LinearPart::kOrder:
        break;
    }
    return Content::Kind::kSizes;
  }

  static bool IsNorm(const std::string& name) {
    return name.find("norm") != std::string::npos || name.find("ln_q") != std::string::npos;
  }

  static double MeanOf(const std::string& name) {
    return IsNorm(name) && name.ends_with(".weight") ? 1.0 : 0.0;
  }

  /// Whatever has one dimension is a norm or a bias.
  double DeviationOf(const model::NeededTensor& needed) const {
    if (needed.shape.size() == 1) {
      return 0.02;
    }
    std::int64_t inputs = 1;
    for (std::size_t d = 1; d < needed.shape.size(); ++d) {
      inputs *= needed.shape[d];
    }
    const bool writes_residual =
        needed.name.ends_with(shape_.names.o) || needed.name.ends_with(shape_.names.down);
    const double share =
        writes_residual ? 1.0 / std::sqrt(2.0 * static_cast<double>(shape_.layers)) : 1.0;
    return share / std::sqrt(static_cast<double>(inputs));
  }

  const model::ModelShape& shape_;
  const model::LinearFormat* format_;
  std::int64_t group_;
  std::vector<MadeTensor> tensors_;
};

/// Makes tensors piece by piece. The tables of distributions are kept: there are few.
class PieceMaker {
 public:
  /// Bytes [first, first + size) of a tensor; `first` is a multiple of 8.
  std::span<const std::byte> Make(const MadeTensor& tensor, std::uint64_t first, std::size_t size) {
    buffer_.resize(size);
    const RandomWords random(tensor.spec.name);
    switch (tensor.content.kind) {
      case Content::Kind::kNormal:
      case Content::Kind::kScales:
        MakeHalves(tensor.content, random, first);
        break;
      case Content::Kind::kCodes:
        MakeWords(random, first, ~0ULL, 0);
        break;
      case Content::Kind::kZeros:
        MakeZeros(random, first);
        break;
      case Content::Kind::kSizes:
        std::memcpy(buffer_.data(), tensor.content.sizes.data(), size);
        break;
    }
    return buffer_;
  }

 private:
  void MakeHalves(const Content& content, const RandomWords& random, std::uint64_t first) {
    const auto key = std::tuple(content.kind, content.mean, content.deviation);
    auto known = distributions_.find(key);
    if (known == distributions_.end()) {
      known = distributions_
                  .emplace(key, content.kind == Content::Kind::kScales
                                    ? HalfDistribution::Uniform(0.75 * content.deviation,
                                                                1.25 * content.deviation)
                                    : HalfDistribution::Normal(content.mean, content.deviation))
                  .first;
    }
    known->second.Fill(
        random, first / sizeof(std::uint16_t),
        {reinterpret_cast<std::uint16_t*>(buffer_.data()), buffer_.size() / sizeof(std::uint16_t)});
  }

  /// (random & mask) + offset in every 8 bytes.
  void MakeWords(const RandomWords& random, std::uint64_t first, std::uint64_t mask,
                 std::uint64_t offset) {
    for (std::size_t i = 0; i < buffer_.size(); i += sizeof(std::uint64_t)) {
      const std::uint64_t word = (random.At((first + i) / sizeof(std::uint64_t)) & mask) + offset;
      std::memcpy(buffer_.data() + i, &word, std::min(sizeof(word), buffer_.size() - i));
    }
  }

  void MakeZeros(const RandomWords& random, std::uint64_t first) {
    MakeWords(random, first, 0x1111111111111111U, 0x7777777777777777U);
  }

  std::vector<std::byte> buffer_;
  std::map<std::tuple<Content::Kind, double, double>, HalfDistribution> distributions_;
};

class Writer {
 public:
  Writer(FileSystem& files, Path directory, domain::ProgressSink& progress)
      : files_(files), directory_(std::move(directory)), progress_(progress) {}

  Status Write(const std::vector<Shard>& shards, const std::vector<MadeTensor>& tensors) {
    for (const MadeTensor& tensor : tensors) {
      by_name_[tensor.spec.name] = &tensor;
      total_ += static_cast<std::int64_t>(tensor.spec.bytes());
    }
    for (const Shard& shard : shards) {
      TYLLM_TRY(WriteShard(shard));
    }
    return shards.size() == 1
               ? OkStatus()
               : WriteFileAtomically(files_, directory_ / "model.safetensors.index.json",
                                     IndexText(shards));
  }

  std::int64_t total() const { return total_; }

 private:
  Status WriteShard(const Shard& shard) {
    TYLLM_ASSIGN(format::SafetensorsWriter writer,
                 format::SafetensorsWriter::Create(files_, directory_ / shard.file, shard.tensors));
    for (const format::TensorSpec& spec : shard.tensors) {
      const MadeTensor& tensor = *by_name_.find(spec.name)->second;
      for (std::uint64_t at = 0; at < spec.bytes(); at += kPieceBytes) {
        const auto size = static_cast<std::size_t>(std::min(kPieceBytes, spec.bytes() - at));
        TYLLM_TRY(writer.WritePart(spec.name, at, maker_.Make(tensor, at, size)));
        done_ += static_cast<std::int64_t>(size);
        progress_.Report({"synthesize", done_, total_, "bytes", spec.name});
      }
    }
    return writer.Finish();
  }

  FileSystem& files_;
  Path directory_;
  domain::ProgressSink& progress_;
  PieceMaker maker_;
  std::map<std::string, const MadeTensor*> by_name_;
  std::int64_t done_ = 0;
  std::int64_t total_ = 0;
};

Status CheckDisk(FileSystem& files, const Path& out, std::uint64_t needed) {
  const Path folder = std::filesystem::absolute(out).parent_path();
  const auto free = files.FreeBytes(folder);
  if (free.ok() && *free < needed) {
    return ResourceExhausted(folder.string() + " has " + std::to_string(*free / 1000000) +
                             " MB free, the model needs " + std::to_string(needed / 1000000) +
                             " MB; make room or ask for fewer layers");
  }
  return OkStatus();
}

/// How images are prepared, in the keys of transformers.
format::Json PreprocessorConfig(const format::Json& config) {
  const format::Json& vision = config["vision_config"];
  const auto patch = vision["patch_size"].get<std::int64_t>();
  const std::int64_t cell = patch * vision["spatial_merge_size"].get<std::int64_t>();
  return {{"image_processor_type", "Qwen2VLImageProcessor"},
          {"do_convert_rgb", true},
          {"do_normalize", true},
          {"do_rescale", true},
          {"do_resize", true},
          {"image_mean", {0.5, 0.5, 0.5}},
          {"image_std", {0.5, 0.5, 0.5}},
          {"merge_size", vision["spatial_merge_size"]},
          {"patch_size", patch},
          {"temporal_patch_size", vision["temporal_patch_size"]},
          {"rescale_factor", 1.0 / 255.0},
          {"resample", 3},
          {"size", {{"shortest_edge", 256 * cell * cell}, {"longest_edge", 1280 * cell * cell}}}};
}

Result<model::PublishedModel> Checked(const SynthesisRequest& request) {
  model::PublishedModel model = request.model;
  if (request.layers < 0 || request.layers > model.shape.layers) {
    return InvalidArgument("--layers is " + std::to_string(request.layers) + ", expected 1 to " +
                           std::to_string(model.shape.layers) + ", the layers of " +
                           std::string(model.name));
  }
  if (request.layers > 0) {
    model.shape.layers = request.layers;
  }
  if (model.shape.vocabulary < kSmallestMadeVocabulary) {
    return InvalidArgument("the vocabulary has " + std::to_string(model.shape.vocabulary) +
                           " tokens, expected at least " + std::to_string(kSmallestMadeVocabulary));
  }
  return model;
}

}  // namespace

Result<model::PublishedModel> FindPublishedModel(std::string_view name) {
  std::string known;
  for (const model::PublishedModel& model : model::PublishedModels()) {
    if (model::SameWord(model.name, name)) {
      return model;
    }
    known += (known.empty() ? "" : ", ") + std::string(model.name);
  }
  return NotFound("there is no shape '" + std::string(name) + "', expected one of: " + known);
}

Result<SynthesisReport> Synthesize(const SynthesisRequest& request, domain::ProgressSink& progress,
                                   FileSystem& files) {
  TYLLM_ASSIGN(const model::PublishedModel model, Checked(request));
  const MadeTokenizer tokenizer = MakeTokenizer(model.shape.vocabulary);
  format::Json config = model::HubConfig(
      model, tokenizer.special,
      request.vision ? *request.vision : model::PublishedVision(model.name, model.shape));
  Contents contents(
      model.shape,
      request.quantized ? &model::LinearFormatOf(WrittenFormat(*request.quantized)) : nullptr,
      request.group);
  TYLLM_TRY(contents.AddLanguageModel());
  std::vector<model::NeededTensor> visual;
  if (config.contains("vision_config")) {
    TYLLM_ASSIGN(visual, model::VisualTensors(config["vision_config"], "vision_config"));
  }
  for (const model::NeededTensor& tensor : visual) {
    contents.AddFloat(tensor, "");
  }
  const std::vector<MadeTensor> tensors = std::move(contents).Take();
  std::vector<format::TensorSpec> specs;
  std::uint64_t bytes = 0;
  for (const MadeTensor& tensor : tensors) {
    specs.push_back(tensor.spec);
    bytes += tensor.spec.bytes();
  }
  TYLLM_TRY(CheckDisk(files, request.out, bytes));
  const std::vector<Shard> shards = PlanShards(specs, request.shard_bytes);
  TYLLM_ASSIGN(Staging staged,
               Staging::Open(files, request.out, "synthesize", Staging::Unfinished::kNever));
  Writer writer(files, staged.path(), progress);
  TYLLM_TRY(writer.Write(shards, tensors));
  if (request.quantized) {
    config = QuantizedModelConfig(config, WrittenFormat(*request.quantized), request.group, {});
  }
  TYLLM_TRY(WriteFileAtomically(files, staged.path() / "config.json", format::PrettyJson(config)));
  if (!visual.empty()) {
    TYLLM_TRY(WriteFileAtomically(files, staged.path() / "preprocessor_config.json",
                                  format::PrettyJson(PreprocessorConfig(config))));
  }
  for (const auto& [name, text] : tokenizer.files) {
    TYLLM_TRY(WriteFileAtomically(files, staged.path() / name, text));
  }
  TYLLM_TRY(staged.Commit());
  return SynthesisReport{.model = std::string(model.name),
                         .layers = model.shape.layers,
                         .parameters = model.shape.parameters(),
                         .visual_parameters = model::Elements(visual),
                         .tensors = std::ssize(tensors),
                         .weight_files = std::ssize(shards),
                         .bytes = static_cast<std::int64_t>(bytes),
                         .buffer_bytes = kPieceBytes};
}

std::string ReportText(const SynthesisReport& report) {
  std::string text = "wrote      " + report.model + " with random weights, " +
                     std::to_string(report.layers) + " layers, " +
                     std::to_string(report.parameters) + " parameters\n";
  if (report.visual_parameters > 0) {
    text += "visual     " + std::to_string(report.visual_parameters) + " parameters\n";
  }
  return text + "size       " + std::to_string(report.bytes / 1000000) + " MB in " +
         std::to_string(report.weight_files) +
         (report.weight_files == 1 ? " weight file\n" : " weight files\n");
}

}  // namespace tyllm::quant
