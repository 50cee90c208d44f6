// SPDX-License-Identifier: Apache-2.0
#include "worker/artifact/embedding_table.h"

#include <cstring>
#include <filesystem>
#include <utility>

#include "common/format/float16.h"
#include "worker/artifact/layout.h"
#include "worker/artifact/visual_layout.h"

namespace tyllm::artifact {

Result<EmbeddingTable> EmbeddingTable::Open(const Path& folder) {
  EmbeddingTable table;
  table.path_ = folder / kEmbeddingParamsFile;
  std::error_code error;
  if (!std::filesystem::exists(table.path_, error)) {
    table.path_ = folder / kEmbeddingFile;
    TYLLM_ASSIGN(NpyTable npy, NpyTable::Open(table.path_));
    table.rows_ = npy.rows();
    table.columns_ = npy.columns();
    table.npy_ = std::move(npy);
    return table;
  }
  TYLLM_ASSIGN(ParamsFile file, ParamsFile::Open(table.path_));
  TYLLM_ASSIGN(const Param param, file.Find(kEmbeddingParam));
  if (param.element != Element::kFloat16 || param.shape.size() < 2) {
    return DataLoss(table.path_.string() + ": tensor " + std::string(kEmbeddingParam) +
                    " is not a matrix of float16; compile the model again");
  }
  table.rows_ = param.shape[param.shape.size() - 2];
  table.columns_ = param.shape.back();
  if (static_cast<std::uint64_t>(table.rows_) * static_cast<std::uint64_t>(table.columns_) * 2 !=
      param.bytes.size()) {
    return DataLoss(table.path_.string() + ": tensor " + std::string(kEmbeddingParam) + " has " +
                    std::to_string(param.shape.size()) +
                    " dimensions, expected two; compile the model again");
  }
  table.data_ = param.bytes;
  table.params_ = std::move(file);
  return table;
}

void EmbeddingTable::Read(std::int64_t r, std::span<float> out) const {
  if (npy_) {
    npy_->Read(r, out);
    return;
  }
  const std::byte* const row = data_.data() + r * columns_ * 2;
  for (std::size_t c = 0; c < out.size(); ++c) {
    std::uint16_t half = 0;
    std::memcpy(&half, row + 2 * c, sizeof(half));
    out[c] = format::HalfToFloat(half);
  }
}

void EmbeddingTable::Forget() const {
  if (npy_) {
    npy_->Forget();
  } else {
    params_->Forget(data_);
  }
}

}  // namespace tyllm::artifact
