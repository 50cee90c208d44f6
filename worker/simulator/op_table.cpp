// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/op_table.h"

#include <algorithm>
#include <map>

#include "worker/plan/phases.h"
#include "worker/plan/weight_layout.h"

namespace tyllm::simulator {
namespace {

using std::chrono::steady_clock;

double StepBytes(const plan::Schedule& schedule, const plan::Step& step, std::int32_t kind,
                 std::int64_t tokens, std::int64_t history) {
  if (step.kind == plan::StepKind::kLinear) {
    return static_cast<double>(plan::WeightBytes(schedule.WeightOf(step.weights.front(), kind)));
  }
  if (step.kind == plan::StepKind::kAttention) {
    const plan::AttentionShape& a = schedule.attention;
    constexpr std::int64_t kHalfBytes = 2;
    return static_cast<double>(2 * a.kv_heads * a.head_size * (history + tokens) * kHalfBytes);
  }
  return 0;
}

double PhaseBytes(const plan::Schedule& schedule, const plan::Phase& phase, std::int32_t kind,
                  std::int64_t tokens, std::int64_t history) {
  double bytes = 0;
  for (const plan::Step& step : phase.steps) {
    bytes += StepBytes(schedule, step, kind, tokens, history);
  }
  return bytes;
}

std::int32_t KindOf(const plan::Schedule& schedule, const plan::SegmentRun& run) {
  return run.layer < 0 ? 0 : schedule.kind_of_layer[static_cast<std::size_t>(run.layer)];
}

/// When the parts of one phase of one call began and ended.
struct Interval {
  steady_clock::time_point begin = steady_clock::time_point::max();
  steady_clock::time_point end = steady_clock::time_point::min();

  void Add(const TaskSpan& span) {
    begin = std::min(begin, span.begin);
    end = std::max(end, span.end);
  }

  double Milliseconds() const {
    return std::chrono::duration<double, std::milli>(end - begin).count();
  }
};

using Intervals = std::map<std::pair<std::uint32_t, std::uint32_t>, Interval>;

Intervals IntervalsOf(const TaskLog& log) {
  Intervals intervals;
  for (const std::vector<TaskSpan>& worker : log) {
    for (const TaskSpan& span : worker) {
      intervals[{span.segment, span.phase}].Add(span);
    }
  }
  return intervals;
}

/// Rows in the order in which they first ran.
class Rows {
 public:
  BenchOp& At(const std::string& segment, const std::string& op) {
    const auto found = std::find_if(rows_.begin(), rows_.end(), [&](const BenchOp& row) {
      return row.segment == segment && row.op == op;
    });
    return found != rows_.end() ? *found : rows_.emplace_back(BenchOp{segment, op, 0, 0, 0, 0, 0});
  }

  std::vector<BenchOp> Take() { return std::move(rows_); }

 private:
  std::vector<BenchOp> rows_;
};

/// The segments of schedules and their phases, found out once for each.
class Segments {
 public:
  struct Segment {
    plan::SegmentRun run;
    std::int32_t kind = 0;
    std::vector<plan::Phase> phases;

    /// The phase, if it is one: a die without heads has fewer than the others.
    const plan::Phase* Find(std::uint32_t phase) const {
      return phase < phases.size() ? &phases[phase] : nullptr;
    }
  };

  const Segment& At(const plan::Schedule& schedule, std::uint32_t segment) {
    std::vector<Segment>& known = known_[&schedule];
    if (known.empty()) {
      for (const plan::SegmentRun& run : schedule.Runs()) {
        const std::int32_t kind = KindOf(schedule, run);
        known.push_back({run, kind, plan::PhasesOf(schedule, *run.plan, kind)});
      }
    }
    return known.at(segment);
  }

  /// What a span is called: as the first die calls it that has the phase.
  std::string NameOf(const LoggedCall& call, std::uint32_t segment, std::uint32_t phase) {
    if (phase == TaskSpan::kCollective) {
      return "sum over dies";
    }
    for (const plan::Schedule* const schedule : call.schedules) {
      if (const plan::Phase* const found = At(*schedule, segment).Find(phase)) {
        return found->name;
      }
    }
    return "phase " + std::to_string(phase);
  }

 private:
  std::map<const plan::Schedule*, std::vector<Segment>> known_;
};

}  // namespace

void ShareOut(const TaskLog& log, std::vector<LoggedCall>& calls) {
  for (LoggedCall& call : calls) {
    call.log.resize(log.size());
  }
  for (std::size_t worker = 0; worker < log.size(); ++worker) {
    for (const TaskSpan& span : log[worker]) {
      calls.at(span.call).log[worker].push_back(span);
    }
  }
}

double BytesOfCall(std::span<const plan::Schedule* const> schedules, std::int64_t tokens,
                   std::int64_t history) {
  double bytes = 0;
  for (const plan::Schedule* const schedule : schedules) {
    for (const plan::SegmentRun& run : schedule->Runs()) {
      for (const plan::Step& step : run.plan->steps) {
        bytes += StepBytes(*schedule, step, KindOf(*schedule, run), tokens, history);
      }
    }
  }
  return bytes;
}

std::vector<BenchOp> OpsOf(std::span<const LoggedCall> calls) {
  Rows rows;
  Segments segments;
  for (const LoggedCall& call : calls) {
    for (const auto& [where, interval] : IntervalsOf(call.log)) {
      const auto [segment, phase] = where;
      const std::string& name = segments.At(*call.schedules[0], segment).run.plan->name;
      BenchOp& row = rows.At(name, segments.NameOf(call, segment, phase));
      row.calls += 1;
      row.milliseconds += interval.Milliseconds();
      for (const plan::Schedule* const schedule : call.schedules) {
        const Segments::Segment& own = segments.At(*schedule, segment);
        if (const plan::Phase* const found = own.Find(phase)) {
          row.bytes += PhaseBytes(*schedule, *found, own.kind, call.tokens, call.history);
        }
      }
    }
  }
  return rows.Take();
}

std::string ChromeTrace(std::span<const LoggedCall> calls) {
  format::Json events = format::Json::array();
  const auto microseconds = [](steady_clock::duration d) {
    return std::chrono::duration<double, std::micro>(d).count();
  };
  steady_clock::time_point start = steady_clock::time_point::max();
  for (const LoggedCall& call : calls) {
    for (const auto& [where, interval] : IntervalsOf(call.log)) {
      start = std::min(start, interval.begin);
    }
  }
  Segments segments;
  for (const LoggedCall& call : calls) {
    for (std::size_t worker = 0; worker < call.log.size(); ++worker) {
      for (const TaskSpan& span : call.log[worker]) {
        const plan::SegmentRun& run = segments.At(*call.schedules[0], span.segment).run;
        events.push_back({{"name", segments.NameOf(call, span.segment, span.phase)},
                          {"cat", run.plan->name},
                          {"ph", "X"},
                          {"ts", microseconds(span.begin - start)},
                          {"dur", microseconds(span.end - span.begin)},
                          {"pid", 1},
                          {"tid", worker},
                          {"args", {{"layer", run.layer}, {"die", span.die}}}});
      }
    }
  }
  return format::CompactJson({{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}});
}

}  // namespace tyllm::simulator
