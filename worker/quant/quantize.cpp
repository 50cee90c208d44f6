// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/quantize.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/disk_room.h"
#include "common/base/staging.h"
#include "common/base/version.h"
#include "worker/model/linear_formats.h"
#include "worker/model/output_place.h"
#include "worker/model/passenger_files.h"
#include "worker/quant/background_work.h"
#include "worker/quant/calibration_images.h"
#include "worker/quant/calibration_pass.h"
#include "worker/quant/calibration_samples.h"
#include "worker/quant/layer_output.h"
#include "worker/quant/layer_stages.h"
#include "worker/quant/machines.h"
#include "worker/quant/model_config.h"
#include "worker/quant/output_check.h"
#include "worker/quant/part_files.h"
#include "worker/quant/passengers.h"
#include "worker/quant/quantization_key.h"
#include "worker/quant/quantization_memory.h"
#include "worker/quant/quantize_plan.h"
#include "worker/quant/stopwatch.h"
#include "worker/quant/weight_check.h"
#include "worker/quant/write_parts.h"

namespace tyllm::quant {

namespace {

constexpr const char* kReportFile = "quantization_report.json";
constexpr const char* kConfigFile = "config.json";

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
    {
      const Stopwatch total(services_.clock, report_.run.seconds.total);
      TYLLM_TRY(Prepare());
      TYLLM_ASSIGN(const std::string key,
                   QuantizationKey(model_->checkpoint, options_, machines_->name(), batches_));
      TYLLM_ASSIGN(Staging staging, Staging::Open(services_.files, request_.out, key + pairs_key_,
                                                  Staging::Unfinished::kKeep, PartFiles::kRecords));
      Status done = Fill(staging);
      if (!done.ok()) {
        if (!IsWorthResuming(done.code())) {
          staging.Discard();
        }
        return done;
      }
      TYLLM_TRY(staging.Commit());
    }
    return std::move(report_);
  }

 private:
  /// A model that cannot be quantized, or a result that is not what was computed, would fail again.
  static bool IsWorthResuming(StatusCode code) {
    return code != StatusCode::kInvalidArgument && code != StatusCode::kDataLoss &&
           code != StatusCode::kInternal;
  }

  bool ReadsText() const { return options_.method != domain::QuantizeMethod::kRtn; }

  /// Everything that the folder is to hold.
  Status Fill(const Staging& staging) {
    TYLLM_ASSIGN(PartFiles parts, PartFiles::Open(services_.files, staging.path(), plan_.parts,
                                                  request_.single_file_bytes));
    report_.run.layers_resumed = KeepFinishedLayers(parts);
    TYLLM_TRY(CheckDisk(parts));
    Tell("prepare", 1, 1, "models", Needs(parts));
    BackgroundWork writing(machines_->have_own_memory());
    TYLLM_TRY(writing.Start([&] {
      const Stopwatch watch(services_.clock, report_.run.seconds.write);
      return WriteEnds(model_->checkpoint, plan_, writing_lanes_, parts);
    }));
    TYLLM_TRY(QuantizeLayers(parts, writing));
    TYLLM_TRY(writing.Finish());
    for (std::size_t part = 0; part < parts.size(); ++part) {
      std::ranges::copy(parts.Find(part)->linears, std::back_inserter(report_.linears));
    }
    TYLLM_TRY(Publish(parts, staging.path()));
    TYLLM_TRY(Verify(parts, staging.path()));
    return WriteReport(parts, staging.path());
  }

  /// All that can be found wrong before any work is.
  Status Prepare() {
    TYLLM_TRY(domain::Check(options_));
    TYLLM_TRY(model::CheckOutputPlace(request_.model, request_.out));
    TYLLM_TRY(model::CheckLinks(request_.model));
    TYLLM_ASSIGN(forward::Model opened, forward::OpenModel(request_.model));
    model_.emplace(std::move(opened));
    TYLLM_ASSIGN(plan_, PlanQuantization(*model_, options_));
    const auto threads = static_cast<int>(request_.threads);
    const std::int64_t compensated =
        options_.method == domain::QuantizeMethod::kAwqGptq ? options_.group_size : 0;
    TYLLM_ASSIGN(Machines machines, Machines::Make(request_.device, threads, lanes_, compensated));
    machines_.emplace(std::move(machines));
    report_.tool = "tyllm " + std::string(Version());
    report_.architecture = model_->shape().architecture;
    report_.options = options_;
    report_.device = machines_->name();
    report_.warnings = plan_.warnings;
    report_.source_bytes = plan_.source_bytes;
    report_.run.memory_needed_bytes =
        QuantizationMemory(model_->shape(), options_, lanes_.threads()) + machines_->host_bytes();
    report_.kept_float_bytes = plan_.kept_float_bytes;
    return ReadsText() ? TakeCalibration() : OkStatus();
  }

