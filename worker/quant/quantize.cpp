// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/quantize.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "common/base/version.h"
#include "worker/model/linear_formats.h"
#include "worker/quant/background_work.h"
#include "worker/quant/calibration_images.h"
#include "worker/quant/calibration_pass.h"
#include "worker/quant/calibration_text.h"
#include "worker/quant/checkpoint_writer.h"
#include "worker/quant/half_tensors.h"
#include "worker/quant/machines.h"
#include "worker/quant/model_config.h"
#include "worker/quant/passengers.h"
#include "worker/quant/quantize_plan.h"

namespace tyllm::quant {

namespace {

constexpr const char* kReportFile = "quantization_report.json";
constexpr const char* kConfigFile = "config.json";
/// The largest magnitude of a weight that 4 bits and an fp16 scale can express.
constexpr float kLargestWeight = 15.0F * 65504.0F;

std::int64_t PeakMemoryBytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

/// Adds the time from its making to its end to a number of seconds.
class Stopwatch {
 public:
  Stopwatch(const Clock& clock, double& seconds)
      : clock_(clock), seconds_(seconds), start_(clock.Now()) {}

  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  ~Stopwatch() { seconds_ += std::chrono::duration<double>(clock_.Now() - start_).count(); }

 private:
  const Clock& clock_;
  double& seconds_;
  Clock::Steady start_;
};

Sha256 DigestOfCodes(const model::QuantizedMatrix& matrix) {
  Sha256Stream stream;
  stream.Update(std::as_bytes(std::span(matrix.q)));
  stream.Update(std::as_bytes(std::span(matrix.zero)));
  stream.Update(std::as_bytes(std::span(matrix.scale)));
  return stream.Finish();
}

/// One run of Quantize.
class Quantizer {
 public:
  Quantizer(const QuantizeRequest& request, domain::ProgressSink& progress,
            const QuantizeServices& services)
      : request_(request),
        options_(request.options),
        progress_(progress),
        services_(services),
        lanes_(static_cast<int>(request.threads)),
        writing_lanes_(static_cast<int>(request.threads)) {}

  Result<QuantizationReport> Run() {
    const Clock& clock = services_.clock;
    {
      const Stopwatch total(clock, report_.seconds.total);
      TYLLM_TRY(Prepare());
      TYLLM_ASSIGN(StagedDirectory staged, StagedDirectory::Create(services_.files, request_.out));
      TYLLM_TRY(CheckDisk());
      CheckpointWriter writer(services_.files, staged.path(),
                              PlanShards(plan_.tensors, request_.shard_bytes));
      BackgroundWork writing(machines_->have_own_memory());
      TYLLM_TRY(writing.Start([&] { return WriteRest(writer); }));
      TYLLM_TRY(QuantizeLayers(writer, writing));
      TYLLM_TRY(writing.Finish());
      TYLLM_TRY(writer.Finish());
      TYLLM_TRY(WritePassengers(staged.path()));
      TYLLM_TRY(Verify(writer, staged.path()));
      TYLLM_TRY(WriteReport(writer, staged.path()));
      TYLLM_TRY(staged.Commit());
    }
    return std::move(report_);
  }

 private:
  bool ReadsText() const { return options_.method != domain::QuantizeMethod::kRtn; }

  /// All that can be found wrong before any work is.
  Status Prepare() {
    TYLLM_TRY(domain::Check(options_));
    TYLLM_ASSIGN(forward::Model opened, forward::OpenModel(request_.model));
    model_.emplace(std::move(opened));
    TYLLM_ASSIGN(plan_, PlanQuantization(*model_, options_));
    TYLLM_ASSIGN(Machines machines,
                 Machines::Make(request_.device, static_cast<int>(request_.threads), lanes_));
    machines_.emplace(std::move(machines));
    report_.tool = "tyllm " + std::string(Version());
    report_.architecture = model_->shape().architecture;
    report_.options = options_;
    report_.device = machines_->name();
    report_.warnings = plan_.warnings;
    report_.source_bytes = plan_.source_bytes;
    return ReadsText() ? ReadCalibration() : OkStatus();
  }

