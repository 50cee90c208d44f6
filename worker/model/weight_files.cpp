// SPDX-License-Identifier: Apache-2.0
#include "worker/model/weight_files.h"

#include <filesystem>
#include <utility>

namespace tyllm::model {

namespace {

constexpr std::string_view kSingleFile = "model.safetensors";
constexpr std::string_view kIndexFile = "model.safetensors.index.json";
constexpr std::string_view kExtension = ".safetensors";

bool Exists(const Path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

/// "No such file" would be no help where a folder shows the name.
Status CheckLink(const Path& path) {
  std::error_code error;
  if (!std::filesystem::is_symlink(std::filesystem::symlink_status(path, error)) || Exists(path)) {
    return OkStatus();
  }
  const Path target = std::filesystem::read_symlink(path, error);
  return NotFound(path.string() + " is a link to " + target.string() +
                  ", which is not there; mend the link, or download the model again");
}

/// A name in the model's own folder and nothing else.
bool IsPlainFileName(std::string_view name) {
  return name.size() > kExtension.size() && name.ends_with(kExtension) &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

}  // namespace

Result<std::map<std::string, std::string>> ParseWeightMap(std::string_view text,
                                                          std::string_view what) {
  // A sorted map: an index of 100,000 tensors must not take quadratic time.
  const nlohmann::json index = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (index.is_discarded()) {
    return InvalidArgument(std::string(what) + " is not valid JSON; fix or replace the file");
  }
  const auto weights = index.is_object() ? index.find("weight_map") : index.end();
  if (!index.is_object() || weights == index.end() || !weights->is_object()) {
    return InvalidArgument(std::string(what) +
                           " has no object 'weight_map' from tensor names to file names");
  }
  std::map<std::string, std::string> map;
  for (const auto& [tensor, file] : weights->items()) {
    if (!file.is_string() || !IsPlainFileName(file.get_ref<const std::string&>())) {
      return InvalidArgument(std::string(what) + ": weight_map['" + tensor.substr(0, 120) +
                             "'] is not the name of a .safetensors file of this folder");
    }
    map.emplace(tensor, file.get<std::string>());
  }
  if (map.empty()) {
    return InvalidArgument(std::string(what) + ": weight_map is empty");
  }
  return map;
}

Result<WeightFiles> WeightFiles::Open(const Path& directory) {
  WeightFiles weights;
  const Path single = directory / kSingleFile;
  const Path index = directory / kIndexFile;
  TYLLM_TRY(CheckLink(single));
  TYLLM_TRY(CheckLink(index));
  if (Exists(single)) {
    TYLLM_TRY(weights.AddFile(single));
  } else if (Exists(index)) {
    TYLLM_TRY(weights.AddShards(directory, index));
    weights.has_index_ = true;
  } else {
    return NotFound(directory.string() + " has no weights: expected " + std::string(kSingleFile) +
                    ", or " + std::string(kIndexFile) + " with the shards it names");
  }
  return weights;
}

Status WeightFiles::AddFile(const Path& path) {
  TYLLM_ASSIGN(format::SafetensorsFile file, format::SafetensorsFile::Open(path));
  files_.push_back(std::move(file));
  for (const auto& [name, view] : files_.back().tensors()) {
    entries_[name] = {files_.size() - 1, &view};
  }
  return OkStatus();
}

Status WeightFiles::AddShards(const Path& directory, const Path& index) {
  TYLLM_ASSIGN(const std::string text, LocalFileSystem().Read(index));
  TYLLM_ASSIGN(const auto map, ParseWeightMap(text, index.string()));
  std::map<std::string_view, std::size_t> opened;
  for (const auto& [tensor, name] : map) {
    const Path shard = directory / name;
    if (opened.emplace(name, files_.size()).second) {
      TYLLM_TRY(CheckLink(shard));
      if (!Exists(shard)) {
        return NotFound(shard.string() + " is missing, but " + index.string() +
                        " names it as the file of '" + tensor +
                        "'; download the model again or complete it");
      }
      TYLLM_TRY(AddFile(shard));
    }
  }
  // A tensor in two shards is taken from where the index says; one that the index does not know
  // stays visible.
  for (const auto& [tensor, name] : map) {
    const std::size_t file = opened.at(name);
    const auto view = files_[file].tensors().find(tensor);
    if (view == files_[file].tensors().end()) {
      return InvalidArgument(files_[file].path().string() + " has no tensor '" + tensor +
                             "', but " + index.string() +
                             " says so; download the model again, the two do not belong together");
    }
    entries_[tensor] = {file, &view->second};
  }
  return OkStatus();
}

const format::TensorView* WeightFiles::Find(std::string_view tensor) const {
  const auto it = entries_.find(tensor);
  return it == entries_.end() ? nullptr : it->second.view;
}

const Path& WeightFiles::FileOf(std::string_view tensor) const {
  const auto it = entries_.find(tensor);
  TYLLM_CHECK(it != entries_.end());
  return files_[it->second.file].path();
}

std::vector<std::string> WeightFiles::Names() const {
  std::vector<std::string> names;
  names.reserve(entries_.size());
  for (const auto& [name, entry] : entries_) {
    names.push_back(name);
  }
  return names;
}

std::vector<Path> WeightFiles::FileNames() const {
  std::vector<Path> names;
  for (const format::SafetensorsFile& file : files_) {
    names.push_back(file.path().filename());
  }
  if (has_index_) {
    names.emplace_back(kIndexFile);
  }
  return names;
}

void WeightFiles::Forget(std::string_view prefix) const {
  for (auto it = entries_.lower_bound(prefix);
       it != entries_.end() && it->first.starts_with(prefix); ++it) {
    files_[it->second.file].Forget(*it->second.view);
  }
}

}  // namespace tyllm::model
