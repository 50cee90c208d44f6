// SPDX-License-Identifier: Apache-2.0
#include "worker/jobs/inspect.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "worker/artifact/artifact.h"
#include "worker/artifact/layout.h"
#include "worker/graph/graph.h"
#include "worker/model/checkpoint.h"

namespace tyllm::jobs {

namespace {

namespace fs = std::filesystem;

template <typename Share>
void MostBytesFirst(std::vector<Share>& shares) {
  std::stable_sort(shares.begin(), shares.end(),
                   [](const Share& a, const Share& b) { return a.bytes > b.bytes; });
}

Status AddTensors(const model::Checkpoint& checkpoint, ModelInspection& out) {
  std::map<std::string, DTypeShare> shares;
  for (const std::string& name : checkpoint.TensorNames()) {
    TYLLM_ASSIGN(const format::TensorView tensor, checkpoint.Find(name));
    DTypeShare& share = shares[std::string(format::kDTypeNames.Name(tensor.dtype))];
    ++share.tensors;
    share.bytes += static_cast<std::int64_t>(tensor.bytes.size());
  }
  for (auto& [dtype, share] : shares) {
    share.dtype = dtype;
    out.dtypes.push_back(share);
  }
  MostBytesFirst(out.dtypes);
  return OkStatus();
}

Status AddVisualTower(const model::Checkpoint& checkpoint, ModelInspection& out) {
  for (const std::string& name : checkpoint.visual_tensors()) {
    TYLLM_ASSIGN(const format::TensorView tensor, checkpoint.Find(name));
    ++out.visual_tensors;
    out.visual_bytes += static_cast<std::int64_t>(tensor.bytes.size());
  }
  return OkStatus();
}

void AddLinears(const model::Checkpoint& checkpoint, ModelInspection& out) {
  if (out.format == model::CheckpointFormat::kFloat) {
    return;
  }
  const graph::Graph graph = graph::BuildGraph(checkpoint.shape());
  const auto add = [&](const graph::Block& block) {
    for (const graph::Node& node : block.nodes) {
      if (node.op != graph::Op::kLinear) {
        continue;
      }
      if (checkpoint.IsQuantized(node.weight)) {
        ++out.quantized_linears;
      } else {
        out.float_linears.push_back(node.weight);
      }
    }
  };
  for (const graph::Block& layer : graph.layers) {
    add(layer);
  }
  add(graph.head);
}

void AddWeightFiles(const Path& directory, ModelInspection& out) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    if (entry.path().extension() != ".safetensors" || !entry.is_regular_file(error)) {
      continue;
    }
    out.weight_files.push_back(entry.path().filename().string());
    const std::uintmax_t bytes = entry.file_size(error);
    out.weight_bytes += error ? 0 : static_cast<std::int64_t>(bytes);
  }
  std::sort(out.weight_files.begin(), out.weight_files.end());
}

void AddShape(const model::ModelShape& shape, ModelInspection& out) {
  out.family = shape.family;
  out.architecture = shape.architecture;
  out.parameters = shape.parameters();
  out.layers = shape.layers;
  out.width = shape.width;
  out.heads = shape.heads;
  out.kv_heads = shape.kv_heads;
  out.head_size = shape.head_size;
  out.intermediate = shape.intermediate;
  out.vocabulary = shape.vocabulary;
  out.max_positions = shape.max_positions;
  out.sliding_window = shape.sliding_window;
  out.tied_head = shape.tied_head;
}

Result<Inspection> InspectModel(const Path& directory) {
  TYLLM_ASSIGN(const model::Checkpoint checkpoint, model::Checkpoint::Open(directory));
  ModelInspection out;
  out.format = checkpoint.format();
  AddShape(checkpoint.shape(), out);
  out.group_size = checkpoint.group_size();
  out.bits = out.group_size == 0 ? 0 : 4;
  TYLLM_TRY(AddTensors(checkpoint, out));
  TYLLM_TRY(AddVisualTower(checkpoint, out));
  AddLinears(checkpoint, out);
  AddWeightFiles(directory, out);
  for (const Path& file : checkpoint.PassengerFiles()) {
    out.other_files.push_back(file.string());
  }
  out.unused_tensors = checkpoint.unused_tensors();
  return Inspection(std::move(out));
}

std::string_view KindOfFile(const Path& path) {
  const std::string name = path.filename().string();
  const std::string extension = path.extension().string();
  if (extension == ".so") {
    return "programs";
  }
  if (extension == ".params" || name == artifact::kEmbeddingFile) {
    return "parameters";
  }
  if (extension == ".cpp") {
    return "source";
  }
  if (name.starts_with("ckpt_")) {
    return "records";
  }
  return name == artifact::kGoldenFile ? "goldens" : "other";
}