  Status ReadCalibration() {
    if (options_.seq_len > model_->shape().max_positions) {
      return InvalidArgument("--seq-len is " + std::to_string(options_.seq_len) +
                             ", expected at most the model's " +
                             std::to_string(model_->shape().max_positions) + " positions");
    }
    TYLLM_ASSIGN(const std::optional<Path> pairs, FindPairFile(request_.calibration_text));
    if (pairs) {
      TYLLM_ASSIGN(batches_, ReadImageCalibration(*model_, machines_->first().backend, *pairs,
                                                  options_, progress_, report_));
      return OkStatus();
    }
    TYLLM_ASSIGN(const model::Tokenizer tokenizer, model::Tokenizer::Load(request_.model));
    TYLLM_ASSIGN(const std::vector<std::int32_t> tokens,
                 ReadCalibrationTokens(tokenizer, request_.calibration_text, options_.samples,
                                       options_.seq_len));
    batches_ =
        CutIntoBatches(tokens, options_.seq_len, machines_->first().backend.tokens_at_once());
    report_.calibration =
        CalibrationReport{request_.calibration_text.filename().string(), options_.samples,
                          options_.seq_len, static_cast<std::int64_t>(tokens.size())};
    return OkStatus();
  }

  Status CheckDisk() const {
    std::uint64_t needed = 0;
    for (const format::TensorSpec& tensor : plan_.tensors) {
      needed += tensor.bytes();
    }
    Path folder = std::filesystem::absolute(request_.out).parent_path();
    const auto free = services_.files.FreeBytes(folder);
    if (free.ok() && *free < needed) {
      return ResourceExhausted(folder.string() + " has " + std::to_string(*free / 1000000) +
                               " MB free, the quantized model needs " +
                               std::to_string(needed / 1000000) + " MB; make room");
    }
    return OkStatus();
  }

  void Tell(const char* stage, std::int64_t done, std::int64_t total, const char* unit,
            std::string message) const {
    progress_.Report({stage, done, total, unit, std::move(message)});
  }

  std::int64_t Layers() const { return static_cast<std::int64_t>(model_->graph.layers.size()); }

  /// On a device the next layer's weights are read and the last one's output is written meanwhile.
  Status QuantizeLayers(CheckpointWriter& writer, BackgroundWork& writing) {
    CalibrationPass calibration(machines_->all(), model_->shape());
    if (ReadsText()) {
      TYLLM_TRY(StartCalibration(calibration));
    }
    MachineWeights source(*machines_, model_->checkpoint, LayerBlocks());
    for (std::int64_t k = 0; k < Layers(); ++k) {
      const graph::Block& block = model_->graph.layers[static_cast<std::size_t>(k)];
      TYLLM_ASSIGN(std::vector<forward::BlockWeights> weights, source.Next());
      TYLLM_TRY(CheckWeights(block, weights.front()));
      LayerStatistics statistics;
      if (ReadsText()) {
        TYLLM_ASSIGN(statistics, Calibrate(calibration, k, block, weights));
      }
      Tell("quantize", k, Layers(), "layers", block.name);
      const auto layer = std::make_shared<const QuantizedLayer>(
          QuantizeOne(block, statistics, std::move(weights.front())));
      std::ranges::copy(layer->reports, std::back_inserter(report_.linears));
      TYLLM_TRY(writing.Start([&, layer] { return WriteLayer(writer, block, *layer); }));
    }
    Tell("quantize", Layers(), Layers(), "layers", "");
    return OkStatus();
  }

  std::vector<const graph::Block*> LayerBlocks() const {
    std::vector<const graph::Block*> blocks;
    for (const graph::Block& block : model_->graph.layers) {
      blocks.push_back(&block);
    }
    return blocks;
  }

  Status StartCalibration(CalibrationPass& calibration) {
    const Stopwatch watch(services_.clock, report_.seconds.calibrate);
    const graph::Block& embedding = model_->graph.embedding;
    TYLLM_ASSIGN(const std::vector<forward::BlockWeights> weights,
                 MachineWeights(*machines_, model_->checkpoint, {&embedding}).Next());
    return calibration.Start(embedding, weights, std::move(batches_));
  }

  Result<LayerStatistics> Calibrate(CalibrationPass& calibration, std::int64_t k,
                                    const graph::Block& block, CalibrationPass::Weights weights) {
    const Stopwatch watch(services_.clock, report_.seconds.calibrate);
    return calibration.RunLayer(block, weights, [&](std::int64_t tokens) {
      const bool is_done = tokens == calibration.tokens();
      Tell("calibrate", is_done ? k + 1 : k, Layers(), "layers",
           block.name + ": " + std::to_string(tokens) + " of " +
               std::to_string(calibration.tokens()) + " tokens");
    });
  }

