// SPDX-License-Identifier: Apache-2.0
#include "worker/jobs/diff.h"

#include <algorithm>
#include <map>
#include <set>

#include "worker/artifact/artifact.h"

namespace tyllm::jobs {
namespace {

using Facts = std::map<std::string, std::string>;

/// Every value under a dotted name; lists of plain values as one text.
void Flatten(const format::Json& json, const std::string& name, Facts& facts) {
  const auto is_plain = [](const format::Json& j) { return !j.is_structured(); };
  if (is_plain(json) || (json.is_array() && std::all_of(json.begin(), json.end(), is_plain))) {
    facts[name] = json.is_string() ? json.get<std::string>() : format::CompactJson(json);
    return;
  }
  std::size_t index = 0;
  for (const auto& [key, value] : json.items()) {
    const std::string own = json.is_array() ? std::to_string(index++) : key;
    Flatten(value, name.empty() ? own : name + "." + own, facts);
  }
}

/// What a compiled model says of itself, but for its files and the places of single buffers.
Facts FactsOf(const artifact::Artifact& artifact) {
  format::Json manifest = format::ToJson(artifact.manifest);
  manifest.erase("files");
  manifest.erase("seal");
  Facts facts;
  Flatten(manifest, "", facts);
  format::Json buffers = format::ToJson(artifact.buffers);
  for (format::Json& die : buffers["die_list"]) {
    for (format::Json& program : die["programs"]) {
      program.erase("buffers");
    }
  }
  Flatten(buffers, "", facts);
  return facts;
}

void CompareFacts(const Facts& a, const Facts& b, DirectoryDifference& out) {
  std::set<std::string> names;
  for (const Facts* facts : {&a, &b}) {
    for (const auto& [name, value] : *facts) {
      names.insert(name);
    }
  }
  const auto value_of = [](const Facts& facts, const std::string& name) {
    const auto found = facts.find(name);
    return found == facts.end() ? std::string() : found->second;
  };
  for (const std::string& name : names) {
    const std::string in_a = value_of(a, name);
    const std::string in_b = value_of(b, name);
    if (in_a != in_b) {
      out.facts.push_back({name, in_a, in_b});
    }
  }
}

void CompareFiles(const artifact::Manifest& a, const artifact::Manifest& b,
                  DirectoryDifference& out) {
  std::map<std::string, std::string> digests;
  for (const artifact::FileEntry& file : a.files) {
    digests[file.path] = file.sha256;
  }
  for (const artifact::FileEntry& file : b.files) {
    const auto found = digests.find(file.path);
    if (found == digests.end()) {
      out.only_in_b.push_back(file.path);
      continue;
    }
    if (found->second != file.sha256) {
      out.changed.push_back(file.path);
    }
    digests.erase(found);
  }
  for (const auto& [path, digest] : digests) {
    out.only_in_a.push_back(path);
  }
}

}  // namespace

Result<DirectoryDifference> Diff(const Path& a, const Path& b) {
  TYLLM_ASSIGN(const artifact::Artifact first, artifact::OpenArtifact(a));
  TYLLM_ASSIGN(const artifact::Artifact second, artifact::OpenArtifact(b));
  DirectoryDifference out;
  out.a = first.directory.string();
  out.b = second.directory.string();
  CompareFacts(FactsOf(first), FactsOf(second), out);
  CompareFiles(first.manifest, second.manifest, out);
  out.same =
      out.facts.empty() && out.only_in_a.empty() && out.only_in_b.empty() && out.changed.empty();
  return out;
}

}  // namespace tyllm::jobs
