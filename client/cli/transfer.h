// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "client/api/farm.h"
#include "client/cli/session.h"

namespace tyllm::client {

/// Shows bytes moved and the rate on standard error: a line redrawn on a terminal, else one every
/// few seconds.
class TransferDisplay {
 public:
  TransferDisplay(std::string what, bool quiet, const Clock& clock);
  ~TransferDisplay();

  void Show(std::uint64_t done, std::uint64_t total);

 private:
  std::string what_;
  bool quiet_;
  bool terminal_;
  const Clock& clock_;
  Clock::Steady start_;
  Clock::Steady last_{};
  std::optional<std::uint64_t> first_;  // done already when it began
};

/// ": 1.5 GB of 3.0 GB, 100.0 MB/s, 15s left", after `seconds` in which `moved` of `done` bytes
/// came.
std::string TransferNumbers(std::uint64_t done, std::uint64_t total, std::uint64_t moved,
                            double seconds);

/// `what` and its numbers in one row of a terminal: of a long path its end.
std::string TransferLine(const std::string& what, const std::string& numbers, std::size_t columns);

/// Digests a folder or file and sends what the server does not have of it.
Result<BlobId> Upload(Farm& farm, const Session& session, const Path& path, bool quiet);

/// As Upload, of these files alone; paths are relative to `root`.
Result<BlobId> UploadFiles(Farm& farm, const Session& session, const Path& root,
                           const std::vector<Path>& files, bool quiet);

/// Fetches a tree as the folder `target`, verified. One that is there and holds the same files is
/// left as it is; one that holds others is kAlreadyExists. What was interrupted goes on.
Result<Path> FetchTree(Farm& farm, const Session& session, const BlobId& id, const Path& target,
                       bool quiet);

/// Fetches the outputs of a job that has succeeded into `folder`/<domain::OutputFolderName>. A
/// folder that is there and holds the same files is left as it is; one that holds others is
/// kAlreadyExists. What was interrupted goes on. Gives the folders.
Result<std::vector<Path>> FetchOutputs(Farm& farm, const Session& session,
                                       const domain::JobView& job, const Path& folder, bool quiet);

}  // namespace tyllm::client