  QuantizedLayer QuantizeOne(const graph::Block& block, const LayerStatistics& statistics,
                             forward::BlockWeights weights) {
    const Stopwatch watch(services_.clock, report_.seconds.quantize);
    const LayerTask task{&block, &model_->shape(), &options_, [this](std::string_view module) {
                           return !plan_.quantized.contains(module);
                         }};
    return ReadsText() ? QuantizeLayer(task, statistics, std::move(weights), machines_->first())
                       : RoundLayer(task, std::move(weights), machines_->first());
  }

  Status CheckWeights(const graph::Block& block, const forward::BlockWeights& weights) const {
    for (const graph::Node& node : block.nodes) {
      const bool is_linear = node.op == graph::Op::kLinear;
      if (!is_linear && node.weight.empty()) {
        continue;
      }
      const tensor::MatrixView placed = weights.find(node.weight)->second.view();
      if (machines_->first().kernels.AllWithin(placed, is_linear ? kLargestWeight : 65504.0F)) {
        continue;
      }
      const tensor::Matrix matrix = machines_->first().backend.Fetch(placed);
      const std::span<const float> numbers(
          matrix.data(), static_cast<std::size_t>(matrix.rows() * matrix.columns()));
      const Status status =
          is_linear ? CheckNumbers(node.weight + ".weight", numbers, kLargestWeight,
                                   "what 4 bits and an fp16 scale can express")
                    : CheckNumbers(node.weight, numbers, 65504.0F, "the largest of fp16");
      if (!status.ok()) {
        return status.Annotate(request_.model.string());
      }
    }
    return OkStatus();
  }

  Status WriteHalf(CheckpointWriter& writer, const std::string& name,
                   const tensor::Matrix& matrix) {
    TYLLM_ASSIGN(const std::vector<std::uint16_t> halves,
                 ToHalf(name, std::span(matrix.data(), static_cast<std::size_t>(
                                                           matrix.rows() * matrix.columns()))));
    return writer.Write(name, std::as_bytes(std::span(halves)));
  }

  Status WriteLinear(CheckpointWriter& writer, const std::string& module,
                     const model::QuantizedMatrix& matrix) {
    TYLLM_ASSIGN(const std::vector<model::PackedPart> parts,
                 model::LinearFormatOf(plan_.format).pack(matrix));
    for (const model::PackedPart& part : parts) {
      TYLLM_TRY(writer.Write(module + std::string(part.key), part.bytes));
    }
    codes_[module] = DigestOfCodes(matrix);
    return OkStatus();
  }

  Status WriteLayer(CheckpointWriter& writer, const graph::Block& block,
                    const QuantizedLayer& layer) {
    const Stopwatch watch(services_.clock, report_.seconds.write);
    for (const graph::Node& node : block.nodes) {
      const bool is_linear = node.op == graph::Op::kLinear;
      const auto coded = layer.linears.find(node.weight);
      if (coded != layer.linears.end()) {
        TYLLM_TRY(WriteLinear(writer, node.weight, coded->second));
      } else if (!node.weight.empty()) {
        TYLLM_TRY(WriteHalf(writer, is_linear ? node.weight + ".weight" : node.weight,
                            layer.floats.find(node.weight)->second));
      }
      if (!node.bias.empty()) {
        const std::string key(model::LinearFormatOf(plan_.format).bias_key);
        TYLLM_TRY(WriteHalf(writer, coded != layer.linears.end() ? node.weight + key : node.bias,
                            layer.floats.find(node.bias)->second));
      }
    }
    return OkStatus();
  }

  /// What belongs to no decoder layer, and what no part of the model uses. First, because what is
  /// wrong with it need not wait for the layers.
  Status WriteRest(CheckpointWriter& writer) {
    const Stopwatch watch(services_.clock, report_.seconds.write);
    const model::Checkpoint& checkpoint = model_->checkpoint;
    std::vector<std::string> names;
    for (const graph::Block* block : {&model_->graph.embedding, &model_->graph.head}) {
      for (const graph::Node& node : block->nodes) {
        const bool is_linear = node.op == graph::Op::kLinear;
        if (is_linear && model_->shape().tied_head) {
          continue;  // it is the embedding table
        }
        names.push_back(is_linear ? node.weight + ".weight" : node.weight);
      }
    }
    for (const std::string& name : names) {
      TYLLM_ASSIGN(const format::TensorView view, checkpoint.Find(name));
      auto halves = ToHalf(name, view, writing_lanes_);
      if (!halves.ok()) {
        return halves.status().Annotate(request_.model.string());
      }
      TYLLM_TRY(writer.Write(name, std::as_bytes(std::span(*halves))));
      checkpoint.Forget(name);
    }
    for (const std::string& name : plan_.copied) {
      TYLLM_ASSIGN(const format::TensorView view, checkpoint.Find(name));
      TYLLM_TRY(writer.Write(name, view.bytes));
    }
    return OkStatus();
  }

