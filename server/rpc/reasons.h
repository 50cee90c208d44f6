// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string_view>

#include "common/base/status.h"

namespace tyllm::server::rpc {

/// ErrorInfo.reason where a code of a method means one thing that a program can act on; elsewhere
/// the reason is the code's name. docs/manual/api-errors.md says what to do about each.
struct ReasonRow {
  std::string_view method;
  StatusCode code;
  std::string_view reason;
};

inline constexpr std::array kReasons{
    ReasonRow{"JobService.SubmitJob", StatusCode::kFailedPrecondition, "MISSING_BLOBS"},
    ReasonRow{"JobService.SubmitJob", StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"},
    ReasonRow{"JobService.CancelJob", StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"},
    ReasonRow{"JobService.CancelJob", StatusCode::kAborted, "ETAG_MISMATCH"},
    ReasonRow{"JobService.RetryJob", StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"},
    ReasonRow{"JobService.RetryJob", StatusCode::kAborted, "ETAG_MISMATCH"},
    ReasonRow{"JobService.RetryJob", StatusCode::kFailedPrecondition, "NOT_RETRYABLE"},
    ReasonRow{"JobService.UpdateJob", StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"},
    ReasonRow{"JobService.UpdateJob", StatusCode::kAborted, "ETAG_MISMATCH"},
    ReasonRow{"JobService.UpdateJob", StatusCode::kFailedPrecondition, "JOB_ENDED"},
    ReasonRow{"JobService.DeleteJob", StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"},
    ReasonRow{"JobService.DeleteJob", StatusCode::kAborted, "ETAG_MISMATCH"},
    ReasonRow{"JobService.DeleteJob", StatusCode::kFailedPrecondition, "JOB_NOT_ENDED"},
    ReasonRow{"AdminService.SetWorkerMode", StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"},
    ReasonRow{"AdminService.ForgetWorker", StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"},
    ReasonRow{"AdminService.ForgetWorker", StatusCode::kFailedPrecondition, "WORKER_IN_USE"},
    ReasonRow{"AdminService.ForgetResults", StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"},
    ReasonRow{"AdminService.SetProject", StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"},
    ReasonRow{"AdminService.SetProject", StatusCode::kAborted, "ETAG_MISMATCH"},
    ReasonRow{"AdminService.CopyQueue", StatusCode::kFailedPrecondition, "COPY_RUNNING"},
    ReasonRow{"WorkerService.Sync", StatusCode::kAborted, "SESSION_REPLACED"},
    ReasonRow{"WorkerService.AppendLog", StatusCode::kAborted, "STALE_ATTEMPT"},
    ReasonRow{"WorkerService.AppendLog", StatusCode::kOutOfRange, "LOG_GAP"},
    ReasonRow{"BlobService.Upload", StatusCode::kOutOfRange, "WRONG_OFFSET"},
    ReasonRow{"BlobService.Upload", StatusCode::kFailedPrecondition, "INCOMPLETE_UPLOAD"},
    ReasonRow{"BlobService.Upload", StatusCode::kDataLoss, "WRONG_DIGEST"},
    ReasonRow{"BlobService.Upload", StatusCode::kDeadlineExceeded, "UPLOAD_IDLE"},
};

constexpr std::string_view ReasonFor(std::string_view method, StatusCode code) {
  for (const ReasonRow& row : kReasons) {
    if (row.method == method && row.code == code) {
      return row.reason;
    }
  }
  return {};
}

}  // namespace tyllm::server::rpc
