// SPDX-License-Identifier: Apache-2.0
#include "worker/onnx/data_file.h"

#include <array>

namespace tyllm::onnx {
namespace {

constexpr std::uint64_t kAlignment = 64;

Path Unfinished(Path path) {
  return path += ".tmp";
}

}  // namespace

Result<DataFile> DataFile::Create(FileSystem& files, const Path& path) {
  TYLLM_ASSIGN(std::unique_ptr<OutputFile> file, files.Create(Unfinished(path)));
  return DataFile(files, path, std::move(file));
}

Status DataFile::Begin(std::string name, Type type, std::vector<std::int64_t> shape) {
  const std::array<std::byte, kAlignment> zeros{};
  TYLLM_TRY(Append(std::span(zeros).first((kAlignment - position_ % kAlignment) % kAlignment)));
  current_ = {std::move(name), type, std::move(shape), std::string()};
  begin_ = position_;
  return OkStatus();
}

Status DataFile::Append(std::span<const std::byte> bytes) {
  position_ += bytes.size();
  return file_->Append(bytes);
}

Result<Tensor> DataFile::End() {
  std::int64_t expected = SizeOf(current_.type);
  for (const std::int64_t dimension : current_.shape) {
    expected *= dimension;
  }
  const std::uint64_t found = position_ - begin_;
  if (found != static_cast<std::uint64_t>(expected)) {
    return Internal("ONNX tensor " + current_.name + " got " + std::to_string(found) +
                    " bytes, its shape says " + std::to_string(expected));
  }
  current_.data = External{path_.filename().string(), begin_, found};
  return std::move(current_);
}

Status DataFile::Finish() {
  TYLLM_TRY(file_->Sync());
  TYLLM_TRY(file_->Close());
  return files_->Rename(Unfinished(path_), path_);
}

}  // namespace tyllm::onnx
