// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/quantization_key.h"

#include <algorithm>
#include <vector>

#include "common/base/digest.h"
#include "common/base/version.h"
#include "common/format/image_pairs.h"
#include "common/format/json.h"

namespace tyllm::quant {

namespace {

constexpr std::size_t kPieces = 16;
constexpr std::size_t kPieceBytes = 4096;

void AddPieces(std::span<const std::byte> bytes, Sha256Stream& stream) {
  if (bytes.size() <= kPieces * kPieceBytes) {
    stream.Update(bytes);
    return;
  }
  const std::size_t last = bytes.size() - kPieceBytes;
  for (std::size_t i = 0; i < kPieces; ++i) {
    stream.Update(bytes.subspan(last / (kPieces - 1) * i, kPieceBytes));
  }
}

Status AddModel(const model::Checkpoint& checkpoint, Sha256Stream& stream) {
  for (const Path& name : checkpoint.PassengerFiles()) {
    TYLLM_ASSIGN(const BlobId blob, DigestOfFile(checkpoint.directory() / name));
    stream.Update(name.generic_string() + " " + blob.ToString() + "\n");
  }
  for (const std::string& name : checkpoint.TensorNames()) {
    TYLLM_ASSIGN(const format::TensorView view, checkpoint.Find(name));
    format::Json tensor = format::Json::array();
    tensor.push_back(name);
    tensor.push_back(format::kDTypeNames.Name(view.dtype));
    tensor.push_back(view.shape);
    stream.Update(format::CompactJson(tensor));
    AddPieces(view.bytes, stream);
    checkpoint.Forget(name);  // a look at a few bytes maps large pages around them
  }
  return OkStatus();
}

}  // namespace

Result<std::string> QuantizationKey(const model::Checkpoint& checkpoint,
                                    const domain::QuantizeOptions& options, std::string_view device,
                                    std::span<const forward::TokenBatch> batches) {
  Sha256Stream stream;
  stream.Update(std::string(Version()) + "\n");
  stream.Update(format::CompactJson(format::ToJson(options)) + "\n");
  stream.Update(device.substr(0, device.find(':')));
  for (const forward::TokenBatch& batch : batches) {
    stream.Update("\n" + std::to_string(batch.sequences) + " " + std::to_string(batch.length) +
                  "\n");
    stream.Update(std::as_bytes(std::span(batch.ids)));
    for (const std::int64_t length : batch.lengths) {
      stream.Update(" " + std::to_string(length));
    }
  }
  TYLLM_TRY(AddModel(checkpoint, stream));
  return stream.Finish().Hex();
}

Result<std::string> ImagePairsKey(const Path& file, std::int64_t most) {
  TYLLM_ASSIGN(const BlobId descriptions, DigestOfFile(file));
  Sha256Stream stream;
  stream.Update(descriptions.ToString() + "\n");
  TYLLM_ASSIGN(const std::vector<format::ImagePair> pairs, format::ReadImagePairs(file, most));
  for (const format::ImagePair& pair : pairs) {
    for (const Path& image : pair.Images()) {
      TYLLM_ASSIGN(const BlobId blob, DigestOfFile(image));
      stream.Update(blob.ToString() + "\n");
    }
  }
  return stream.Finish().Hex();
}

}  // namespace tyllm::quant
