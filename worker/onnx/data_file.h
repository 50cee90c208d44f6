// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "worker/onnx/model.h"

namespace tyllm::onnx {

/// The file in which a model's large tensors lie, one after another, each at a multiple of 64
/// bytes. It gets its name when it is finished.
class DataFile {
 public:
  static Result<DataFile> Create(FileSystem& files, const Path& path);

  /// Starts a tensor whose bytes come next.
  Status Begin(std::string name, Type type, std::vector<std::int64_t> shape);
  Status Append(std::span<const std::byte> bytes);
  /// The tensor that was begun; an error when it did not get the bytes that its shape says.
  Result<Tensor> End();

  Status Finish();

 private:
  DataFile(FileSystem& files, Path path, std::unique_ptr<OutputFile> file)
      : files_(&files), path_(std::move(path)), file_(std::move(file)) {}

  FileSystem* files_;
  Path path_;
  std::unique_ptr<OutputFile> file_;
  std::uint64_t position_ = 0;
  Tensor current_;
  std::uint64_t begin_ = 0;
};

}  // namespace tyllm::onnx
