// SPDX-License-Identifier: Apache-2.0
#include "tests/support/power_cut_file_system.h"

#include <fstream>
#include <sstream>

namespace tyllm::testing {

namespace {

namespace fs = std::filesystem;

std::string ReadAll(const Path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

class PowerCutFileSystem::File final : public OutputFile {
 public:
  File(PowerCutFileSystem& owner, Path path, std::unique_ptr<OutputFile> file)
      : owner_(owner), path_(std::move(path)), file_(std::move(file)) {}

  using OutputFile::Append;

  Status Append(std::span<const std::byte> bytes) override {
    TYLLM_TRY(owner_.Change());
    return file_->Append(bytes);
  }

  Status WriteAt(std::uint64_t offset, std::span<const std::byte> bytes) override {
    TYLLM_TRY(owner_.Change());
    return file_->WriteAt(offset, bytes);
  }

  Status Sync() override {
    TYLLM_TRY(owner_.Change());
    owner_.durable_[path_] = ReadAll(path_);
    return OkStatus();
  }

  Status Close() override { return file_->Close(); }

 private:
  PowerCutFileSystem& owner_;
  const Path path_;
  std::unique_ptr<OutputFile> file_;
};

Status PowerCutFileSystem::Change() {
  return power_.Use() ? OkStatus() : Unavailable("the power is gone");
}

Result<std::unique_ptr<OutputFile>> PowerCutFileSystem::Open(const Path& path, bool truncate) {
  TYLLM_TRY(Change());
  if (!fs::exists(path)) {
    names_.push_back({path, {}});
    durable_[path] = "";
  } else if (!durable_.contains(path)) {
    durable_[path] = ReadAll(path);  // from before this file system
  }
  auto file = truncate ? LocalFileSystem().Create(path) : LocalFileSystem().OpenForUpdate(path);
  TYLLM_TRY(file.status());
  return std::unique_ptr<OutputFile>(std::make_unique<File>(*this, path, *std::move(file)));
}

Result<std::unique_ptr<OutputFile>> PowerCutFileSystem::Create(const Path& path) {
  return Open(path, true);
}

Result<std::unique_ptr<OutputFile>> PowerCutFileSystem::CreateNew(const Path& path) {
  return fs::exists(path) ? AlreadyExists(path.string() + " exists") : Open(path, true);
}

Result<std::unique_ptr<OutputFile>> PowerCutFileSystem::OpenForUpdate(const Path& path) {
  return Open(path, false);
}

Status PowerCutFileSystem::Rename(const Path& from, const Path& to) {
  TYLLM_TRY(Change());
  TYLLM_TRY(LocalFileSystem().Rename(from, to));
  // A file that was never synced under its old name is no more durable under its new one.
  if (const auto known = durable_.extract(from)) {
    durable_[to] = known.mapped();
  }
  names_.push_back({to, from});
  return OkStatus();
}

Status PowerCutFileSystem::RemoveAll(const Path& path) {
  TYLLM_TRY(Change());
  durable_.erase(path);
  std::erase_if(names_, [&](const Name& name) { return name.path == path; });
  return LocalFileSystem().RemoveAll(path);
}

Status PowerCutFileSystem::CreateDirectories(const Path& path) {
  TYLLM_TRY(Change());
  for (Path missing = path; !missing.empty() && !fs::exists(missing);
       missing = missing.parent_path()) {
    names_.insert(names_.begin(), {missing, {}});
  }
  return LocalFileSystem().CreateDirectories(path);
}

Status PowerCutFileSystem::SyncDirectory(const Path& directory) {
  TYLLM_TRY(Change());
  std::erase_if(names_, [&](const Name& name) { return name.path.parent_path() == directory; });
  return OkStatus();
}

void PowerCutFileSystem::LosePower() {
  while (power_.Use()) {
  }
  for (const auto& [path, content] : durable_) {
    if (fs::exists(path)) {
      std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    }
  }
  std::error_code ignored;
  for (auto name = names_.rbegin(); name != names_.rend(); ++name) {
    if (name->from.empty()) {
      fs::remove_all(name->path, ignored);
    } else {
      fs::rename(name->path, name->from, ignored);
    }
  }
}

}  // namespace tyllm::testing
