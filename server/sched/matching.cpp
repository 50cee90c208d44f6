// SPDX-License-Identifier: Apache-2.0
#include "server/sched/matching.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <map>
#include <optional>
#include <tuple>

#include "common/domain/tools.h"

namespace tyllm::server::sched {

namespace {

using domain::Capabilities;
using domain::MatchRule;
using domain::Requirement;
using domain::Shortfall;
using Workers = std::span<const Capabilities* const>;

constexpr std::string_view kCpus = "cpus";
constexpr std::string_view kMemory = "memory_bytes";
constexpr std::string_view kGpuMemory = "gpu_memory_bytes";
constexpr std::string_view kDiskFree = "disk_free_bytes";
constexpr std::string_view kDies = "dies";

struct NumberRow {
  std::string_view property;
  std::int64_t (*value)(const Capabilities&);
};

// 0 dies: any number.
std::int64_t DiesOf(const Capabilities& c) {
  return c.dies == 0 ? std::numeric_limits<std::int64_t>::max() : c.dies;
}

constexpr std::array kNumbers{
    NumberRow{kCpus, [](const Capabilities& c) -> std::int64_t { return c.cpus; }},
    NumberRow{kMemory, [](const Capabilities& c) { return c.memory_bytes; }},
    NumberRow{"gpus", [](const Capabilities& c) -> std::int64_t { return c.gpus; }},
    NumberRow{kGpuMemory, [](const Capabilities& c) { return c.gpu_memory_bytes; }},
    NumberRow{kDiskFree, [](const Capabilities& c) { return c.disk_free_bytes; }},
    NumberRow{kDies, DiesOf},
};

struct TextRow {
  std::string_view property;
  std::string Capabilities::* text;
};

constexpr std::array kTexts{
    TextRow{"device", &Capabilities::device},
    TextRow{"gpu", &Capabilities::gpu},
    TextRow{"toolchain_version", &Capabilities::toolchain_version},
};

std::string ValueOf(const std::map<std::string, std::string>& all, std::string_view name) {
  const auto found = all.find(std::string(name));
  return found == all.end() ? "" : found->second;
}

Requirement Tool(std::string_view name, MatchRule rule, std::string value) {
  return {std::string(domain::kToolProperty) + std::string(name), rule, std::move(value)};
}

std::optional<std::int64_t> Number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value)
                                                                  : std::nullopt;
}

bool TakesKind(const Capabilities& worker, domain::TaskKind kind) {
  return worker.kinds.empty() ||
         std::find(worker.kinds.begin(), worker.kinds.end(), kind) != worker.kinds.end();
}

bool IsCompilerToChoose(const Requirement& one) {
  return one.property == kCompilerToChoose;
}

// But for a choice that is the farm's.
std::vector<Requirement> Unmet(const Capabilities& worker, const Needs& needs) {
  std::vector<Requirement> unmet;
  for (const Requirement& requirement : needs.requirements) {
    if (!IsCompilerToChoose(requirement) && !Meets(worker, requirement)) {
      unmet.push_back(requirement);
    }
  }
  return unmet;
}

Needs Sorted(Needs needs) {
  const auto key = [](const Requirement& one) {
    return std::tie(one.property, one.rule, one.value);
  };
  auto& all = needs.requirements;
  std::sort(all.begin(), all.end(),
            [&](const Requirement& a, const Requirement& b) { return key(a) < key(b); });
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return needs;
}

// The largest number, or the text that most workers state.
std::string BestOf(const Requirement& asked, Workers workers) {
  std::map<std::string, int> counts;
  std::optional<std::int64_t> largest;
  for (const Capabilities* worker : workers) {
    const std::string offered = PropertyOf(*worker, asked.property);
    if (const auto number = Number(offered); number && asked.rule == MatchRule::kMinimum) {
      largest = std::max(largest.value_or(*number), *number);
    } else if (!offered.empty()) {
      ++counts[offered];
    }
  }
  if (asked.rule == MatchRule::kMinimum) {
    return largest ? std::to_string(*largest) : "";
  }
  const auto most =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == counts.end() ? "" : most->first;
}

}  // namespace

std::string PropertyOf(const Capabilities& worker, std::string_view property) {
  for (const NumberRow& row : kNumbers) {
    if (row.property == property) {
      return std::to_string(row.value(worker));
    }
  }
  for (const TextRow& row : kTexts) {
    if (row.property == property) {
      return worker.*row.text;
    }
  }
  if (property.starts_with(domain::kLabelProperty)) {
    return ValueOf(worker.labels, property.substr(domain::kLabelProperty.size()));
  }
  if (property.starts_with(domain::kToolProperty)) {
    return ValueOf(worker.tools, property.substr(domain::kToolProperty.size()));
  }
  return "";
}

bool Meets(const Capabilities& worker, const Requirement& requirement) {
  const std::string offered = PropertyOf(worker, requirement.property);
  switch (requirement.rule) {
    case MatchRule::kExact:
      return offered == requirement.value;
    case MatchRule::kMinimum: {
      const auto has = Number(offered);
      const auto wanted = Number(requirement.value);
      return has && wanted && *has >= *wanted;
    }
    case MatchRule::kPreferred:
      return true;
    case MatchRule::kPresent:
      return !offered.empty();
  }
  return false;
}

bool CanTake(const Capabilities& worker, const Needs& needs) {
  return TakesKind(worker, needs.kind) &&
         std::all_of(needs.requirements.begin(), needs.requirements.end(),
                     [&](const Requirement& one) { return Meets(worker, one); });
}

int PreferencesMet(const Capabilities& worker, const Needs& needs) {
  return static_cast<int>(std::count_if(
      needs.requirements.begin(), needs.requirements.end(), [&](const Requirement& one) {
        return one.rule == MatchRule::kPreferred && PropertyOf(worker, one.property) == one.value;
      }));
}

