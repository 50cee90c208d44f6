// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/compare_segments.h"

#include <algorithm>
#include <cmath>

#include "worker/simulator/session.h"

namespace tyllm::simulator {

namespace {

/// What the segments of one engine left, [segments][all numbers of all chunks].
struct Trace {
  std::vector<std::vector<float>> segments;
  std::vector<float> logits;
};

Result<Trace> Record(const LoadedArtifact& loaded, std::span<const std::int32_t> tokens) {
  TYLLM_ASSIGN(Session session, Session::Open(loaded, {}));
  Trace trace;
  session.Observe([&](std::size_t segment, std::span<const float> numbers) {
    trace.segments.resize(std::max(trace.segments.size(), segment + 1));
    trace.segments[segment].insert(trace.segments[segment].end(), numbers.begin(), numbers.end());
  });
  TYLLM_ASSIGN(trace.logits, session.Feed(tokens));
  return trace;
}

}  // namespace

SegmentDifference CompareNumbers(std::string name, std::int64_t layer, std::span<const float> found,
                                 std::span<const float> expected) {
  SegmentDifference out{std::move(name), layer, 0, 0, 1};
  double error = 0;
  double size = 0;
  double found_size = 0;
  double product = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto f = static_cast<double>(found[i]);
    const auto e = static_cast<double>(expected[i]);
    const double difference = std::fabs(f - e);
    // A number that is none becomes the largest, and stays it.
    if (!std::isnan(out.max_difference) && !(difference <= out.max_difference)) {
      out.max_difference = difference;
    }
    error += difference * difference;
    size += e * e;
    found_size += f * f;
    product += f * e;
  }
  out.relative_error = size > 0 ? std::sqrt(error / size) : std::sqrt(error);
  if (size > 0 || found_size > 0) {
    out.cosine = product / std::max(std::sqrt(size) * std::sqrt(found_size), 1e-300);
  }
  return out;
}

Result<std::vector<SegmentDifference>> CompareSegments(const Path& directory,
                                                       std::span<const std::int32_t> tokens) {
  TYLLM_ASSIGN(const LoadedArtifact compiled, LoadedArtifact::Load(directory, Engine::kCompiled));
  TYLLM_ASSIGN(const LoadedArtifact plain, LoadedArtifact::Load(directory, Engine::kInterpreter));
  TYLLM_ASSIGN(const Trace found, Record(compiled, tokens));
  TYLLM_ASSIGN(const Trace expected, Record(plain, tokens));
  const plan::Schedule& schedule = *compiled.programs()[0].dies[0].schedule;
  const std::vector<plan::SegmentRun> runs = schedule.Runs();
  std::vector<SegmentDifference> out;
  for (std::size_t s = 0; s < runs.size(); ++s) {
    if (!expected.segments[s].empty()) {
      out.push_back(CompareNumbers(runs[s].plan->name, runs[s].layer, found.segments[s],
                                   expected.segments[s]));
    }
  }
  out.push_back(CompareNumbers("logits", -1, found.logits, expected.logits));
  return out;
}

}  // namespace tyllm::simulator
