// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/part_files.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "common/base/digest.h"

namespace tyllm::quant {

namespace {

namespace fs = std::filesystem;

constexpr const char* kSingleFile = "model.safetensors";
/// What is in memory of a tensor while it is compared or copied.
constexpr std::size_t kPieceBytes = std::size_t{4} << 20U;
constexpr const char* kIndex = "model.safetensors.index.json";

std::string Numbered(const char* format, std::size_t number, std::size_t count = 0) {
  char name[64];
  std::snprintf(name, sizeof(name), format, number, count);
  return name;
}

Path Temporary(Path path) {
  path += ".tmp";
  return path;
}

/// visit(offset, bytes) for pieces of a tensor, whose pages are given back.
template <typename Visit>
Status VisitPieces(const format::SafetensorsFile& file, const format::TensorView& tensor,
                   const Visit& visit) {
  const std::span<const std::byte> bytes = tensor.bytes;
  for (std::size_t first = 0; first < bytes.size(); first += kPieceBytes) {
    TYLLM_TRY(visit(first, bytes.subspan(first, std::min(kPieceBytes, bytes.size() - first))));
    file.Forget(tensor);
  }
  return OkStatus();
}

bool HasDigest(const format::SafetensorsFile& file, const format::TensorView& tensor,
               const std::string& expected) {
  Sha256Stream digest;
  const Status visited = VisitPieces(file, tensor, [&](std::size_t, auto piece) {
    digest.Update(piece);
    return OkStatus();
  });
  return visited.ok() && digest.Finish().Hex() == expected;
}

/// Whether a file holds exactly the tensors of `record`, byte for byte.
Status Compare(const format::SafetensorsFile& file,
               const std::map<std::string, std::string>& digests) {
  for (const auto& [name, digest] : digests) {
    const auto found = file.tensors().find(name);
    if (found == file.tensors().end() || !HasDigest(file, found->second, digest)) {
      return DataLoss(file.path().string() + ": tensor '" + name +
                      "' does not read back as it was written; check the disk");
    }
  }
  return OkStatus();
}

std::uint64_t BytesOf(std::span<const OutputPart> parts) {
  std::uint64_t total = 0;
  for (const OutputPart& part : parts) {
    total += part.bytes();
  }
  return total;
}

}  // namespace

std::uint64_t OutputPart::bytes() const {
  std::uint64_t total = 0;
  for (const format::TensorSpec& tensor : tensors) {
    total += tensor.bytes();
  }
  return total;
}

PartFiles::PartFiles(FileSystem& files, Path directory, std::vector<OutputPart> parts,
                     std::uint64_t single_file_bytes)
    : files_(&files),
      directory_(std::move(directory)),
      parts_(std::move(parts)),
      single_file_(BytesOf(parts_) <= single_file_bytes),
      records_(parts_.size()) {}

Result<PartFiles> PartFiles::Open(FileSystem& files, Path directory, std::vector<OutputPart> parts,
                                  std::uint64_t single_file_bytes) {
  PartFiles opened(files, std::move(directory), std::move(parts), single_file_bytes);
  TYLLM_TRY(files.CreateDirectories(opened.directory_ / kRecords));
  for (std::size_t part = 0; part < opened.parts_.size(); ++part) {
    opened.records_[part] = opened.ReadFinished(part);
  }
  return opened;
}

Path PartFiles::FileOf(std::size_t part) const {
  return single_file_
             ? directory_ / kRecords / Numbered("%05zu.safetensors", part + 1)
             : directory_ / Numbered("model-%05zu-of-%05zu.safetensors", part + 1, parts_.size());
}

Path PartFiles::RecordOf(std::size_t part) const {
  return directory_ / kRecords / Numbered("%05zu.json", part + 1);
}

std::optional<PartRecord> PartFiles::ReadFinished(std::size_t part) const {
  const auto json = format::ReadJsonFile(RecordOf(part));
  if (!json.ok()) {
    return std::nullopt;
  }
  auto record = format::FromJson<PartRecord>(*json, RecordOf(part).string());
  const auto file = format::SafetensorsFile::Open(FileOf(part));
  if (!record.ok() || !file.ok() || record->tensors.size() != parts_[part].tensors.size() ||
      !Compare(*file, record->tensors).ok()) {
    return std::nullopt;
  }
  return *std::move(record);
}

std::size_t PartFiles::ForgetBehindGap(std::size_t first, std::size_t last) {
  const auto begin = records_.begin() + static_cast<std::ptrdiff_t>(first);
  const auto end = records_.begin() + static_cast<std::ptrdiff_t>(last);
  const auto gap = std::find(begin, end, std::nullopt);
  std::fill(gap, end, std::nullopt);
  return static_cast<std::size_t>(gap - begin);
}

Result<format::SafetensorsFile> PartFiles::OpenFinished(std::size_t part) const {
  TYLLM_CHECK(records_[part].has_value());
  return format::SafetensorsFile::Open(FileOf(part));
}

Status PartFiles::Begin(std::size_t part) {
  TYLLM_CHECK(!writer_ && part < parts_.size() && !records_[part]);
  TYLLM_ASSIGN(
      format::SafetensorsWriter writer,
      format::SafetensorsWriter::Create(*files_, Temporary(FileOf(part)), parts_[part].tensors));
  writer_.emplace(std::move(writer));
  open_part_ = part;
  written_.clear();
  return OkStatus();
}

Status PartFiles::Write(std::string_view tensor, std::span<const std::byte> bytes) {
  TYLLM_CHECK(writer_.has_value());
  if (written_.contains(tensor)) {
    return Internal("tensor '" + std::string(tensor) + "' was written twice");
  }
  return Append(tensor, bytes);
}

Status PartFiles::Append(std::string_view tensor, std::span<const std::byte> bytes) {
  TYLLM_CHECK(writer_.has_value());
  Written& written = written_.try_emplace(std::string(tensor)).first->second;
  written.digest.Update(bytes);
  const std::uint64_t offset = std::exchange(written.bytes, written.bytes + bytes.size());
  return writer_->WritePart(tensor, offset, bytes);
}

Status PartFiles::End(PartRecord record) {
  TYLLM_CHECK(writer_.has_value());
  TYLLM_TRY(writer_->Finish().Annotate(parts_[open_part_].name));
  writer_.reset();
  for (auto& [tensor, written] : written_) {
    record.tensors[tensor] = written.digest.Finish().Hex();
  }
  const Path file = FileOf(open_part_);
  TYLLM_TRY(files_->Rename(Temporary(file), file));
  TYLLM_TRY(files_->SyncDirectory(file.parent_path()));
  // Last, because it says that the part is done.
  TYLLM_TRY(WriteFileAtomically(*files_, RecordOf(open_part_),
                                format::CompactJson(format::ToJson(record))));
  records_[open_part_] = std::move(record);
  return OkStatus();
}

Status PartFiles::WriteSingleFile() const {
  std::vector<format::TensorSpec> specs;
  for (const OutputPart& part : parts_) {
    std::ranges::copy(part.tensors, std::back_inserter(specs));
  }
  const Path file = directory_ / kSingleFile;
  TYLLM_ASSIGN(format::SafetensorsWriter writer,
               format::SafetensorsWriter::Create(*files_, Temporary(file), std::move(specs)));
  for (std::size_t part = 0; part < parts_.size(); ++part) {
    TYLLM_ASSIGN(const auto from, format::SafetensorsFile::Open(FileOf(part)));
    for (const auto& [name, view] : from.tensors()) {
      TYLLM_TRY(VisitPieces(from, view, [&, &tensor = name](std::size_t offset, auto piece) {
        return writer.WritePart(tensor, offset, piece);
      }));
    }
  }
  TYLLM_TRY(writer.Finish());
  return files_->Rename(Temporary(file), file);
}

std::string PartFiles::IndexText() const {
  std::map<std::string, std::string> places;
  for (std::size_t part = 0; part < parts_.size(); ++part) {
    for (const format::TensorSpec& tensor : parts_[part].tensors) {
      places[tensor.name] = FileOf(part).filename().string();
    }
  }
  format::Json index = format::Json::object();
  index["metadata"]["total_size"] = total_bytes();
  index["weight_map"] = format::ToJson(places);
  return format::PrettyJson(index);
}

Status PartFiles::Assemble() {
  for (std::size_t part = 0; part < parts_.size(); ++part) {
    if (!records_[part]) {
      return Internal(parts_[part].name + " was announced but not written");
    }
  }
  if (single_file_) {
    TYLLM_TRY(WriteSingleFile());
  } else {
    TYLLM_TRY(WriteFileAtomically(*files_, directory_ / kIndex, IndexText()));
  }
  return files_->SyncDirectory(directory_);
}

Status PartFiles::Verify(tensor::TaskLanes& lanes) const {
  std::vector<Status> statuses(parts_.size());
  lanes.ForEach(
      static_cast<std::int64_t>(parts_.size()), [&](std::int64_t task, std::vector<float>&) {
        const auto part = static_cast<std::size_t>(task);
        const auto file =
            format::SafetensorsFile::Open(single_file_ ? directory_ / kSingleFile : FileOf(part));
        statuses[part] = file.ok() ? Compare(*file, records_[part]->tensors) : file.status();
      });
  for (Status& status : statuses) {
    TYLLM_TRY(std::move(status));
  }
  return OkStatus();
}

std::uint64_t PartFiles::total_bytes() const {
  return BytesOf(parts_);
}

}  // namespace tyllm::quant
