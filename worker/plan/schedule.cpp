// SPDX-License-Identifier: Apache-2.0
#include "worker/plan/schedule.h"

#include <algorithm>

namespace tyllm::plan {

std::vector<SegmentRun> Schedule::Runs() const {
  std::vector<SegmentRun> runs{{&embed, -1}};
  for (std::size_t layer = 0; layer < kind_of_layer.size(); ++layer) {
    const auto kind = static_cast<std::size_t>(kind_of_layer[layer]);
    for (const SegmentPlan& segment : layer_kinds[kind].segments) {
      runs.push_back({&segment, static_cast<std::int64_t>(layer)});
    }
  }
  runs.push_back({&head, -1});
  return runs;
}

const Weight& Schedule::WeightOf(WeightId id, std::int32_t kind) const {
  const auto index = static_cast<std::size_t>(id);
  return index < weights.size()
             ? weights[index]
             : layer_kinds[static_cast<std::size_t>(kind)].weights[index - weights.size()];
}

std::int64_t Schedule::binding_stride() const {
  std::size_t largest = 0;
  for (const LayerKind& kind : layer_kinds) {
    largest = std::max(largest, kind.weights.size());
  }
  return static_cast<std::int64_t>(largest);
}

std::int64_t Schedule::binding_count() const {
  return std::ssize(weights) + binding_stride() * std::ssize(kind_of_layer);
}

std::int64_t Schedule::BindingOf(WeightId id, std::int64_t layer) const {
  return id < std::ssize(weights) ? id : id + layer * binding_stride();
}

Weight WeightFormats::FloatMatrix(const std::string& module, Range rows, Range columns) const {
  const auto found = in_12_bits.find(module);
  return found == in_12_bits.end()
             ? Weight{module, WeightKind::kHalf, rows, columns}
             : Weight{module, WeightKind::kHalfIn12, rows, columns, 0, found->second};
}

std::string FullName(const Schedule& schedule, WeightId id, std::int64_t layer) {
  if (id < std::ssize(schedule.weights)) {
    return schedule.weights[static_cast<std::size_t>(id)].name;
  }
  const std::int32_t kind = schedule.kind_of_layer[static_cast<std::size_t>(layer)];
  return schedule.layer_names[static_cast<std::size_t>(layer)] + "." +
         schedule.WeightOf(id, kind).name;
}

}  // namespace tyllm::plan
