// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/convert.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "worker/model/checkpoint.h"
#include "worker/model/tensor_inventory.h"
#include "worker/model/weight_files.h"
#include "worker/quant/checkpoint_writer.h"
#include "worker/quant/model_config.h"
#include "worker/quant/passengers.h"

namespace tyllm::quant {

namespace {

constexpr const char* kConfigFile = "config.json";
constexpr std::string_view kQuantizerKeys = ".quanted_layer.";

/// The AWQ name of an AMTC tensor; nothing for the quantizer's other book-keeping.
std::optional<std::string> AwqName(std::string_view name) {
  const std::size_t at = name.find(kQuantizerKeys);
  if (at == std::string_view::npos) {
    return std::string(name);
  }
  const model::LinearKeys& from = model::KeysOf(model::CheckpointFormat::kAmtc);
  const model::LinearKeys& to = model::KeysOf(model::CheckpointFormat::kAwqGemm);
  const std::string_view key = name.substr(at);
  for (const auto member : {&model::LinearKeys::weight, &model::LinearKeys::scales,
                            &model::LinearKeys::zeros, &model::LinearKeys::bias}) {
    if (key == from.*member) {
      return std::string(name.substr(0, at)) + std::string(to.*member);
    }
  }
  return std::nullopt;
}

Status CheckSource(const model::Checkpoint& checkpoint) {
  switch (checkpoint.format()) {
    case model::CheckpointFormat::kAmtc:
      return OkStatus();
    case model::CheckpointFormat::kFloat:
      return FailedPrecondition(checkpoint.directory().string() +
                                " is a floating-point model, expected an AMTC model (tensors "
                                "named ....quanted_layer.quanted_weight); run `tyllm quantize` "
                                "first");
    case model::CheckpointFormat::kAwqGemm:
      return FailedPrecondition(checkpoint.directory().string() +
                                " already has AutoAWQ's layout, expected an AMTC model; nothing "
                                "is left to convert");
  }
  return OkStatus();
}

std::vector<std::string> KeptLinears(const model::Checkpoint& checkpoint) {
  std::vector<std::string> kept;
  for (const model::NeededTensor& needed : model::NeededTensors(checkpoint.shape())) {
    if (needed.is_linear && needed.name != checkpoint.shape().names.head &&
        !checkpoint.IsQuantized(needed.name)) {
      kept.push_back(needed.name);
    }
  }
  return kept;
}

/// Files as the source has them; tensors in the order of their data, under their new names.
struct Renaming {
  std::vector<Shard> shards;
  std::map<std::string, std::string> sources;  ///< new name -> old name
  std::int64_t dropped = 0;
};

Renaming PlanRenaming(const model::WeightFiles& weights) {
  struct Found {
    std::string name;
    const std::byte* data = nullptr;
  };

  std::map<std::string, std::vector<Found>> files;
  for (const std::string& name : weights.Names()) {
    files[weights.FileOf(name).filename().string()].push_back(
        {name, weights.Find(name)->bytes.data()});
  }
  Renaming renaming;
  for (auto& [file, tensors] : files) {
    std::ranges::stable_sort(tensors, {}, &Found::data);
    Shard shard{file, {}};
    for (const Found& found : tensors) {
      const std::optional<std::string> name = AwqName(found.name);
      if (!name) {
        ++renaming.dropped;
        continue;
      }
      const format::TensorView& view = *weights.Find(found.name);
      shard.tensors.push_back({*name, view.dtype, view.shape});
      renaming.sources[*name] = found.name;
    }
    if (!shard.tensors.empty()) {
      renaming.shards.push_back(std::move(shard));
    }
  }
  return renaming;
}

Status CopyTensors(const model::WeightFiles& weights, const Renaming& renaming,
                   domain::ProgressSink& progress, CheckpointWriter& writer) {
  const auto total = static_cast<std::int64_t>(renaming.sources.size());
  std::int64_t done = 0;
  for (const Shard& shard : renaming.shards) {
    for (const format::TensorSpec& tensor : shard.tensors) {
      const std::string& source = renaming.sources.find(tensor.name)->second;
      TYLLM_TRY(writer.Write(tensor.name, weights.Find(source)->bytes));
      weights.Forget(source);
      progress.Report({"convert", ++done, total, "tensors", ""});
    }
  }
  return writer.Finish();
}

/// The result is what the source was, number by number.
Status Compare(const model::Checkpoint& source, const Path& directory,
               const CheckpointWriter& writer) {
  TYLLM_TRY(writer.Verify());
  TYLLM_TRY(CheckPassengers(directory, source.PassengerFiles()));
  TYLLM_ASSIGN(const model::Checkpoint written, model::Checkpoint::Open(directory));
  if (written.format() != model::CheckpointFormat::kAwqGemm ||
      written.group_size() != source.group_size()) {
    return Internal(directory.string() + " does not read back as the model that was converted");
  }
  return OkStatus();
}

}  // namespace

Result<ConvertReport> Convert(const ConvertRequest& request, domain::ProgressSink& progress,
                              FileSystem& files) {
  TYLLM_TRY(domain::Check(request.options));
  TYLLM_ASSIGN(const model::Checkpoint source, model::Checkpoint::Open(request.source));
  TYLLM_TRY(CheckSource(source));
  TYLLM_ASSIGN(const model::WeightFiles weights, model::WeightFiles::Open(request.source));
  TYLLM_ASSIGN(StagedDirectory staged, StagedDirectory::Create(files, request.destination));
  const Renaming renaming = PlanRenaming(weights);
  CheckpointWriter writer(files, staged.path(), renaming.shards);
  TYLLM_TRY(CopyTensors(weights, renaming, progress, writer));
  const std::vector<Path> own = {kConfigFile};
  TYLLM_TRY(CopyPassengers(files, request.source, staged.path(), source.PassengerFiles(), own));
  TYLLM_TRY(WriteFileAtomically(
      files, staged.path() / kConfigFile,
      format::PrettyJson(QuantizedModelConfig(source.config(), model::CheckpointFormat::kAwqGemm,
                                              source.group_size(), KeptLinears(source)))));
  TYLLM_TRY(Compare(source, staged.path(), writer));
  TYLLM_TRY(staged.Commit());
  ConvertReport report;
  report.group_size = source.group_size();
  report.tensors = static_cast<std::int64_t>(renaming.sources.size());
  report.dropped_tensors = renaming.dropped;
  report.weight_files = static_cast<std::int64_t>(renaming.shards.size());
  report.bytes = static_cast<std::int64_t>(writer.total_bytes());
  report.quantized_linears = std::ranges::count_if(renaming.sources, [](const auto& entry) {
    return entry.first.ends_with(model::KeysOf(model::CheckpointFormat::kAwqGemm).weight);
  });
  return report;
}

std::string ReportText(const ConvertReport& report) {
  std::string text = "converted  " + std::to_string(report.quantized_linears) +
                     " quantized linear layers, group " + std::to_string(report.group_size) + "\n";
  text += "size       " + std::to_string(report.bytes / 1000000) + " MB in " +
          std::to_string(report.weight_files) +
          (report.weight_files == 1 ? " weight file\n" : " weight files\n");
  if (report.dropped_tensors > 0) {
    text += "dropped    " + std::to_string(report.dropped_tensors) +
            " tensors of the quantizer's own\n";
  }
  return text;
}

}  // namespace tyllm::quant