  Status WritePassengers(const Path& directory) {
    const Stopwatch watch(services_.clock, report_.seconds.write);
    const model::Checkpoint& checkpoint = model_->checkpoint;
    const std::vector<Path> own = {kConfigFile, kReportFile};
    TYLLM_TRY(CopyPassengers(services_.files, request_.model, directory,
                             checkpoint.PassengerFiles(), own));
    return WriteFileAtomically(
        services_.files, directory / kConfigFile,
        format::PrettyJson(QuantizedModelConfig(checkpoint.config(), plan_.format,
                                                options_.group_size, plan_.kept)));
  }

  /// Opens the new directory as any reader would and compares every number with what was computed.
  Status Verify(const CheckpointWriter& writer, const Path& directory) {
    const Stopwatch watch(services_.clock, report_.seconds.verify);
    Tell("verify", 0, 1, "models", "");
    TYLLM_TRY(writer.Verify(lanes_));
    TYLLM_TRY(CheckPassengers(directory, model_->checkpoint.PassengerFiles()));
    TYLLM_ASSIGN(const model::Checkpoint written, model::Checkpoint::Open(directory));
    const std::vector<std::pair<std::string, Sha256>> modules(codes_.begin(), codes_.end());
    std::vector<Status> checked(modules.size());
    lanes_.ForEach(static_cast<std::int64_t>(modules.size()),
                   [&](std::int64_t i, std::vector<float>&) {
                     const auto& [module, digest] = modules[static_cast<std::size_t>(i)];
                     checked[static_cast<std::size_t>(i)] = CheckLinear(written, module, digest);
                   });
    for (const Status& status : checked) {
      TYLLM_TRY(status);
    }
    Tell("verify", 1, 1, "models", "");
    return OkStatus();
  }

  static Status CheckLinear(const model::Checkpoint& written, const std::string& module,
                            const Sha256& digest) {
    TYLLM_ASSIGN(const model::QuantizedMatrix matrix, written.ReadQuantized(module));
    written.Forget(module);
    return DigestOfCodes(matrix) == digest
               ? OkStatus()
               : Internal("linear layer '" + module + "' does not read back as it was quantized");
  }

  Status WriteReport(const CheckpointWriter& writer, const Path& directory) {
    report_.output_bytes = static_cast<std::int64_t>(writer.total_bytes());
    report_.peak_memory_bytes = PeakMemoryBytes();
    report_.peak_device_bytes = machines_->peak_device_bytes();
    Summarize(report_);
    const StageSeconds& seconds = report_.seconds;
    report_.seconds.total = seconds.calibrate + seconds.quantize + seconds.write + seconds.verify;
    const Status written = WriteFileAtomically(services_.files, directory / kReportFile,
                                               format::PrettyJson(format::ToJson(report_)));
    report_.seconds.total = 0.0;  // the caller's watch knows better
    return written;
  }

  const QuantizeRequest& request_;
  const domain::QuantizeOptions& options_;
  domain::ProgressSink& progress_;
  const QuantizeServices& services_;
  tensor::TaskLanes lanes_;
  tensor::TaskLanes writing_lanes_;  ///< of what is written in the background
  std::optional<Machines> machines_;
  std::optional<forward::Model> model_;
  QuantizePlan plan_;
  std::vector<forward::TokenBatch> batches_;
  std::map<std::string, Sha256> codes_;  ///< of the quantized linears
  QuantizationReport report_;
};

}  // namespace

Result<QuantizationReport> Quantize(const QuantizeRequest& request, domain::ProgressSink& progress,
                                    const QuantizeServices& services) {
  return tensor::CatchDeviceErrors([&] { return Quantizer(request, progress, services).Run(); });
}

}  // namespace tyllm::quant
