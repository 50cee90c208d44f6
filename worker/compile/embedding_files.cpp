// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "worker/artifact/npy.h"
#include "worker/artifact/visual_layout.h"
#include "worker/compile/half_rows.h"
#include "worker/compile/weights.h"

namespace tyllm::compile {

namespace {

/// Calls `append` with the rows of the embedding table, some at a time, and gives back the pages
/// that they were read from.
template <typename Append>
Status ReadEmbedding(const model::Checkpoint& checkpoint, const HalfRows& table,
                     const Append& append) {
  constexpr std::int64_t kRowsAtOnce = 1024;
  const auto columns = static_cast<std::size_t>(table.columns());
  std::vector<std::uint16_t> rows;
  for (std::int64_t first = 0; first < table.rows(); first += kRowsAtOnce) {
    const std::int64_t count = std::min(kRowsAtOnce, table.rows() - first);
    rows.resize(static_cast<std::size_t>(count) * columns);
    for (std::int64_t r = 0; r < count; ++r) {
      TYLLM_TRY(table.Read(
          first + r, 0, std::span(rows).subspan(static_cast<std::size_t>(r) * columns, columns)));
    }
    TYLLM_TRY(append(std::as_bytes(std::span(rows))));
    checkpoint.Forget(checkpoint.shape().names.embedding);
  }
  return OkStatus();
}

}  // namespace

Status WriteEmbeddingParams(FileSystem& files, const model::Checkpoint& checkpoint,
                            const Path& path) {
  TYLLM_ASSIGN(const HalfRows table,
               HalfRows::Open(checkpoint, std::string(checkpoint.shape().names.embedding)));
  Path unfinished = path;
  unfinished += ".tmp";
  TYLLM_ASSIGN(artifact::ParamsWriter writer,
               artifact::ParamsWriter::Create(files, unfinished,
                                              {{std::string(artifact::kEmbeddingParam),
                                                artifact::Element::kFloat16,
                                                {table.rows(), table.columns()}}}));
  TYLLM_TRY(ReadEmbedding(checkpoint, table,
                          [&](std::span<const std::byte> rows) { return writer.Append(0, rows); }));
  TYLLM_TRY(writer.Finish());
  return files.Rename(unfinished, path);
}

Status WriteEmbeddingTable(FileSystem& files, const model::Checkpoint& checkpoint,
                           const Path& path) {
  TYLLM_ASSIGN(const HalfRows table,
               HalfRows::Open(checkpoint, std::string(checkpoint.shape().names.embedding)));
  Path unfinished = path;
  unfinished += ".tmp";
  TYLLM_ASSIGN(const std::unique_ptr<OutputFile> file, files.Create(unfinished));
  TYLLM_TRY(file->Append(artifact::NpyHeader(table.rows(), table.columns())));
  TYLLM_TRY(ReadEmbedding(checkpoint, table,
                          [&](std::span<const std::byte> rows) { return file->Append(rows); }));
  TYLLM_TRY(file->Sync());
  TYLLM_TRY(file->Close());
  return files.Rename(unfinished, path);
}

}  // namespace tyllm::compile