  Status TakeCalibration() {
    if (options_.seq_len > model_->shape().max_positions) {
      return InvalidArgument("--seq-len is " + std::to_string(options_.seq_len) +
                             ", expected at most the model's " +
                             std::to_string(model_->shape().max_positions) + " positions");
    }
    TYLLM_ASSIGN(const std::optional<Path> pairs, format::FindPairFile(request_.calibration_text));
    if (pairs) {
      TYLLM_ASSIGN(pairs_key_, ImagePairsKey(*pairs, options_.samples));
      TYLLM_ASSIGN(batches_, ReadImageCalibration(*model_, machines_->first().backend, *pairs,
                                                  options_, progress_, report_));
      return OkStatus();
    }
    TYLLM_ASSIGN(const model::Tokenizer tokenizer, model::Tokenizer::Load(request_.model));
    TYLLM_ASSIGN(CalibrationSamples samples,
                 ReadCalibration(request_.model, tokenizer, request_.calibration_text, options_,
                                 machines_->first().backend.tokens_at_once()));
    batches_ = std::move(samples.batches);
    report_.calibration = std::move(samples.report);
    return OkStatus();
  }

  std::string Needs(const PartFiles& parts) const {
    return "needs up to " + std::to_string(report_.run.memory_needed_bytes / 1'000'000) +
           " MB of memory and " + std::to_string(parts.total_bytes() / 1'000'000 + 1) +
           " MB on the disk";
  }

  /// What is written already needs no room any more.
  Status CheckDisk(const PartFiles& parts) const {
    std::uint64_t needed = 0;
    for (std::size_t part = 0; part < parts.size(); ++part) {
      if (parts.Find(part) == nullptr) {
        needed += plan_.parts[part].bytes();
      }
    }
    return CheckDiskRoom(services_.files, request_.out, needed, "the quantized model");
  }

  void Tell(const char* stage, std::int64_t done, std::int64_t total, const char* unit,
            std::string message) const {
    progress_.Report({stage, done, total, unit, std::move(message)});
  }

  /// ", about 40 s left", from the layers that this run has quantized.
  std::string TimeLeft(std::int64_t k) const {
    const std::int64_t done = k - report_.run.layers_resumed;
    if (done < 1) {
      return "";
    }
    double seconds = 0.0;
    for (std::int64_t layer = report_.run.layers_resumed; layer < k; ++layer) {
      seconds += report_.run.layer_seconds.find(BlockOf(layer).name)->second;
    }
    const double left = seconds / static_cast<double>(done) * static_cast<double>(Layers() - k);
    return ", about " + std::to_string(std::llround(left)) + " s left";
  }

  std::int64_t Layers() const { return static_cast<std::int64_t>(model_->graph.layers.size()); }

  const graph::Block& BlockOf(std::int64_t k) const {
    return model_->graph.layers[static_cast<std::size_t>(k)];
  }

  /// The part of layer `k`: the embedding comes before the layers.
  static std::size_t PartOfLayer(std::int64_t k) { return static_cast<std::size_t>(k) + 1; }

  /// Layers that an earlier run finished, up to the first that is missing or damaged.
  std::int64_t KeepFinishedLayers(PartFiles& parts) const {
    return static_cast<std::int64_t>(parts.ForgetBehindGap(PartOfLayer(0), PartOfLayer(Layers())));
  }

  /// Layers whose weights this run has to read: those that are not finished and, where a text is
  /// read, all others too, for what they make of it.
  std::vector<const graph::Block*> LayersToRead(const PartFiles& parts,
                                                std::int64_t finished) const {
    std::vector<const graph::Block*> blocks;
    for (std::int64_t k = 0; k < Layers(); ++k) {
      if (parts.Find(PartOfLayer(k)) == nullptr || (ReadsText() && finished < Layers())) {
        blocks.push_back(&BlockOf(k));
      }
    }
    return blocks;
  }

