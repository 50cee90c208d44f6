// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/checkpoint_writer.h"

#include <algorithm>
#include <utility>

namespace tyllm::quant {

namespace {

/// The one weight file that readers find without an index.
constexpr const char* kWholeModel = "model.safetensors";

}  // namespace

CheckpointWriter::CheckpointWriter(FileSystem& files, Path directory, std::vector<Shard> shards)
    : files_(&files),
      directory_(std::move(directory)),
      shards_(std::move(shards)),
      open_(shards_.size()) {
  for (std::size_t s = 0; s < shards_.size(); ++s) {
    open_[s].missing = shards_[s].tensors.size();
    for (const format::TensorSpec& tensor : shards_[s].tensors) {
      places_[tensor.name] = {s, std::nullopt};
    }
  }
}

Status CheckpointWriter::Write(std::string_view tensor, std::span<const std::byte> bytes) {
  const auto place = places_.find(tensor);
  if (place == places_.end() || place->second.digest) {
    return Internal("tensor '" + std::string(tensor) + "' was " +
                    (place == places_.end() ? "not announced" : "written twice"));
  }
  OpenShard& shard = open_[place->second.shard];
  const Shard& plan = shards_[place->second.shard];
  if (!shard.writer) {
    TYLLM_ASSIGN(format::SafetensorsWriter writer,
                 format::SafetensorsWriter::Create(*files_, directory_ / plan.file, plan.tensors));
    shard.writer.emplace(std::move(writer));
  }
  TYLLM_TRY(shard.writer->Write(tensor, bytes));
  place->second.digest = DigestOf(bytes);
  if (--shard.missing == 0) {
    TYLLM_TRY(shard.writer->Finish());
    shard.writer.reset();
  }
  return OkStatus();
}

Status CheckpointWriter::Finish() {
  for (const auto& [name, place] : places_) {
    if (!place.digest) {
      return Internal("tensor '" + name + "' was announced but not written");
    }
  }
  if (shards_.size() != 1 || shards_.front().file != kWholeModel) {
    return WriteFileAtomically(*files_, directory_ / "model.safetensors.index.json",
                               IndexText(shards_));
  }
  return OkStatus();
}

Status CheckpointWriter::Verify(tensor::TaskLanes& lanes) const {
  for (const Shard& shard : shards_) {
    TYLLM_ASSIGN(const auto file, format::SafetensorsFile::Open(directory_ / shard.file));
    if (file.tensors().size() != shard.tensors.size()) {
      return DataLoss(file.path().string() + " holds " + std::to_string(file.tensors().size()) +
                      " tensors, written were " + std::to_string(shard.tensors.size()));
    }
    std::vector<std::string> names;
    for (const auto& [name, view] : file.tensors()) {
      names.push_back(name);
    }
    std::vector<char> same(names.size());
    lanes.ForEach(static_cast<std::int64_t>(names.size()), [&](std::int64_t i, auto&) {
      const auto at = static_cast<std::size_t>(i);
      const format::TensorView& view = file.tensors().find(names[at])->second;
      const auto place = places_.find(names[at]);
      same[at] = place != places_.end() && DigestOf(view.bytes) == place->second.digest ? 1 : 0;
      file.Forget(view);
    });
    const auto differs = std::ranges::find(same, 0);
    if (differs != same.end()) {
      return DataLoss(file.path().string() + ": tensor '" +
                      names[static_cast<std::size_t>(differs - same.begin())] +
                      "' does not read back as it was written; check the disk");
    }
  }
  return OkStatus();
}

Status CheckpointWriter::Verify() const {
  tensor::TaskLanes lanes(1);
  return Verify(lanes);
}

std::uint64_t CheckpointWriter::total_bytes() const {
  std::uint64_t total = 0;
  for (const Shard& shard : shards_) {
    for (const format::TensorSpec& tensor : shard.tensors) {
      total += tensor.bytes();
    }
  }
  return total;
}

}  // namespace tyllm::quant
