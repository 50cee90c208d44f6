// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/digest.h"
#include "common/base/result.h"
#include "tests/bench/measured_server.h"
#include "tyllm/v1/jobs.pb.h"

// The queue through gRPC, as clients and workers use it.
namespace tyllm::bench {

/// A tree of one small file that the server has: every job's model and every task's output.
Result<BlobId> UploadSmallTree(const MeasuredServer& server);
/// The same without a server, into the data folder of one that does not run.
Result<BlobId> StoreSmallTree(const std::filesystem::path& data);

/// Job number `number`: a specification of 512 bytes. Evaluations of different numbers are
/// different work; conversions are run whatever was run before.
v1::SubmitJobRequest JobOf(v1::JobKind kind, const std::string& name, std::int64_t number,
                           const BlobId& model);

/// Puts `count` evaluations into the queue of a data folder whose server does not run.
Status FillQueue(const std::filesystem::path& data, const BlobId& model, std::int64_t count);

/// Calls a second, `in_flight` at a time: SubmitJob of `count` jobs, each answered when it is on
/// the disk.
double SubmitRate(const MeasuredServer& server, const BlobId& model, std::int64_t count,
                  int in_flight, const std::string& name);

/// As SubmitRate, over one SubmitJobs with so many jobs unanswered at a time.
double StreamRate(const MeasuredServer& server, const BlobId& model, std::int64_t count,
                  int in_flight, const std::string& name);

struct Workers {
  int count = 0;
  int slots = 1;  ///< of each
};

/// Tasks a second: workers report what they have finished and get the next in the same answer,
/// until `count` are done. So many evaluations must be queued.
double ClaimAndCompleteRate(const MeasuredServer& server, const BlobId& output, std::int64_t count,
                            const Workers& farm);

/// Milliseconds from the call that submits a conversion to the answer that gives it to the one
/// worker that takes conversions and waits, sorted.
std::vector<double> DispatchLatencies(const MeasuredServer& server, const BlobId& tree, int count,
                                      const std::string& name);

}  // namespace tyllm::bench