  /// On a device the next layer's weights are read and the last one's output is written meanwhile.
  Status QuantizeLayers(PartFiles& parts, BackgroundWork& writing) {
    CalibrationPass calibration(machines_->all(), model_->shape(),
                                {options_.calibration.image_weight, options_.follows_quantized()});
    const std::int64_t finished = report_.run.layers_resumed;
    const std::vector<const graph::Block*> blocks = LayersToRead(parts, finished);
    if (ReadsText() && finished < Layers()) {
      TYLLM_TRY(StartCalibration(calibration));
    }
    MachineWeights source(*machines_, model_->checkpoint, blocks);
    for (const graph::Block* block : blocks) {
      const std::int64_t k = block - model_->graph.layers.data();
      const Stopwatch watch(services_.clock, report_.run.layer_seconds[block->name]);
      TYLLM_ASSIGN(std::vector<forward::BlockWeights> weights, source.Next());
      if (k < finished) {
        TYLLM_TRY(PassLayer(calibration, k, weights, parts));
        continue;
      }
      TYLLM_ASSIGN(const auto layer, QuantizeLayer(calibration, k, std::move(weights)));
      TYLLM_TRY(writing.Start([&, k, layer] {
        const Stopwatch write_watch(services_.clock, report_.run.seconds.write);
        return WriteLayer(BlockOf(k), *layer, plan_, PartOfLayer(k), writing_lanes_, parts);
      }));
    }
    Tell("quantize", Layers(), Layers(), "layers", "");
    return OkStatus();
  }

  Result<std::shared_ptr<QuantizedLayer>> QuantizeLayer(
      CalibrationPass& calibration, std::int64_t k, std::vector<forward::BlockWeights> weights) {
    const graph::Block& block = BlockOf(k);
    TYLLM_TRY(
        CheckWeights(block, weights.front(), machines_->first()).Annotate(request_.model.string()));
    const auto tell = [&] { Tell("quantize", k, Layers(), "layers", block.name + TimeLeft(k)); };
    if (!ReadsText()) {
      tell();
      return std::make_shared<QuantizedLayer>(QuantizeStage(block, {}, std::move(weights.front())));
    }
    QuantizedLayer layer;
    const std::vector<graph::Block> stages = StagesOf(block);
    for (const graph::Block& stage : stages) {
      const std::int64_t number = &stage - stages.data();
      std::vector<forward::BlockWeights> of_stage;
      for (forward::BlockWeights& of_layer : weights) {
        of_stage.push_back(TakeWeights(stage, of_layer));
      }
      TYLLM_ASSIGN(LayerStatistics statistics,
                   Calibrate(calibration, k, {stage, number, std::ssize(stages)}, of_stage));
      tell();
      QuantizedLayer coded =
          QuantizeStage(stage, std::move(statistics), std::move(of_stage.front()));
      if (k + 1 < Layers() || number + 1 < std::ssize(stages)) {  // somebody reads it
        TYLLM_TRY(Follow(calibration, stage, coded));
      }
      layer.Add(std::move(coded));
    }
    calibration.EndLayer();
    return std::make_shared<QuantizedLayer>(std::move(layer));
  }

  /// What the next stage of the quantized model reads.
  Status Follow(CalibrationPass& calibration, const graph::Block& stage,
                const QuantizedLayer& coded) {
    if (!calibration.follows_quantized()) {
      return OkStatus();
    }
    const Stopwatch watch(services_.clock, report_.run.seconds.calibrate);
    std::vector<forward::BlockWeights> weights;
    for (const LayerMachine& machine : machines_->all()) {
      weights.push_back(WrittenWeights(coded, machine));
    }
    return calibration.Follow(stage, weights);
  }

  /// A layer that is finished: only what the next one reads is computed.
  Status PassLayer(CalibrationPass& calibration, std::int64_t k, CalibrationPass::Weights weights,
                   const PartFiles& parts) {
    const graph::Block& block = BlockOf(k);
    Tell("calibrate", k, Layers(), "layers", block.name + ": was quantized before");
    {
      const Stopwatch watch(services_.clock, report_.run.seconds.calibrate);
      TYLLM_TRY(calibration.PassStage(block, weights));
    }
    if (calibration.follows_quantized()) {
      TYLLM_ASSIGN(const format::SafetensorsFile file, parts.OpenFinished(PartOfLayer(k)));
      TYLLM_ASSIGN(const QuantizedLayer coded,
                   ReadLayer(block, file, plan_.format, options_.group_size));
      TYLLM_TRY(Follow(calibration, block, coded));
    }
    calibration.EndLayer();
    return OkStatus();
  }

