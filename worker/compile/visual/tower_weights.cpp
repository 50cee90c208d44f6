// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/visual/tower_weights.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "common/format/float16.h"
#include "worker/artifact/torch_archive.h"
#include "worker/compile/half_rows.h"
#include "worker/die/linear_f16.h"
#include "worker/die/packing.h"
#include "worker/graph/tower_layout.h"
#include "worker/simulator/tower_params.h"

namespace tyllm::compile {

namespace {

using artifact::Element;
using artifact::ParamSpec;
using plan::TowerSchedule;
using plan::TowerWeight;

std::uint64_t BlockBytes(const TowerWeight& weight) {
  return die::LinearF16BlockBytes(static_cast<std::uint64_t>(weight.packed_columns));
}

ParamSpec SpecOf(const std::string& block, const TowerWeight& weight) {
  const std::string name = simulator::TowerParamName(block, weight);
  if (!weight.is_matrix) {
    return {name, Element::kFloat32, {weight.packed_rows}};
  }
  return {name,
          Element::kUint8,
          {weight.packed_rows / die::kRowBlock, static_cast<std::int64_t>(BlockBytes(weight))}};
}

/// Writes one die's file.
class TowerWriter {
 public:
  TowerWriter(FileSystem& files, const model::Checkpoint& checkpoint, ThreadPool& pool)
      : files_(files), checkpoint_(checkpoint), pool_(pool) {}

  /// Called with bytes as they are written.
  using OnBytes = std::function<void(std::int64_t bytes, const std::string& name)>;

  /// Gives the file's SHA-256.
  Result<std::string> Write(const TowerTarget& target, const OnBytes& on_bytes) {
    const TowerSchedule& schedule = *target.schedule;
    Path unfinished = target.path;
    unfinished += ".tmp";
    std::vector<ParamSpec> specs = TowerSpecs(schedule);
    TYLLM_ASSIGN(artifact::ParamsWriter writer,
                 artifact::ParamsWriter::Create(files_, unfinished, specs));
    std::size_t index = 0;
    for (const plan::TowerBlockRun& run : schedule.runs) {
      for (const TowerWeight& weight : schedule.kinds[static_cast<std::size_t>(run.kind)].weights) {
        const std::string tensor = run.name + "." + weight.tensor;
        TYLLM_TRY(weight.is_matrix ? WriteMatrix(tensor, weight, index, writer)
                                   : WriteVector(tensor, weight, target.die, index, writer));
        on_bytes(static_cast<std::int64_t>(specs[index].bytes()), tensor);
        ++index;
      }
      checkpoint_.Forget(run.name + ".");
    }
    const std::array<std::int32_t, 2> range{static_cast<std::int32_t>(schedule.shard.pixels.begin),
                                            static_cast<std::int32_t>(schedule.shard.pixels.end)};
    TYLLM_TRY(writer.Append(index, std::as_bytes(std::span(range))));
    TYLLM_TRY(writer.Finish());
    TYLLM_TRY(files_.Rename(unfinished, target.path));
    return writer.sha256();
  }

 private:
  Status WriteVector(const std::string& tensor, const TowerWeight& weight, std::int64_t die,
                     std::size_t index, artifact::ParamsWriter& writer) const {
    std::vector<float> numbers(static_cast<std::size_t>(weight.packed_rows));
    if (!weight.once || die == 0) {
      TYLLM_ASSIGN(const std::vector<float> all, checkpoint_.ReadFloats(tensor));
      if (std::ssize(all) < weight.rows.end) {
        return InvalidArgument("tensor " + tensor + " has " + std::to_string(all.size()) +
                               " numbers, expected at least " + std::to_string(weight.rows.end));
      }
      std::copy(all.begin() + weight.rows.begin, all.begin() + weight.rows.end, numbers.begin());
    }
    return writer.Append(index, std::as_bytes(std::span(numbers)));
  }

  Status WriteMatrix(const std::string& tensor, const TowerWeight& weight, std::size_t index,
                     artifact::ParamsWriter& writer) {
    TYLLM_ASSIGN(const HalfRows rows, HalfRows::OpenTensor(checkpoint_, tensor));
    if (rows.rows() < weight.rows.end || rows.columns() < weight.columns.end) {
      return InvalidArgument("tensor " + tensor + " is [" + std::to_string(rows.rows()) + ", " +
                             std::to_string(rows.columns()) + "], expected at least [" +
                             std::to_string(weight.rows.end) + ", " +
                             std::to_string(weight.columns.end) + "]");
    }
    const auto bytes = static_cast<std::size_t>(BlockBytes(weight));
    const std::int64_t blocks = weight.packed_rows / die::kRowBlock;
    packed_.resize(bytes * static_cast<std::size_t>(blocks));
    std::vector<Status> statuses(static_cast<std::size_t>(blocks));
    pool_.ParallelFor(blocks, [&](std::int64_t block) {
      const auto at = static_cast<std::size_t>(block);
      statuses[at] = PackBlock(rows, weight, block, std::span(packed_).subspan(at * bytes, bytes));
    });
    for (Status& status : statuses) {
      TYLLM_TRY(std::move(status));
    }
    return writer.Append(index, packed_);
  }

