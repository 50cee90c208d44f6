// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "common/domain/job.h"
#include "common/domain/matching.h"

namespace tyllm::server::sched {

/// Tasks that take about the same, as far as a server can tell: of one kind, on models of one name,
/// for one target.
struct SizeClass {
  domain::TaskKind kind = domain::TaskKind::kQuantize;
  std::string model;   ///< the name that people gave it
  std::string target;  ///< what else decides: method and calibration tokens, dies

  auto operator<=>(const SizeClass&) const = default;
};

SizeClass SizeClassOf(const domain::TaskSpec& task);

/// What one attempt has shown.
struct SeenRun {
  std::optional<std::int64_t> run_ms;  ///< of one that succeeded
  domain::Resources used;              ///< the most; 0: not known
  std::int64_t gpu_too_small = 0;      ///< bytes of a GPU that it found too small; 0: none

  bool operator==(const SeenRun&) const = default;
};

/// Milliseconds.
struct RunTimes {
  std::int64_t low = 0;  ///< the shortest of late
  std::int64_t usual = 0;
  std::int64_t high = 0;

  bool operator==(const RunTimes&) const = default;
};

/// What attempts of late have shown, by class. Everything that it tells is a guess: the name of a
/// model may be given to another one. One thread.
class RunHistory {
 public:
  /// Of each class; of classes, those that were noted last.
  static constexpr std::size_t kRuns = 20;
  static constexpr std::size_t kClasses = 4096;

  void Note(const SizeClass& size, const SeenRun& run);

  /// Of runs of the class; nothing where none has succeeded: another model's say nothing of it.
  std::optional<RunTimes> TimesOf(const SizeClass& size) const;
  /// The most that any run of the class used; of the GPU's memory at least more than a GPU had that
  /// was found too small, as long as no later run succeeded with less.
  domain::Resources MostUsed(const SizeClass& size) const;
  /// Classes that want a GPU with more than so many bytes, as MostUsed tells it, and how many they
  /// want. Few, if any.
  std::map<SizeClass, std::int64_t> WantMoreThan(std::int64_t gpu_memory_bytes) const;

 private:
  struct Class {
    std::deque<SeenRun> runs;  ///< the newest last
    std::int64_t noted = 0;    ///< when, as a number of Note
  };

  void DropOldest();

  std::map<SizeClass, Class> classes_;
  std::map<SizeClass, std::int64_t> gpu_memory_;  ///< that classes want which want any
  std::int64_t notes_ = 0;
};

}  // namespace tyllm::server::sched
