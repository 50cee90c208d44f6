// SPDX-License-Identifier: Apache-2.0
#include "worker/evaluate/dump.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <span>
#include <system_error>
#include <utility>

#include "common/base/real_path.h"
#include "common/format/safetensors.h"
#include "worker/forward/streamed_pass.h"
#include "worker/forward/visual_prompt.h"
#include "worker/tensor/backend.h"

namespace tyllm::evaluate {

namespace {

namespace fs = std::filesystem;

std::string HiddenName(std::int64_t number) {
  return "hidden." + std::to_string(number);
}

std::vector<format::TensorSpec> Specs(const model::ModelShape& shape, std::int64_t tokens) {
  std::vector<format::TensorSpec> specs = {
      {.name = "input_ids", .dtype = format::DType::kI64, .shape = {1, tokens}},
      {.name = "logits", .dtype = format::DType::kF32, .shape = {1, tokens, shape.vocabulary}}};
  for (std::int64_t i = 0; i <= shape.layers; ++i) {
    specs.push_back(
        {.name = HiddenName(i), .dtype = format::DType::kF32, .shape = {1, tokens, shape.width}});
  }
  return specs;
}

std::span<const std::byte> BytesOf(const tensor::Matrix& matrix) {
  return std::as_bytes(
      std::span(matrix.data(), static_cast<std::size_t>(matrix.rows() * matrix.columns())));
}

/// Runs the model and hands every tensor to the writer as it comes.
class DumpRun {
 public:
  DumpRun(const forward::Model& model, tensor::Backend& backend, format::SafetensorsWriter& writer)
      : model_(model), runner_(backend, model.shape()), writer_(writer) {}

  Status Run(const forward::VisualSequence& sequence) {
    const std::vector<std::int32_t>& ids = sequence.ids;
    const std::vector<std::int64_t> wide(ids.begin(), ids.end());
    TYLLM_TRY(writer_.Write("input_ids", std::as_bytes(std::span(wide))));
    const forward::TokenBatch batch{
        .sequences = 1, .length = std::ssize(ids), .ids = ids, .visual = sequence.visual};
    const std::int64_t layers = model_.shape().layers;
    TYLLM_ASSIGN(const auto hidden,
                 forward::RunBody(model_, runner_, {&batch, 1},
                                  [&](std::int64_t block, std::int64_t, const tensor::Matrix& out) {
                                    if (block < layers) {  // the last one is kept after the norm
                                      Write(HiddenName(block), out);
                                    }
                                  }));
    TYLLM_TRY(written_);
    TYLLM_ASSIGN(const forward::Head head, forward::Head::Load(model_, runner_.backend()));
    TYLLM_ASSIGN(const tensor::Matrix logits,
                 head.Logits(runner_, hidden.front(), 0, batch.length,
                             [&](const graph::Node& node, auto, const tensor::Matrix& out) {
                               if (node.op == graph::Op::kRmsNorm) {
                                 Write(HiddenName(layers), out);
                               }
                             }));
    Write("logits", logits);
    return written_;
  }

 private:
  void Write(const std::string& name, const tensor::Matrix& matrix) {
    if (written_.ok()) {
      written_ = writer_.Write(name, BytesOf(runner_.backend().Fetch(matrix.view())));
    }
  }

