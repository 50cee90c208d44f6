// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/awaitable.hpp>

#include "server/rpc/environment.h"
#include "tyllm/v1/blobs.pb.h"

namespace tyllm::server::rpc {

// Answer BlobService.BatchUpload and BatchDownload, on the threads for transfers. The messages are
// gRPC's until the call is answered.
boost::asio::awaitable<Status> ReceiveBatch(Environment environment,
                                            const v1::BatchUploadRequest* request,
                                            v1::BatchUploadResponse* response);
boost::asio::awaitable<Status> SendBatch(Environment environment,
                                         const v1::BatchDownloadRequest* request,
                                         v1::BatchDownloadResponse* response);

}  // namespace tyllm::server::rpc
