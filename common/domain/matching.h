// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "common/base/enum_table.h"
#include "common/format/json.h"

// What a task wants of a worker. Properties: kWorkerProperties, tools and labels.
namespace tyllm::domain {

/// How a property is compared with what is asked for.
enum class MatchRule : std::uint8_t {
  kExact,      ///< the same text
  kMinimum,    ///< a number, at least this
  kPreferred,  ///< the same text if such a worker is to be had; never waited for
  kPresent,    ///< the worker states the property, whatever it says of it
};

inline constexpr EnumTable<MatchRule, 4> kMatchRuleNames("match rule",
                                                         {{{MatchRule::kExact, "exact"},
                                                           {MatchRule::kMinimum, "minimum"},
                                                           {MatchRule::kPreferred, "preferred"},
                                                           {MatchRule::kPresent, "present"}}});

constexpr const auto& NamesOf(MatchRule) {
  return kMatchRuleNames;
}

struct Requirement {
  std::string property;  ///< "gpu_memory_bytes", "label.zone", ...
  MatchRule rule = MatchRule::kExact;
  std::string value;  ///< numbers in decimal; of kPresent nothing

  bool operator==(const Requirement&) const = default;
};

/// A property of workers that can be asked for.
struct WorkerProperty {
  std::string_view name;
  bool is_number = false;  ///< a minimum can be asked for
};

inline constexpr std::array kWorkerProperties{
    WorkerProperty{"device"},
    WorkerProperty{"cpus", true},
    WorkerProperty{"memory_bytes", true},
    WorkerProperty{"gpu"},
    WorkerProperty{"gpus", true},
    WorkerProperty{"gpu_memory_bytes", true},
    WorkerProperty{"disk_free_bytes", true},
    WorkerProperty{"dies", true},
    WorkerProperty{"toolchain_version"},
};
/// Before the name of a worker's label, of which a minimum can be asked for, too.
inline constexpr std::string_view kLabelProperty = "label.";
/// Before the name of a tool (common/domain/tools.h) that a worker has, as text its version.
inline constexpr std::string_view kToolProperty = "tool.";

/// A requirement that no worker meets, and the best that is on offer: a value, never a machine's
/// name. Empty: no worker states the property.
struct Shortfall {
  Requirement asked;
  std::string best;

  bool operator==(const Shortfall&) const = default;
};

/// What a task is expected to use, or has used at most. 0: not known, counts as nothing.
struct Resources {
  std::int64_t memory_bytes = 0;
  std::int64_t gpu_memory_bytes = 0;
  std::int64_t disk_bytes = 0;
  std::int32_t cpus = 0;

  bool operator==(const Resources&) const = default;
};

}  // namespace tyllm::domain

template <>
struct tyllm::format::Members<tyllm::domain::Requirement> {
  using R = tyllm::domain::Requirement;
  static constexpr auto kTable =
      std::tuple{Member{"property", &R::property, true}, Member{"rule", &R::rule, true},
                 Member{"value", &R::value, true}};
};

template <>
struct tyllm::format::Members<tyllm::domain::Shortfall> {
  using S = tyllm::domain::Shortfall;
  static constexpr auto kTable = std::tuple{Member{"asked", &S::asked}, Member{"best", &S::best}};
};

template <>
struct tyllm::format::Members<tyllm::domain::Resources> {
  using R = tyllm::domain::Resources;
  static constexpr auto kTable = std::tuple{
      Member{"memory_bytes", &R::memory_bytes}, Member{"gpu_memory_bytes", &R::gpu_memory_bytes},
      Member{"disk_bytes", &R::disk_bytes}, Member{"cpus", &R::cpus}};
};
