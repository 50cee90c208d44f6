// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <boost/asio/awaitable.hpp>

#include "common/format/tree.h"
#include "server/core/farm.h"

namespace tyllm::server::core {

/// What the blob store has of a tree.
struct TreeCheck {
  format::Tree tree;            ///< empty while its text is missing
  std::vector<BlobId> missing;  ///< the text of the tree itself, or files of it
};

/// kInvalidArgument when the blob is no tree's text. Looks at the disk on the farm's blocking
/// threads.
boost::asio::awaitable<Result<TreeCheck>> CheckTree(Farm& farm, format::TreeId id);

/// Bytes of a tree's files.
std::int64_t BytesOf(const format::Tree& tree);

/// "3 blobs: <id>, <id>, ...": at most a few of them.
std::string NameSome(const std::vector<BlobId>& blobs);

}  // namespace tyllm::server::core
