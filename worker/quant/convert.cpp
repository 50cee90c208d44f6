// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/convert.h"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "common/base/staging.h"
#include "worker/model/checkpoint.h"
#include "worker/model/linear_formats.h"
#include "worker/model/needed_files.h"
#include "worker/model/output_place.h"
#include "worker/model/passenger_files.h"
#include "worker/model/quantization_config.h"
#include "worker/model/tensor_inventory.h"
#include "worker/model/weight_files.h"
#include "worker/quant/checkpoint_writer.h"
#include "worker/quant/model_config.h"
#include "worker/quant/passengers.h"
#include "worker/quant/written_format.h"

namespace tyllm::quant {

namespace {

constexpr const char* kConfigFile = "config.json";
constexpr std::string_view kQuantizerKeys = ".quanted_layer.";

Status CheckSource(const model::Checkpoint& checkpoint, model::CheckpointFormat target) {
  const std::string name(model::kCheckpointFormatNames.Name(checkpoint.format()));
  if (checkpoint.format() == model::CheckpointFormat::kFloat) {
    return FailedPrecondition(
        checkpoint.directory().string() +
        " is a floating-point model, expected a quantized one; run `tyllm quantize` first");
  }
  if (checkpoint.format() == target) {
    return FailedPrecondition(checkpoint.directory().string() + " already is " + name +
                              ", expected another format; nothing is left to convert");
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

/// What travels: not what is written anew, nor what says how the source was quantized.
std::vector<Path> Travelling(const model::Checkpoint& source) {
  std::vector<Path> files = source.PassengerFiles();
  std::erase_if(files, [](const Path& file) {
    return file == kConfigFile || model::IsQuantizationFile(file);
  });
  return files;
}

/// One tensor of the result: a copy of one of the source, or all parts of a linear layer.
struct Item {
  std::string source;  ///< a tensor, or a module when `is_linear`
  std::string name;    ///< of the copy
  bool is_linear = false;
};

/// Files as the source has them; what they hold is in the order of their data.
struct Conversion {
  std::vector<Shard> shards;
  std::vector<std::vector<Item>> items;  ///< [shards]
  std::int64_t linears = 0;
  std::int64_t tensors = 0;
  std::int64_t dropped = 0;
};

class Planner {
 public:
  Planner(const model::Checkpoint& source, const model::LinearFormat& target)
      : source_(source), from_(model::LinearFormatOf(source.format())), target_(target) {
    for (const model::NeededTensor& needed : model::NeededTensors(source.shape())) {
      if (needed.is_linear && source.IsQuantized(needed.name)) {
        for (const std::string& tensor : source.TensorsOf(needed.name)) {
          linears_[tensor] = &sizes_.emplace_back(needed.name, needed.shape);
        }
        biases_[needed.name + std::string(from_.bias_key)] =
            needed.name + std::string(target.bias_key);
      }
    }
  }

  Result<Conversion> Plan(const model::WeightFiles& weights) {
    for (const auto& [file, tensors] : ByFile(weights)) {
      Shard shard{file, {}};
      std::vector<Item> items;
      for (const std::string& tensor : tensors) {
        TYLLM_TRY(Add(tensor, *weights.Find(tensor), shard, items));
      }
      if (!shard.tensors.empty()) {
        conversion_.tensors += std::ssize(shard.tensors);
        conversion_.shards.push_back(std::move(shard));
        conversion_.items.push_back(std::move(items));
      }
    }
    return std::move(conversion_);
  }

 private:
  using Linear = std::pair<std::string, std::vector<std::int64_t>>;

  static std::map<std::string, std::vector<std::string>> ByFile(const model::WeightFiles& weights) {
    std::map<std::string, std::vector<std::string>> files;
    for (const std::string& name : weights.Names()) {
      files[weights.FileOf(name).filename().string()].push_back(name);
    }
    for (auto& [file, names] : files) {
      std::ranges::stable_sort(
          names, {}, [&](const std::string& name) { return weights.Find(name)->bytes.data(); });
    }
    return files;
  }

  Status Add(const std::string& tensor, const format::TensorView& view, Shard& shard,
             std::vector<Item>& items) {
    if (const auto linear = linears_.find(tensor); linear != linears_.end()) {
      return AddLinear(tensor, *linear->second, shard, items);
    }
    const auto bias = biases_.find(tensor);
    const std::string& name = bias == biases_.end() ? tensor : bias->second;
    if (name.find(kQuantizerKeys) != std::string::npos && bias == biases_.end()) {
      ++conversion_.dropped;
      return OkStatus();
    }
    shard.tensors.push_back({name, view.dtype, view.shape});
    items.push_back({tensor, name, false});
    return OkStatus();
  }

  /// A layer stands where its weight stood.
  Status AddLinear(const std::string& tensor, const Linear& linear, Shard& shard,
                   std::vector<Item>& items) {
    const auto& [module, shape] = linear;
    if (tensor != module + std::string(from_.weight_key)) {
      return OkStatus();
    }
    const model::LinearSize size{shape[0], shape[1], source_.group_size()};
    if (const Status fits = target_.check_size(size); !fits.ok()) {
      return fits.Annotate(source_.directory().string() + ": linear layer '" + module + "'");
    }
    std::ranges::copy(model::TensorsToWrite(target_, module, size),
                      std::back_inserter(shard.tensors));
    items.push_back({module, "", true});
    ++conversion_.linears;
    return OkStatus();
  }

  const model::Checkpoint& source_;
  const model::LinearFormat& from_;
  const model::LinearFormat& target_;
  std::deque<Linear> sizes_;
  std::map<std::string, const Linear*> linears_;  ///< by tensor name
  std::map<std::string, std::string> biases_;     ///< their names in the target
  Conversion conversion_;
};

Status WriteLinear(const model::Checkpoint& source, const std::string& module,
                   const model::LinearFormat& target, CheckpointWriter& writer) {
  TYLLM_ASSIGN(const model::QuantizedMatrix matrix, source.ReadQuantized(module));
  TYLLM_ASSIGN(const std::vector<model::PackedPart> parts, target.pack(matrix));
  for (const model::PackedPart& part : parts) {
    TYLLM_TRY(writer.Write(module + std::string(part.key), part.bytes));
  }
  source.Forget(module + ".");
  return OkStatus();
}

Status Write(const model::Checkpoint& source, const Conversion& conversion,
             const model::LinearFormat& target, domain::ProgressSink& progress,
             CheckpointWriter& writer) {
  std::int64_t total = 0;
  for (const std::vector<Item>& items : conversion.items) {
    total += std::ssize(items);
  }
  std::int64_t done = 0;
  for (const std::vector<Item>& items : conversion.items) {
    for (const Item& item : items) {
      if (item.is_linear) {
        TYLLM_TRY(WriteLinear(source, item.source, target, writer));
      } else {
        TYLLM_ASSIGN(const format::TensorView view, source.Find(item.source));
        TYLLM_TRY(writer.Write(item.name, view.bytes));
        source.Forget(item.source);
      }
      progress.Report({"convert", ++done, total, "modules", item.source});
    }
  }
  return writer.Finish();
}

bool SameNumbers(const model::QuantizedMatrix& a, const model::QuantizedMatrix& b) {
  return a.q == b.q && a.zero == b.zero && a.scale == b.scale && a.group == b.group;
}

/// The result is what the source was, number by number.
Status Compare(const model::Checkpoint& source, const Conversion& conversion, const Path& directory,
               const CheckpointWriter& writer) {
  TYLLM_TRY(writer.Verify());
  TYLLM_TRY(CheckPassengers(directory, Travelling(source)));
  TYLLM_ASSIGN(const model::Checkpoint written, model::Checkpoint::Open(directory));
  for (const std::vector<Item>& items : conversion.items) {
    for (const Item& item : items) {
      if (!item.is_linear) {
        continue;
      }
      TYLLM_ASSIGN(const model::QuantizedMatrix before, source.ReadQuantized(item.source));
      TYLLM_ASSIGN(const model::QuantizedMatrix after, written.ReadQuantized(item.source));
      if (!SameNumbers(before, after)) {
        return Internal("linear layer '" + item.source + "' does not read back as it was");
      }
      source.Forget(item.source + ".");
      written.Forget(item.source + ".");
    }
  }
  return OkStatus();
}

/// What the result lacks because the source does, and what nobody will use.
std::vector<std::string> Warnings(const model::Checkpoint& source, const Path& directory) {
  std::vector<std::string> warnings;
  for (const model::MissingFile& file : model::FindMissingFiles(directory, source.config())) {
    warnings.push_back(model::Describe(file));
  }
  std::vector<std::string> unused = source.unused_tensors();
  std::erase_if(unused, [](const std::string& name) {
    return name.find(kQuantizerKeys) != std::string::npos;
  });
  if (!unused.empty()) {
    warnings.push_back(std::to_string(unused.size()) +
                       " tensors that the architecture does not use are copied as they are, such "
                       "as " +
                       unused.front());
  }
  return warnings;
}

}  // namespace

Result<ConvertReport> Convert(const ConvertRequest& request, domain::ProgressSink& progress,
                              FileSystem& files) {
  TYLLM_TRY(model::CheckOutputPlace(request.source, request.destination));
  TYLLM_TRY(model::CheckLinks(request.source));
  TYLLM_ASSIGN(const model::Checkpoint source, model::Checkpoint::Open(request.source));
  const model::CheckpointFormat format = WrittenFormat(request.options.quant_type);
  TYLLM_TRY(CheckSource(source, format));
  const model::LinearFormat& target = model::LinearFormatOf(format);
  TYLLM_ASSIGN(const model::WeightFiles weights, model::WeightFiles::Open(request.source));
  TYLLM_ASSIGN(const Conversion conversion, Planner(source, target).Plan(weights));
  TYLLM_ASSIGN(Staging staged,
               Staging::Open(files, request.destination, "convert", Staging::Unfinished::kNever));
  CheckpointWriter writer(files, staged.path(), conversion.shards);
  TYLLM_TRY(Write(source, conversion, target, progress, writer));
  TYLLM_TRY(CopyPassengers(files, request.source, staged.path(), Travelling(source), {}));
  TYLLM_TRY(
      WriteFileAtomically(files, staged.path() / kConfigFile,
                          format::PrettyJson(QuantizedModelConfig(
                              source.config(), format, source.group_size(), KeptLinears(source)))));
  TYLLM_TRY(Compare(source, conversion, staged.path(), writer));
  TYLLM_TRY(staged.Commit());
  return ConvertReport{.from = source.format(),
                       .to = format,
                       .quantized_linears = conversion.linears,
                       .group_size = source.group_size(),
                       .tensors = conversion.tensors,
                       .dropped_tensors = conversion.dropped,
                       .weight_files = std::ssize(conversion.shards),
                       .bytes = static_cast<std::int64_t>(writer.total_bytes()),
                       .warnings = Warnings(source, request.destination)};
}

std::string ReportText(const ConvertReport& report) {
  std::string text = "converted  " + std::to_string(report.quantized_linears) +
                     " quantized linear layers, group " + std::to_string(report.group_size) +
                     ", from " + std::string(model::kCheckpointFormatNames.Name(report.from)) +
                     " to " + std::string(model::kCheckpointFormatNames.Name(report.to)) + "\n";
  text += "size       " + std::to_string(report.bytes / 1000000) + " MB in " +
          std::to_string(report.weight_files) +
          (report.weight_files == 1 ? " weight file\n" : " weight files\n");
  if (report.dropped_tensors > 0) {
    text += "dropped    " + std::to_string(report.dropped_tensors) +
            " tensors of the quantizer's own\n";
  }
  for (const std::string& warning : report.warnings) {
    text += "warning    " + warning + "\n";
  }
  return text;
}

}  // namespace tyllm::quant
