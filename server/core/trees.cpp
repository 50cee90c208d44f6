// SPDX-License-Identifier: Apache-2.0
#include "server/core/trees.h"

#include "server/store/on_executor.h"

namespace tyllm::server::core {

namespace {

Result<TreeCheck> Look(blobs::BlobStore& blobs, const format::TreeId& id, std::uint64_t limit) {
  // Whoever looks wants it: what is found here must not go before it is referred to. So each is
  // noted first and looked for after.
  blobs.NoteUse(id);
  TYLLM_ASSIGN(const bool has_text, blobs.Has(id));
  if (!has_text) {
    return TreeCheck{.tree = {}, .missing = {id}};
  }
  if (id.size > limit) {
    return InvalidArgument("tree " + id.ToString() + " is a text of " + std::to_string(id.size) +
                           " bytes, expected at most " + std::to_string(limit));
  }
  TYLLM_ASSIGN(const std::string text, blobs.ReadSmall(id, limit));
  TreeCheck check;
  TYLLM_ASSIGN(check.tree, format::ParseTree(text));
  std::vector<BlobId> files;
  for (const format::TreeEntry& entry : check.tree.entries) {
    files.push_back(entry.blob);
  }
  for (const BlobId& file : files) {
    blobs.NoteUse(file);
  }
  TYLLM_ASSIGN(check.missing, blobs.FindMissing(files));
  return check;
}

}  // namespace

boost::asio::awaitable<Result<TreeCheck>> CheckTree(Farm& farm, format::TreeId id) {
  const std::uint64_t limit = farm.parts.limits.largest_tree_bytes;
  co_return co_await store::OnExecutor(farm.parts.blocking,
                                       [&] { return Look(farm.parts.blobs, id, limit); });
}

std::int64_t BytesOf(const format::Tree& tree) {
  std::int64_t bytes = 0;
  for (const format::TreeEntry& entry : tree.entries) {
    bytes += static_cast<std::int64_t>(entry.blob.size);
  }
  return bytes;
}

std::string NameSome(const std::vector<BlobId>& blobs) {
  constexpr std::size_t kNamed = 3;
  std::string text = std::to_string(blobs.size()) + (blobs.size() == 1 ? " blob: " : " blobs: ");
  for (std::size_t i = 0; i < blobs.size() && i < kNamed; ++i) {
    text += (i == 0 ? "" : ", ") + blobs[i].ToString();
  }
  return blobs.size() > kNamed ? text + ", ..." : text;
}

}  // namespace tyllm::server::core