  static Status PackBlock(const HalfRows& rows, const TowerWeight& weight, std::int64_t block,
                          std::span<std::byte> out) {
    const std::int64_t first = block * die::kRowBlock;
    const std::int64_t count =
        std::clamp<std::int64_t>(weight.rows.size() - first, 0, die::kRowBlock);
    const auto pitch = static_cast<std::size_t>(weight.packed_columns);
    std::vector<std::uint16_t> halves(die::kRowBlock * pitch);
    for (std::int64_t r = 0; r < count; ++r) {
      TYLLM_TRY(
          rows.Read(weight.rows.begin + first + r, weight.columns.begin,
                    std::span(halves).subspan(static_cast<std::size_t>(r) * pitch,
                                              static_cast<std::size_t>(weight.columns.size()))));
    }
    die::PackF16Block(halves, die::kRowBlock, weight.packed_columns, weight.packed_columns, out);
    return OkStatus();
  }

  FileSystem& files_;
  const model::Checkpoint& checkpoint_;
  ThreadPool& pool_;
  std::vector<std::byte> packed_;
};

std::vector<std::byte> BytesOf(const auto& numbers) {
  const auto bytes = std::as_bytes(std::span(numbers));
  return {bytes.begin(), bytes.end()};
}

/// Position embeddings of the patches, each mixed of four rows of the model's table.
Result<std::vector<std::byte>> PlacesOf(const model::Checkpoint& checkpoint,
                                        const TowerSchedule& schedule,
                                        const graph::TowerLayout& layout,
                                        const std::string& visual) {
  const std::string name = visual + ".pos_embed.weight";
  TYLLM_ASSIGN(const std::vector<float> table, checkpoint.ReadFloats(name));
  const std::int64_t width = schedule.shape.width;
  const std::int64_t side = schedule.shape.grid_side;
  if (std::ssize(table) != side * side * width) {
    return InvalidArgument("tensor " + name + " has " + std::to_string(table.size()) +
                           " numbers, expected " + std::to_string(side * side * width));
  }
  std::vector<std::uint16_t> halves;
  halves.reserve(static_cast<std::size_t>(schedule.patches() * width));
  for (std::int64_t patch = 0; patch < schedule.patches(); ++patch) {
    for (std::int64_t c = 0; c < width; ++c) {
      float sum = 0;
      for (std::int64_t corner = 0; corner < 4; ++corner) {
        const auto at = static_cast<std::size_t>(4 * patch + corner);
        sum += layout.grid_weights[at] *
               table[static_cast<std::size_t>(layout.grid_rows[at] * width + c)];
      }
      halves.push_back(format::FloatToHalf(sum));
    }
  }
  return BytesOf(halves);
}

artifact::TorchElement ElementOf(plan::TowerElement element) {
  switch (element) {
    case plan::TowerElement::kFloat16:
      return artifact::TorchElement::kFloat16;
    case plan::TowerElement::kFloat32:
      return artifact::TorchElement::kFloat32;
    case plan::TowerElement::kInt32:
      break;
  }
  return artifact::TorchElement::kInt32;
}

}  // namespace

std::vector<ParamSpec> TowerSpecs(const TowerSchedule& schedule) {
  std::vector<ParamSpec> specs;
  for (const plan::TowerBlockRun& run : schedule.runs) {
    for (const TowerWeight& weight : schedule.kinds[static_cast<std::size_t>(run.kind)].weights) {
      specs.push_back(SpecOf(run.name, weight));
    }
  }
  specs.push_back({std::string(simulator::kPixelRangeParam), Element::kInt32, {2}});
  return specs;
}

Result<std::vector<std::string>> WriteTowerParams(FileSystem& files,
                                                  const model::Checkpoint& checkpoint,
                                                  const std::vector<TowerTarget>& targets,
                                                  ThreadPool& pool,
                                                  domain::ProgressSink& progress) {
  std::int64_t total = 0;
  for (const TowerTarget& target : targets) {
    for (const ParamSpec& spec : TowerSpecs(*target.schedule)) {
      total += static_cast<std::int64_t>(spec.bytes());
    }
  }
  std::int64_t done = 0;
  TowerWriter writer(files, checkpoint, pool);
  std::vector<std::string> digests;
  for (const TowerTarget& target : targets) {
    TYLLM_ASSIGN(digests.emplace_back(),
                 writer.Write(target, [&](std::int64_t bytes, const std::string& name) {
                   done += bytes;
                   progress.Report({"pack_visual", done, total, "bytes", name});
                 }));
  }
  return digests;
}

Result<std::string> TowerPreset(const model::Checkpoint& checkpoint, const TowerSchedule& schedule,
                                const std::string& visual) {
  const graph::TowerLayout layout = graph::LayOut(schedule.shape, schedule.grid);
  std::vector<std::vector<std::byte>> data;
  std::vector<artifact::TorchTensor> tensors;
  for (const plan::TowerInput& input : schedule.inputs) {
    if (input.kind == plan::TowerInputKind::kPixels) {
      continue;
    }
    if (input.kind == plan::TowerInputKind::kPlaces) {
      TYLLM_ASSIGN(data.emplace_back(), PlacesOf(checkpoint, schedule, layout, visual));
    } else {
      data.push_back(simulator::TowerTable(layout, input.kind));
    }
    tensors.push_back({std::string(plan::kTowerInputNames.Name(input.kind)),
                       ElementOf(input.element),
                       input.shape,
                       {}});
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    tensors[i].bytes = data[i];
  }
  return artifact::WriteTorchArchive(tensors);
}

}  // namespace tyllm::compile