void AddFiles(const artifact::Manifest& manifest, ArtifactInspection& out) {
  std::map<std::string_view, FileShare> shares;
  for (const artifact::FileEntry& entry : manifest.files) {
    FileShare& share = shares[KindOfFile(entry.path)];
    ++share.files;
    share.bytes += static_cast<std::int64_t>(entry.bytes);
    out.total_bytes += static_cast<std::int64_t>(entry.bytes);
  }
  for (auto& [kind, share] : shares) {
    share.kind = kind;
    out.files.push_back(share);
  }
  MostBytesFirst(out.files);
}

std::int64_t BytesOf(const artifact::Manifest& manifest, const Path& path) {
  const auto found =
      std::find_if(manifest.files.begin(), manifest.files.end(),
                   [&](const artifact::FileEntry& f) { return f.path == path.generic_string(); });
  return found == manifest.files.end() ? 0 : static_cast<std::int64_t>(found->bytes);
}

void AddDie(const artifact::Manifest& manifest, const artifact::DieEntry& die,
            ArtifactInspection& out) {
  out.die_list.push_back({die.die, die.physical_die, die.shard.heads.size(),
                          die.shard.kv_heads.size(), static_cast<std::int64_t>(die.kv_bytes),
                          BytesOf(manifest, artifact::CommonParams(die.die)), 0});
  for (const artifact::ProgramEntry& program : die.programs) {
    std::int64_t& arena = out.die_list.back().arena_bytes;
    arena = std::max(arena, static_cast<std::int64_t>(program.arena_bytes));
    auto known = std::find_if(out.programs.begin(), out.programs.end(), [&](const auto& p) {
      return p.kind == program.kind && p.bucket == program.bucket;
    });
    if (known == out.programs.end()) {
      known = out.programs.insert(known, {program.kind, program.bucket, 0});
    }
    known->arena_bytes =
        std::max(known->arena_bytes, static_cast<std::int64_t>(program.arena_bytes));
  }
}

/// The vendor's tree has a memory plan of the vendor's: only the manifest is ours.
Result<Inspection> InspectVendorTree(const Path& directory, const artifact::Manifest& manifest) {
  ArtifactInspection out;
  out.directory = directory.string();
  out.backend = manifest.backend;
  out.model = manifest.model;
  out.toolchain = manifest.toolchain;
  out.dies = manifest.options.dies;
  out.seq_lens = manifest.options.seq_lens;
  out.max_kv = manifest.options.max_kv;
  out.embedding_as_input = manifest.options.embedding_as_input;
  out.head = manifest.options.head;
  out.activations = manifest.options.activations;
  AddFiles(manifest, out);
  return Inspection(std::move(out));
}

Result<Inspection> InspectArtifact(const Path& directory) {
  TYLLM_ASSIGN(const artifact::LabelledFolder labelled, artifact::ReadLabel(directory));
  if (labelled.manifest.backend != artifact::kSimBackend) {
    return InspectVendorTree(labelled.directory, labelled.manifest);
  }
  TYLLM_ASSIGN(const artifact::Artifact opened, artifact::OpenArtifact(directory));
  ArtifactInspection out;
  out.directory = opened.directory.string();
  out.backend = opened.manifest.backend;
  out.model = opened.manifest.model;
  out.toolchain = opened.manifest.toolchain;
  out.measured = opened.manifest.measured;
  out.dies = opened.buffers.dies;
  out.seq_lens = opened.buffers.seq_lens;
  out.max_kv = opened.buffers.max_kv;
  out.embedding_as_input = opened.buffers.embedding_as_input;
  out.head = opened.manifest.options.head;
  out.activations = opened.manifest.options.activations;
  out.group_size = opened.buffers.group;
  out.reduce_group = opened.buffers.reduce_group;
  out.in_12_bits = opened.buffers.in_12_bits;
  for (const artifact::DieEntry& die : opened.buffers.die_list) {
    AddDie(opened.manifest, die, out);
  }
  AddFiles(opened.manifest, out);
  return Inspection(std::move(out));
}

}  // namespace

Result<Inspection> Inspect(const Path& directory) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    return NotFound(directory.string() + (fs::exists(directory, error)
                                              ? " is a file, expected a folder; give the folder "
                                                "that holds it"
                                              : " does not exist"));
  }
  if (artifact::IsArtifact(directory)) {
    return InspectArtifact(directory);
  }
  if (fs::exists(directory / "config.json", error)) {
    return InspectModel(directory);
  }
  return NotFound(directory.string() +
                  " is neither a model (it has no config.json) nor a compiled model (neither it "
                  "nor a <N>die folder in it has a " +
                  std::string(artifact::kManifestFile) + ")");
}

}  // namespace tyllm::jobs
