// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/visual/tower_build.h"

#include <map>
#include <memory>

#include "worker/artifact/buffer_config.h"
#include "worker/artifact/visual_layout.h"
#include "worker/compile/finished_params.h"
#include "worker/compile/visual/tower_onnx.h"
#include "worker/compile/visual/tower_source.h"
#include "worker/compile/visual/tower_weights.h"
#include "worker/forward/tower.h"
#include "worker/vision/preprocess.h"

namespace tyllm::compile {

namespace {

/// Size of the images that the programs take.
Result<vision::Size> SizeFor(const Path& model, const model::VisionShape& shape,
                             const domain::VisualOptions& options) {
  TYLLM_ASSIGN(const domain::ImageSize asked, domain::ParseImageSize(options.image));
  if (options.modality == domain::Modality::kVideo) {
    TYLLM_ASSIGN(const vision::Processor processor, vision::VideoProcessorOf(model, shape));
    return vision::ProcessedVideoSize(processor, {asked.width, asked.height}, options.frames);
  }
  TYLLM_ASSIGN(const vision::Processor processor, vision::ImageProcessorOf(model, shape));
  return vision::ProcessedSize(processor, {asked.width, asked.height});
}

Status WriteText(FileSystem& files, const Path& path, const format::Json& json) {
  return WriteFileAtomically(files, path, format::PrettyJson(json));
}

format::Json ShapeJson(const std::vector<std::int64_t>& shape) {
  format::Json json = format::Json::array();
  for (const std::int64_t side : shape) {
    json.push_back(side);
  }
  return json;
}

/// The memory plan of one die's program.
format::Json DescribeMemory(const plan::TowerSchedule& schedule, std::int64_t die) {
  format::Json buffers = format::Json::array();
  for (const plan::TowerBuffer& buffer : schedule.buffers) {
    if (buffer.bytes > 0) {
      buffers.push_back({{"name", buffer.name},
                         {"rows", buffer.rows},
                         {"columns", buffer.columns},
                         {"offset", buffer.offset},
                         {"bytes", buffer.bytes}});
    }
  }
  return {{"die", die}, {"arena_bytes", schedule.arena_bytes}, {"buffers", std::move(buffers)}};
}

format::Json InputsJson(const plan::TowerSchedule& schedule) {
  format::Json inputs = format::Json::array();
  for (const plan::TowerInput& input : schedule.inputs) {
    inputs.push_back({{"name", plan::kTowerInputNames.Name(input.kind)},
                      {"dtype", plan::kTowerElementNames.Name(input.element)},
                      {"shape", ShapeJson(input.shape)},
                      {"preset", input.kind != plan::TowerInputKind::kPixels}});
  }
  return inputs;
}

format::Json OutputsJson(const plan::TowerSchedule& schedule) {
  format::Json outputs = format::Json::array();
  for (std::int64_t i = 0; i < schedule.outputs(); ++i) {
    outputs.push_back({{"name", i == 0 ? "tokens" : "deepstack_" + std::to_string(i - 1)},
                       {"dtype", "float32"},
                       {"shape", {schedule.tokens(), schedule.shape.out_width}}});
  }
  return outputs;
}

/// Inputs, outputs, and the blocks in running order with the steps of their kinds.
format::Json DescribeGraph(const plan::TowerSchedule& schedule) {
  format::Json kinds = format::Json::array();
  for (const plan::TowerBlockKind& kind : schedule.kinds) {
    format::Json segments = format::Json::array();
    for (const plan::TowerSegment& segment : kind.segments) {
      format::Json steps = format::Json::array();
      for (const plan::TowerStep& step : segment.steps) {
        steps.push_back(plan::kTowerStepNames.Name(step.kind));
      }
      segments.push_back({{"name", segment.name},
                          {"steps", std::move(steps)},
                          {"sum_over_dies", segment.after == die::Collective::kAllReduceSum}});
    }
    kinds.push_back({{"name", kind.name}, {"segments", std::move(segments)}});
  }
  format::Json blocks = format::Json::array();
  for (const plan::TowerBlockRun& run : schedule.runs) {
    blocks.push_back(
        {{"name", run.name}, {"kind", schedule.kinds[static_cast<std::size_t>(run.kind)].name}});
  }
  return {{"inputs", InputsJson(schedule)},
          {"outputs", OutputsJson(schedule)},
          {"kinds", std::move(kinds)},
          {"blocks", std::move(blocks)}};
}

format::Json DescribeAot(const TowerPlan& plan) {
  const artifact::VisualConfig& config = plan.config;
  return {{"program", kTowerProgram},
          {"signature", config.signature},
          {"modality", domain::kModalityNames.Name(config.modality)},
          {"input_width", config.width},
          {"input_height", config.height},
          {"frames", config.frames},
          {"dtype", "float16"},
          {"num_die", config.die_list.size()},
          {"vm_die_remap", config.vm_die_remap},
          {"tokens", config.tokens}};
}

struct TowerProgram {
  GeneratedProgram program;
  std::shared_ptr<const std::string> object;
};

/// Of each of `dies`. Dies whose programs are the same share an object; the others are compiled
/// side by side.
Result<std::vector<TowerProgram>> BuildPrograms(const TowerPlan& plan,
                                                const std::vector<std::int64_t>& dies,
                                                const ObjectBuilder& builder, ThreadPool& pool) {
  std::vector<TowerProgram> programs;
  std::map<std::string, std::size_t> first;  // with this source, in `programs`
  std::vector<std::size_t> distinct;
  for (const std::int64_t die : dies) {
    GeneratedProgram program = GenerateTower(plan.schedules[static_cast<std::size_t>(die)],
                                             builder.toolchain().target_cpu);
    if (first.emplace(program.digest, programs.size()).second) {
      distinct.push_back(programs.size());
    }
    programs.push_back({std::move(program), nullptr});
  }
  std::vector<Result<std::string>> objects(distinct.size(), std::string());
  ThreadPool compilers(CompilersThatFit(pool.threads()));
  compilers.ParallelFor(std::ssize(distinct), [&](std::int64_t i) {
    const auto at = static_cast<std::size_t>(i);
    objects[at] = builder.Build(programs[distinct[at]].program);
  });
  for (std::size_t i = 0; i < distinct.size(); ++i) {
    TYLLM_ASSIGN(std::string object, std::move(objects[i]));
    programs[distinct[i]].object = std::make_shared<const std::string>(std::move(object));
  }
  for (TowerProgram& program : programs) {
    program.object = programs[first.at(program.program.digest)].object;
  }
  return programs;
}

/// Packs the parameters of those of `dies` that no earlier run has packed: [dies].
Result<std::vector<artifact::FileEntry>> PackMissing(FileSystem& files, const TowerPlan& plan,
                                                     const model::Checkpoint& checkpoint,
                                                     const std::vector<std::int64_t>& dies,
                                                     ThreadPool& pool, const Path& root,
                                                     domain::ProgressSink& progress) {
  FinishedParams finished(files, root);
  std::vector<TowerTarget> targets;
  std::vector<std::size_t> missing;  // in `weights`
  std::vector<artifact::FileEntry> weights;
  for (const std::int64_t die : dies) {
    const Path path = artifact::TowerParams(die);
    const plan::TowerSchedule& schedule = plan.schedules[static_cast<std::size_t>(die)];
    const std::uint64_t bytes = artifact::LayOut(TowerSpecs(schedule)).file_bytes;
    TYLLM_ASSIGN(const auto kept, finished.Find(path, bytes));
    if (!kept) {
      targets.push_back({root / path, die, &schedule});
      missing.push_back(weights.size());
    }
    weights.push_back(kept ? *kept : artifact::FileEntry{path.generic_string(), bytes, ""});
  }
  TYLLM_ASSIGN(const std::vector<std::string> digests,
               WriteTowerParams(files, checkpoint, targets, pool, progress));
  for (std::size_t i = 0; i < digests.size(); ++i) {
    weights[missing[i]].sha256 = digests[i];
    TYLLM_TRY(finished.Keep(weights[missing[i]]));
  }
  return weights;
}

}  // namespace

Result<TowerPlan> PlanTower(const forward::Model& model, const domain::VisualOptions& options,
                            std::int64_t dies) {
  TYLLM_TRY(domain::Check(options));
  TowerPlan plan;
  TYLLM_ASSIGN(plan.tower, forward::OpenTower(model));
  const model::VisionShape& shape = plan.tower.shape;
  TYLLM_ASSIGN(const vision::Size size, SizeFor(model.checkpoint.directory(), shape, options));
  artifact::VisualConfig& config = plan.config;
  config.module = model.shape().names.visual;
  config.modality = options.modality;
  config.width = size.width;
  config.height = size.height;
  config.frames = options.modality == domain::Modality::kVideo ? options.frames : 1;
  config.grid = {.frames = (config.frames + shape.temporal_patch - 1) / shape.temporal_patch,
                 .rows = size.height / shape.patch,
                 .columns = size.width / shape.patch};
  config.tokens = config.grid.patches() / shape.unit();
  config.vm_die_remap = options.vm_die_remap;
  TYLLM_ASSIGN(const std::vector<plan::TowerShard> shards, plan::ShardTower(shape, dies));
  for (std::int64_t die = 0; die < dies; ++die) {
    TYLLM_ASSIGN(plan::TowerSchedule schedule,
                 plan::BuildTowerSchedule(plan.tower, config.grid, shards, die));
    const auto at = static_cast<std::size_t>(die);
    config.die_list.push_back({die, options.vm_die_remap.empty() ? die : options.vm_die_remap[at],
                               shards[at], schedule.arena_bytes});
    plan.schedules.push_back(std::move(schedule));
  }
  config.signature = plan::SignatureOf(plan.schedules.front().inputs);
  return plan;
}

Status CheckTowerDies(const forward::Model& model, std::int64_t dies) {
  TYLLM_ASSIGN(const graph::Tower tower, forward::OpenTower(model));
  return plan::ShardTower(tower.shape, dies).status();
}

Result<std::vector<artifact::FileEntry>> BuildTowerDies(
    FileSystem& files, const TowerPlan& plan, const forward::Model& model,
    const std::vector<std::int64_t>& dies, const ObjectBuilder& builder, bool keep_source,
    ThreadPool& pool, const Path& root, domain::ProgressSink& progress) {
  TYLLM_TRY(files.CreateDirectories(root / artifact::kVisualFolder));
  TYLLM_ASSIGN(std::vector<artifact::FileEntry> weights,
               PackMissing(files, plan, model.checkpoint, dies, pool, root, progress));
  TYLLM_ASSIGN(const std::vector<TowerProgram> programs, BuildPrograms(plan, dies, builder, pool));
  std::int64_t done = 0;
  for (const std::int64_t die : dies) {
    const plan::TowerSchedule& schedule = plan.schedules[static_cast<std::size_t>(die)];
    const auto& [program, object] = programs[static_cast<std::size_t>(done)];
    TYLLM_TRY(WriteFileAtomically(files, root / artifact::TowerObject(die), *object));
    if (keep_source) {
      TYLLM_TRY(WriteFileAtomically(files, root / artifact::TowerSource(die), program.source));
    }
    TYLLM_TRY(
        WriteText(files,
                  root / artifact::TowerFile(plan.config.signature,
                                             "buffer_config_" + std::to_string(die) + ".json"),
                  DescribeMemory(schedule, die)));
    TYLLM_TRY(WriteTowerOnnx(
        files, model.checkpoint, schedule, die,
        root / artifact::TowerFile(plan.config.signature, std::to_string(die) + ".onnx")));
    progress.Report({"compile_visual", ++done, std::ssize(dies), "programs", ""});
  }
  return weights;
}

Status WriteTowerFiles(FileSystem& files, const TowerPlan& plan, const forward::Model& model,
                       const Path& root) {
  TYLLM_TRY(files.CreateDirectories(root / artifact::kVisualFolder));
  const plan::TowerSchedule& schedule = plan.schedules.front();
  const std::string& signature = plan.config.signature;
  TYLLM_ASSIGN(const std::string preset,
               TowerPreset(model.checkpoint, schedule, plan.config.module));
  TYLLM_TRY(WriteFileAtomically(files, root / artifact::TowerFile(signature, "preset_kwargs.pt"),
                                preset));
  TYLLM_TRY(WriteText(files, root / artifact::TowerFile(signature, "graph.json"),
                      DescribeGraph(schedule)));
  const Path folder = root / artifact::kVisualFolder;
  TYLLM_TRY(WriteText(files, folder / artifact::kBufferConfigFile, format::ToJson(plan.config)));
  return WriteText(files, folder / artifact::kAotConfigFile, DescribeAot(plan));
}

}  // namespace tyllm::compile