  const forward::Model& model_;
  forward::BlockRunner runner_;
  format::SafetensorsWriter& writer_;
  Status written_;
};

Result<forward::VisualSequence> ReadSequence(const DumpRequest& request,
                                             const forward::Model& model,
                                             tensor::Backend& backend) {
  TYLLM_ASSIGN(std::vector<std::int32_t> ids, NarrowIds(request.ids, model.shape().vocabulary));
  if (request.media.empty()) {
    return forward::VisualSequence{std::move(ids), nullptr};
  }
  TYLLM_ASSIGN(const forward::VisualPrompter prompter, forward::VisualPrompter::Open(model));
  TYLLM_ASSIGN(std::vector<vision::LoadedMedium> media, prompter.Load(request.media));
  return prompter.Read({std::move(ids), std::move(media)}, backend);
}

Status WriteDump(const forward::Model& model, tensor::Backend& backend,
                 const forward::VisualSequence& sequence, FileSystem& files, const Path& path) {
  TYLLM_ASSIGN(format::SafetensorsWriter writer,
               format::SafetensorsWriter::Create(files, path,
                                                 Specs(model.shape(), std::ssize(sequence.ids))));
  TYLLM_TRY(DumpRun(model, backend, writer).Run(sequence));
  return writer.Finish();
}

}  // namespace

Result<std::vector<std::int32_t>> NarrowIds(const std::vector<std::int64_t>& ids,
                                            std::int64_t vocabulary) {
  const auto outside =
      std::ranges::find_if(ids, [&](std::int64_t id) { return id < 0 || id >= vocabulary; });
  if (outside != ids.end()) {
    return InvalidArgument("token " + std::to_string(outside - ids.begin()) + " has id " +
                           std::to_string(*outside) + ", expected 0 to " +
                           std::to_string(vocabulary - 1) + ", the model's vocabulary");
  }
  return std::vector<std::int32_t>(ids.begin(), ids.end());
}

namespace {

/// Where the dump is to be, links followed, if it can be there.
Result<Path> PlaceOf(const DumpRequest& request) {
  TYLLM_ASSIGN(Path file, RealTarget(request.file));
  if (LiesIn(file, request.model)) {
    return InvalidArgument("--dump " + request.file.string() + " lies in the model directory " +
                           request.model.string() +
                           ", expected a file outside of it; choose another file");
  }
  std::error_code error;
  const fs::file_status found = fs::symlink_status(file, error);
  if (fs::exists(found) && !fs::is_regular_file(found)) {
    return InvalidArgument("--dump " + request.file.string() + " is " +
                           (fs::is_directory(found) ? "a folder" : "a pipe, device or socket") +
                           ", expected the name of a file, new or to be replaced");
  }
  return file;
}

/// A file of its own beside the one to be; it goes away unless it gets that one's name, also when a
/// device fails.
class PartialFile {
 public:
  static Result<std::unique_ptr<PartialFile>> Create(FileSystem& files, const Path& file) {
    const std::string stem = file.string() + ".tmp." + std::to_string(::getpid());
    std::string name = stem;
    for (int other = 1;; ++other) {
      Result<std::unique_ptr<OutputFile>> made = files.CreateNew(name);
      if (made.ok()) {
        auto partial = std::make_unique<PartialFile>(files, file, name);
        TYLLM_TRY((*made)->Close());
        return partial;
      }
      if (made.status().code() != StatusCode::kAlreadyExists || other == kMostNames) {
        return made.status();
      }
      name = stem + std::to_string(other);
    }
  }

  PartialFile(FileSystem& files, Path file, Path made)
      : files_(files), file_(std::move(file)), path_(std::move(made)) {}

  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  /// The first error is the one to tell.
  ~PartialFile() {
    if (!has_name_) {
      static_cast<void>(files_.RemoveAll(path_));
    }
  }

  const Path& path() const { return path_; }

  Status Commit() {
    TYLLM_TRY(files_.Rename(path_, file_));
    has_name_ = true;
    return OkStatus();
  }

 private:
  static constexpr int kMostNames = 100;

  FileSystem& files_;
  Path file_;
  Path path_;
  bool has_name_ = false;
};

Status DumpOn(const DumpRequest& request, FileSystem& files) {
  TYLLM_ASSIGN(const Path file, PlaceOf(request));
  TYLLM_ASSIGN(const auto backend, tensor::MakeBackend(request.device, request.threads));
  TYLLM_ASSIGN(const forward::Model model, forward::OpenModel(request.model));
  TYLLM_ASSIGN(const forward::VisualSequence sequence, ReadSequence(request, model, *backend));
  const std::int64_t tokens = std::ssize(sequence.ids);
  if (tokens < 1 || tokens > model.shape().max_positions) {
    return InvalidArgument("there are " + std::to_string(tokens) + " token ids, expected 1 to " +
                           std::to_string(model.shape().max_positions) +
                           ", the model's positions (max_position_embeddings or sliding_window)");
  }
  TYLLM_ASSIGN(const std::unique_ptr<PartialFile> partial, PartialFile::Create(files, file));
  TYLLM_TRY(WriteDump(model, *backend, sequence, files, partial->path()));
  TYLLM_TRY(partial->Commit());
  return files.SyncDirectory(file.parent_path());
}

}  // namespace

Status Dump(const DumpRequest& request, FileSystem& files) {
  return tensor::CatchDeviceErrors([&] { return DumpOn(request, files); });
}

}  // namespace tyllm::evaluate
