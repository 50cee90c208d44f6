// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace tyllm::wire {

/// The largest message that either side takes: gRPC's default, so that any client can talk to us.
/// What may be larger is cut into pieces or pages.
inline constexpr int kMaxMessageBytes = 4 << 20;

/// The largest `data` of one message of a blob or a log.
inline constexpr std::size_t kMaxPieceBytes = 1 << 20;

/// Of a BatchUpload or BatchDownload: `data` of all its blobs, of each, and how many there are (the
/// answer has room for an error of each).
inline constexpr std::size_t kMaxBatchBytes = 2 << 20;
inline constexpr std::size_t kMaxBatchedBlobBytes = 256 << 10;
inline constexpr std::size_t kMaxBatchBlobs = 1000;

/// The longest error message. It travels twice in the trailers, percent-encoded and in the details,
/// and all trailers together have 8 KiB.
inline constexpr std::size_t kMaxErrorBytes = 1 << 10;

/// Of a google.rpc.Status, which travels in base64 beside the message.
inline constexpr std::size_t kMaxDetailBytes = 3 << 10;

}  // namespace tyllm::wire
