// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <set>

#include "common/format/safetensors.h"
#include "worker/jobs/lint.h"
#include "worker/model/needed_files.h"
#include "worker/model/weight_files.h"

// What vLLM and transformers ask of the files of a model.
namespace tyllm::jobs::vllm {

namespace {

namespace fs = std::filesystem;

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

std::set<std::string> WeightFilesIn(const Path& directory) {
  std::set<std::string> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    if (entry.path().extension() == ".safetensors") {
      files.insert(entry.path().filename().string());
    }
  }
  return files;
}

/// The files that the index names, and what it does not name.
void CheckSharded(const LintSubject& subject, const std::set<std::string>& files,
                  LintFindings& findings) {
  const Path index = subject.checkpoint.directory() / kIndexFile;
  const auto text = LocalFileSystem().Read(index);
  if (!text.ok()) {
    findings.Error(text.status().message());
    return;
  }
  const auto map = model::ParseWeightMap(*text, kIndexFile);
  if (!map.ok()) {
    findings.Error(map.status().message());
    return;
  }
  std::set<std::string> named;
  for (const auto& [tensor, file] : *map) {
    named.insert(file);
  }
  for (const std::string& file : files) {
    if (!named.contains(file)) {
      findings.Warning(file + " is not in " + kIndexFile +
                       ": some readers load it too; remove it or add its tensors");
    }
  }
  for (const std::string& tensor : subject.checkpoint.TensorNames()) {
    if (!map->contains(tensor)) {
      findings.Error("tensor '" + tensor + "' is in a weight file, but not in " + kIndexFile +
                     "; write the index anew");
      return;
    }
  }
}

}  // namespace

void CheckUnusedTensors(const LintSubject& subject, LintFindings& findings) {
  std::vector<std::string> unknown = subject.checkpoint.unused_tensors();
  // Those vLLM drops by itself, and a visual tower, which it knows.
  std::erase_if(unknown, [&](const std::string& name) {
    return name.ends_with(".bias") || name.find("rotary_emb.inv_freq") != std::string::npos ||
           (subject.Sees() && name.find("visual.") != std::string::npos);
  });
  if (!unknown.empty()) {
    findings.Warning(std::to_string(unknown.size()) +
                     " tensors belong to no part of the architecture, such as " + unknown.front() +
                     ": vLLM refuses names that it does not know");
  }
}

void CheckMetadata(const LintSubject& subject, LintFindings& findings) {
  for (const std::string& name : WeightFilesIn(subject.checkpoint.directory())) {
    const auto file = format::SafetensorsFile::Open(subject.checkpoint.directory() / name);
    if (!file.ok()) {
      findings.Error(file.status().message());
      continue;
    }
    const auto& metadata = file->metadata();
    if (const auto format = metadata.find("format");
        format == metadata.end() || format->second != "pt") {
      findings.Error(name +
                     " has no {\"format\": \"pt\"} in its __metadata__, which transformers "
                     "refuses; write the file anew, for example with `tyllm convert`");
    }
  }
}

void CheckIndex(const LintSubject& subject, LintFindings& findings) {
  const std::set<std::string> files = WeightFilesIn(subject.checkpoint.directory());
  std::error_code ignored;
  const bool has_index = fs::exists(subject.checkpoint.directory() / kIndexFile, ignored);
  if (!files.contains(kSingleFile)) {
    CheckSharded(subject, files, findings);
  } else if (has_index) {
    findings.Warning(std::string(kIndexFile) + " stands beside " + kSingleFile +
                     ": an index belongs to shards only; remove it");
  } else if (files.size() > 1) {
    findings.Warning("there are weight files beside " + std::string(kSingleFile) +
                     ", which vLLM loads too; remove them");
  }
}

void CheckFiles(const LintSubject& subject, LintFindings& findings) {
  for (const model::MissingFile& file :
       model::FindMissingFiles(subject.checkpoint.directory(), subject.checkpoint.config())) {
    if (file.required) {
      findings.Error(model::Describe(file));
    } else {
      findings.Warning(model::Describe(file));
    }
  }
}

}  // namespace tyllm::jobs::vllm
