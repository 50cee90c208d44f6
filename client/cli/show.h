// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/domain/views.h"
#include "common/domain/worker_sync.h"

namespace tyllm::client {

/// Columns as wide as their widest cell, two spaces between; the last is not padded.
std::string Table(const std::vector<std::vector<std::string>>& rows);
/// "1.2 GB", "8.4 MB", "512 B".
std::string Bytes(std::uint64_t bytes);
/// "2m05s", "3.4s".
std::string Duration(std::int64_t milliseconds);
/// "2026-11-28 04:23:24", in local time; "-" for 0.
std::string When(std::int64_t unix_ms);
/// Control characters of text from elsewhere made harmless for a terminal.
std::string Printable(std::string_view text);

/// A job with its tasks, for people.
std::string Describe(const domain::JobView& job);
std::string Describe(const domain::Failure& failure);
std::string Describe(const std::vector<domain::JobView>& jobs);
std::string Describe(const std::vector<domain::WorkerView>& workers);
/// "quantize  layer 3 of 8", empty without progress.
std::string Describe(const domain::Progress& progress);

}  // namespace tyllm::client
