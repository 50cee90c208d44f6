// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "common/base/digest.h"
#include "common/base/file_system.h"
#include "common/format/json.h"
#include "common/format/safetensors.h"
#include "worker/quant/quantization_report.h"
#include "worker/tensor/task_lanes.h"

namespace tyllm::quant {

/// Tensors that are written together: a decoder layer's, or what comes before or after all layers.
struct OutputPart {
  std::string name;  ///< for messages: "model.layers.3"
  std::vector<format::TensorSpec> tensors;

  std::uint64_t bytes() const;
};

/// What is known of a finished part, so that a later run need not make it again.
struct PartRecord {
  std::map<std::string, std::string> tensors;  ///< SHA-256 of the bytes by tensor
  std::map<std::string, std::string> codes;    ///< CodeSum by module
  std::vector<LinearReport> linears;
};

/// Weight files of a model that is made part by part and may be killed at any moment. A part that
/// was ended is found again by the next run. Above `single_file_bytes` each part is a file of the
/// model; a smaller model is put together into one file at the end. Layout of unfinished work:
/// docs/formats/checkpoints-of-tasks.md. One thread at a time.
class PartFiles {
 public:
  /// Below the directory: what readers of a model do not look for, and without which nothing is
  /// found again.
  static constexpr const char* kRecords = "unfinished_parts";

  /// Looks for finished parts in `directory`; one whose bytes are not what its record says counts
  /// as not done. `files` outlives this.
  static Result<PartFiles> Open(FileSystem& files, Path directory, std::vector<OutputPart> parts,
                                std::uint64_t single_file_bytes);

  std::size_t size() const { return parts_.size(); }

  /// nullptr until the part is done.
  const PartRecord* Find(std::size_t part) const {
    return records_[part] ? &*records_[part] : nullptr;
  }

  /// Forgets the parts of [first, last) behind the first one that is not done, as what is made one
  /// after another is made again from there. Gives the number of those that stay.
  std::size_t ForgetBehindGap(std::size_t first, std::size_t last);

  /// The file of a part that is done.
  Result<format::SafetensorsFile> OpenFinished(std::size_t part) const;

  /// One part at a time: Begin, each tensor once in any order, End.
  Status Begin(std::size_t part);
  Status Write(std::string_view tensor, std::span<const std::byte> bytes);
  /// Instead of Write: the next bytes of a tensor.
  Status Append(std::string_view tensor, std::span<const std::byte> bytes);
  /// The part is on the disk when this returns. `codes` and `linears` of `record` are the caller's.
  Status End(PartRecord record);

  /// All parts must be done. Makes what readers of a model look for.
  Status Assemble();
  /// Opens what was assembled and compares every tensor's bytes with those that were given.
  Status Verify(tensor::TaskLanes& lanes) const;

  std::uint64_t total_bytes() const;

 private:
  /// What is on the disk of a tensor.
  struct Written {
    Sha256Stream digest;
    std::uint64_t bytes = 0;
  };

  PartFiles(FileSystem& files, Path directory, std::vector<OutputPart> parts,
            std::uint64_t single_file_bytes);

  Path FileOf(std::size_t part) const;
  Path RecordOf(std::size_t part) const;
  std::optional<PartRecord> ReadFinished(std::size_t part) const;
  Status WriteSingleFile() const;
  std::string IndexText() const;

  FileSystem* files_;
  Path directory_;
  std::vector<OutputPart> parts_;
  bool single_file_;
  std::vector<std::optional<PartRecord>> records_;
  std::size_t open_part_ = 0;
  std::optional<format::SafetensorsWriter> writer_;      ///< of open_part_
  std::map<std::string, Written, std::less<>> written_;  ///< tensors of it so far
};

}  // namespace tyllm::quant

template <>
struct tyllm::format::Members<tyllm::quant::PartRecord> {
  using R = tyllm::quant::PartRecord;
  static constexpr auto kTable =
      std::tuple{Member{"tensors", &R::tensors, true}, Member{"codes", &R::codes, true},
                 Member{"linears", &R::linears, true}};
};
