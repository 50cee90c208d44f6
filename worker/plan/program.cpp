// SPDX-License-Identifier: Apache-2.0
#include "worker/plan/program.h"

#include <algorithm>

namespace tyllm::plan {
namespace {

constexpr std::int64_t kLargestDecode = 8;

}  // namespace

std::vector<ProgramKind> KindsOfBucket(std::int64_t bucket, bool visual) {
  std::vector<ProgramKind> kinds;
  if (bucket <= kLargestDecode) {
    kinds.push_back(ProgramKind::kDecode);
  }
  if (bucket > 1) {
    kinds.push_back(ProgramKind::kPrefill);
  }
  if (bucket > (visual ? 1 : kLargestDecode)) {
    kinds.push_back(ProgramKind::kLlm);
  }
  return kinds;
}

std::vector<ProgramId> ProgramsOf(const std::vector<std::int64_t>& buckets, bool visual) {
  std::vector<std::int64_t> sorted = buckets;
  std::sort(sorted.begin(), sorted.end());
  std::vector<ProgramId> programs;
  for (const std::int64_t bucket : sorted) {
    for (const ProgramKind kind : KindsOfBucket(bucket, visual)) {
      programs.push_back({kind, bucket});
    }
  }
  return programs;
}

}  // namespace tyllm::plan