std::vector<Shortfall> FindShortfalls(const Needs& needs, Workers all) {
  std::vector<const Capabilities*> workers;
  std::copy_if(all.begin(), all.end(), std::back_inserter(workers),
               [&](const Capabilities* worker) { return TakesKind(*worker, needs.kind); });
  std::vector<Shortfall> lacking;
  for (const Requirement& one : needs.requirements) {
    if (!workers.empty() && !IsCompilerToChoose(one) &&
        std::ranges::none_of(workers, [&](const auto* worker) { return Meets(*worker, one); })) {
      lacking.push_back({one, BestOf(one, workers)});
    }
  }
  if (!lacking.empty() || workers.empty()) {
    return lacking;
  }
  const auto unmet = [&](const Capabilities* worker) { return Unmet(*worker, needs).size(); };
  const Capabilities* const closest =
      *std::min_element(workers.begin(), workers.end(),
                        [&](const auto* a, const auto* b) { return unmet(a) < unmet(b); });
  for (const Requirement& one : Unmet(*closest, needs)) {
    lacking.push_back({one, PropertyOf(*closest, one.property)});
  }
  const auto choice = std::ranges::find_if(needs.requirements, IsCompilerToChoose);
  if (lacking.empty() && choice != needs.requirements.end()) {
    lacking.push_back({*choice, ""});
  }
  return lacking;
}

domain::Resources ResourcesOf(const Needs& needs) {
  domain::Resources used;
  for (const Requirement& one : needs.requirements) {
    constexpr std::int64_t kMostBytes = std::int64_t{1} << 50;  // so that many can be added
    const std::int64_t value = std::min(Number(one.value).value_or(0), kMostBytes);
    if (one.rule != MatchRule::kMinimum) {
      continue;
    }
    if (one.property == kMemory) {
      used.memory_bytes = std::max(used.memory_bytes, value);
    } else if (one.property == kGpuMemory) {
      used.gpu_memory_bytes = std::max(used.gpu_memory_bytes, value);
    } else if (one.property == kDiskFree) {
      used.disk_bytes = std::max(used.disk_bytes, value);
    } else if (one.property == kCpus) {
      constexpr std::int64_t kMost = 1 << 20;  // so that many can be added
      used.cpus = std::max(used.cpus, static_cast<std::int32_t>(std::min(value, kMost)));
    }
  }
  return used;
}

domain::Resources Sum(const domain::Resources& a, const domain::Resources& b) {
  return {.memory_bytes = a.memory_bytes + b.memory_bytes,
          .gpu_memory_bytes = a.gpu_memory_bytes + b.gpu_memory_bytes,
          .disk_bytes = a.disk_bytes + b.disk_bytes,
          .cpus = a.cpus + b.cpus};
}

bool HasRoom(const Capabilities& worker, const domain::Resources& used, const Needs& needs) {
  if (!CanTake(worker, needs)) {
    return false;
  }
  const domain::Resources more = ResourcesOf(needs);
  const auto fits = [](std::int64_t wanted, std::int64_t taken, std::int64_t all) {
    return wanted == 0 || wanted <= all - taken;
  };
  return fits(more.memory_bytes, used.memory_bytes, worker.memory_bytes) &&
         fits(more.cpus, used.cpus, worker.cpus) &&
         (worker.gpus > 1 ||
          fits(more.gpu_memory_bytes, used.gpu_memory_bytes, worker.gpu_memory_bytes));
}

Needs NeedsOf(const domain::PlannedTask& task, const std::vector<Requirement>& of_job) {
  const domain::TaskSpec& spec = task.spec;
  Needs needs{spec.kind, of_job};
  if (domain::HasCompiler(spec)) {
    needs.requirements.push_back(
        {std::string(kDies), MatchRule::kMinimum, std::to_string(spec.compile.dies)});
  }
  if (domain::RunsCompiler(spec)) {
    const std::string_view tool = domain::CompilerTool(spec.compile);
    if (spec.compiler.empty()) {
      needs.requirements.push_back(Tool(tool, MatchRule::kPresent, ""));
      needs.requirements.push_back({std::string(kCompilerToChoose), MatchRule::kPresent, ""});
    } else {
      needs.requirements.push_back(Tool(tool, MatchRule::kExact, spec.compiler));
    }
  }
  for (const std::string& tool : task.tools) {
    needs.requirements.push_back(Tool(tool, MatchRule::kPresent, ""));
  }
  return Sorted(std::move(needs));
}

bool AwaitsCompiler(const Needs& needs) {
  const auto& all = needs.requirements;
  const auto is_tool = [](const Requirement& one) {
    return one.property.starts_with(domain::kToolProperty);
  };
  // A die's that was queued before there were compilers to choose names no tool.
  return std::ranges::any_of(all, IsCompilerToChoose) ||
         (needs.kind == domain::TaskKind::kCompileDie && std::ranges::none_of(all, is_tool));
}

Needs WithGpuMemory(Needs needs, std::int64_t bytes) {
  const auto is_gpu_memory = [](const Requirement& one) {
    return one.property == kGpuMemory && one.rule == MatchRule::kMinimum;
  };
  for (const Requirement& one : needs.requirements) {
    if (is_gpu_memory(one)) {
      bytes = std::max(bytes, Number(one.value).value_or(0));
    }
  }
  std::erase_if(needs.requirements, is_gpu_memory);
  needs.requirements.push_back(
      {std::string(kGpuMemory), MatchRule::kMinimum, std::to_string(bytes)});
  return Sorted(std::move(needs));
}

}  // namespace tyllm::server::sched