  Status StartCalibration(CalibrationPass& calibration) {
    const Stopwatch watch(services_.clock, report_.run.seconds.calibrate);
    return calibration.Start(model_->graph.embedding, model_->checkpoint, std::move(batches_));
  }

  /// One of the stages of a layer.
  struct Stage {
    const graph::Block& block;
    std::int64_t number;  ///< from 0
    std::int64_t of;
  };

  Result<LayerStatistics> Calibrate(CalibrationPass& calibration, std::int64_t k,
                                    const Stage& stage, CalibrationPass::Weights weights) {
    const Stopwatch watch(services_.clock, report_.run.seconds.calibrate);
    return calibration.RunStage(stage.block, weights, [&](std::int64_t tokens) {
      const std::int64_t all = calibration.tokens();
      const std::int64_t done = (stage.number * all + tokens) / stage.of;
      Tell("calibrate", done == all ? k + 1 : k, Layers(), "layers",
           stage.block.name + ": " + std::to_string(done) + " of " + std::to_string(all) +
               " tokens" + TimeLeft(k));
    });
  }

  QuantizedLayer QuantizeStage(const graph::Block& stage, LayerStatistics statistics,
                               forward::BlockWeights weights) {
    const Stopwatch watch(services_.clock, report_.run.seconds.quantize);
    const LayerTask task{&stage,
                         &model_->shape(),
                         &options_,
                         [this](std::string_view module) { return !plan_.quantized.contains(module); },
                         &services_.clock,
                         &model::LinearFormatOf(plan_.format)};
    const LayerMachine& machine = machines_->first();
    QuantizedLayer coded =
        ReadsText() ? quant::QuantizeLayer(task, std::move(statistics), std::move(weights), machine)
                    : RoundLayer(task, std::move(weights), machine);
    report_.run.linear_seconds.merge(coded.seconds);
    return coded;
  }

  Status Publish(PartFiles& parts, const Path& directory) {
    const Stopwatch watch(services_.clock, report_.run.seconds.write);
    TYLLM_TRY(parts.Assemble());
    const model::Checkpoint& checkpoint = model_->checkpoint;
    const std::vector<Path> own = {kConfigFile, kReportFile};
    TYLLM_TRY(CopyPassengers(services_.files, request_.model, directory,
                             checkpoint.PassengerFiles(), own));
    return WriteFileAtomically(
        services_.files, directory / kConfigFile,
        format::PrettyJson(QuantizedModelConfig(checkpoint.config(), plan_.format,
                                                options_.group_size, plan_.kept)));
  }

  Status Verify(const PartFiles& parts, const Path& directory) {
    const Stopwatch watch(services_.clock, report_.run.seconds.verify);
    Tell("verify", 0, 1, "models", "");
    TYLLM_TRY(CheckOutput(parts, directory, model_->checkpoint.PassengerFiles(), lanes_));
    Tell("verify", 1, 1, "models", "");
    return OkStatus();
  }

  Status WriteReport(const PartFiles& parts, const Path& directory) {
    report_.output_bytes = static_cast<std::int64_t>(parts.total_bytes());
    report_.run.peak_memory_bytes = PeakMemoryBytes();
    report_.run.peak_device_bytes = machines_->peak_device_bytes();
    Summarize(report_);
    return WriteFileAtomically(services_.files, directory / kReportFile,
                               format::PrettyJson(format::ToJson(report_)));
  }

  const QuantizeRequest& request_;
  const domain::QuantizeOptions& options_;
  domain::ProgressSink& progress_;
  const QuantizeServices& services_;
  tensor::TaskLanes lanes_;
  tensor::TaskLanes writing_lanes_;  ///< of what is written in the background
  std::optional<Machines> machines_;
  std::string pairs_key_;  ///< where calibration has images
  std::optional<forward::Model> model_;
  QuantizePlan plan_;
  std::vector<forward::TokenBatch> batches_;
  QuantizationReport report_;
};

}  // namespace

Result<QuantizationReport> Quantize(const QuantizeRequest& request, domain::ProgressSink& progress,
                                    const QuantizeServices& services) {
  return tensor::CatchDeviceErrors([&] { return Quantizer(request, progress, services).Run(); });
}

}  // namespace tyllm::quant
