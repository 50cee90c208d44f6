// SPDX-License-Identifier: Apache-2.0
#include "common/domain/task_options.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>
#include <utility>

#include "common/domain/condition.h"

namespace tyllm::domain {

namespace {

constexpr double kMostFps = 1000.0;

Status InRange(std::string_view option, std::int64_t value, std::int64_t lowest,
               std::int64_t highest) {
  if (value >= lowest && value <= highest) {
    return OkStatus();
  }
  return InvalidArgument(std::string(option) + " is " + std::to_string(value) + ", expected " +
                         std::to_string(lowest) + " to " + std::to_string(highest));
}

constexpr std::int64_t kMostKv = 1 << 24;

/// `most`: tokens that the cache holds.
Status CheckBuckets(const CompileOptions& options, std::int64_t most) {
  if (options.seq_lens.empty()) {
    return InvalidArgument("seq_lens is empty, expected token counts such as 1,8,96");
  }
  for (std::size_t i = 0; i < options.seq_lens.size(); ++i) {
    TYLLM_TRY(InRange("seq_lens", options.seq_lens[i], 1, most));
    if (i > 0 && options.seq_lens[i] <= options.seq_lens[i - 1]) {
      return InvalidArgument("seq_lens has " + std::to_string(options.seq_lens[i]) + " after " +
                             std::to_string(options.seq_lens[i - 1]) +
                             ", expected rising numbers such as 1,8,96");
    }
  }
  if (options.seq_lens.front() != 1) {
    return InvalidArgument("seq_lens starts with " + std::to_string(options.seq_lens.front()) +
                           ", expected 1, which generates text; add it");
  }
  return OkStatus();
}

Status CheckRemap(std::string_view option, const std::vector<std::int64_t>& remap,
                  std::int64_t dies) {
  if (remap.empty()) {
    return OkStatus();
  }
  if (remap.size() != 16) {
    return InvalidArgument(std::string(option) + " has " + std::to_string(remap.size()) +
                           " numbers, expected exactly 16");
  }
  for (std::int64_t die = 0; die < 16; ++die) {
    const std::int64_t physical = remap[static_cast<std::size_t>(die)];
    TYLLM_TRY(InRange(option, physical, 0, 15));
    const auto used = remap.begin() + std::min(die, dies);
    if (die < dies && std::find(remap.begin(), used, physical) != used) {
      return InvalidArgument(
          std::string(option) + " gives physical die " + std::to_string(physical) +
          " to two logical dies, expected different ones for the first " + std::to_string(dies));
    }
  }
  return OkStatus();
}

Status CheckGroups(const CompileOptions& options) {
  TYLLM_TRY(InRange("reduce_group", options.reduce_group, 0, options.dies));
  if (options.reduce_group > 0 && options.dies % options.reduce_group != 0) {
    return InvalidArgument("reduce_group is " + std::to_string(options.reduce_group) +
                           ", expected a divisor of " + std::to_string(options.dies) + " dies");
  }
  return InRange("attention_dies", options.attention_dies, 0,
                 options.reduce_group > 0 ? options.reduce_group : options.dies);
}

/// The vendor's toolchain is given the dies, buckets, context, embeddings, split and remap.
std::vector<Status> TargetProblems(const CompileOptions& options) {
  const CompileOptions initial;
  const std::pair<bool, const char*> not_given[] = {
      {options.head != initial.head, "head"},
      {options.activations != initial.activations, "activations"},
      {options.keep_source, "keep_source"},
      {options.target_cpu != initial.target_cpu, "target_cpu"},
      {options.visual.image != initial.visual.image, "image"},
      {options.visual.modality != initial.visual.modality, "modality"},
      {options.visual.frames != initial.visual.frames, "frames"},
      {!options.visual.vm_die_remap.empty(), "vm_die_remap"}};
  std::vector<Status> problems;
  for (const auto& [is_given, name] : not_given) {
    if (is_given && options.target == CompileTarget::kTytvm) {
      problems.push_back(InvalidArgument(
          std::string(name) +
          " was asked for, which the vendor's toolchain is not told of, expected it at its "
          "default with target tytvm; leave it out, or compile with target sim"));
    }
  }
  return problems;
}

}  // namespace

bool TakeCalibrationSet(std::string_view text, QuantizeOptions& options) {
  const auto set = kCalibrationSetNames.Parse(text);
  if (set.ok()) {
    options.calibration.set = *set;
  }
  return set.ok();
}

Status Check(const QuantizeOptions& options) {
  TYLLM_TRY(InRange("group_size", options.group_size, 8, 1 << 20));
  TYLLM_TRY(InRange("samples", options.samples, 1, 1 << 20));
  TYLLM_TRY(InRange("seq_len", options.seq_len, 2, 1 << 20));
  TYLLM_TRY(InRange("seed", options.calibration.seed, 0, INT64_MAX));
  const double image_weight = options.calibration.image_weight;
  if (!(image_weight >= 0 && image_weight <= 1000)) {
    return InvalidArgument("image_weight is " + std::to_string(image_weight) +
                           ", expected 0 to 1000: what a token of an image counts for, where one "
                           "of text counts for 1");
  }
  if (options.calibration.pad && options.calibration.concat) {
    return InvalidArgument(
        "pad was asked for, expected no_concat with it: documents that follow one "
        "another leave nothing to pad");
  }
  if (options.group_size % 8 != 0) {
    return InvalidArgument("group_size is " + std::to_string(options.group_size) +
                           ", expected a multiple of 8 such as 128, 64 or 32");
  }
  return OkStatus();
}

Status Check(const ChatOptions& options) {
  if (options.enabled || (!options.system && options.thinking)) {
    return OkStatus();
  }
  return InvalidArgument(std::string(options.system ? "system is given" : "thinking is off") +
                         ", which is for conversations; add --chat");
}

Status Check(const EvaluateOptions& options) {
  TYLLM_TRY(InRange("window", options.window, 2, 1 << 20));
  TYLLM_TRY(InRange("max_windows", options.max_windows, 0, 1LL << 40));
  TYLLM_TRY(InRange("shots", options.shots, 0, 5));
  TYLLM_TRY(InRange("max_questions", options.max_questions, 0, 1LL << 40));
  TYLLM_TRY(InRange("answer_tokens", options.answer_tokens, 1, 1 << 20));
  for (const std::string& condition : options.fail_if) {
    TYLLM_TRY(Condition::Parse(condition).status());
  }
  TYLLM_TRY(Check(options.chat).Annotate("chat"));
  if (options.video_fps && !(*options.video_fps > 0.0 && *options.video_fps <= kMostFps)) {
    return InvalidArgument("video_fps is " + std::to_string(*options.video_fps) +
                           ", expected more than 0 and at most 1000");
  }
  return InRange("max_tokens", options.max_tokens, 1, 1 << 20);
}

CompileFaults FaultsOf(const CompileOptions& options) {
  CompileFaults faults;
  faults.dies = InRange("dies", options.dies, 1, kMostDies);
  faults.max_kv = InRange("max_kv", options.max_kv, 1, kMostKv);
  faults.seq_lens = CheckBuckets(options, faults.max_kv.ok() ? options.max_kv : kMostKv);
  const std::int64_t dies = faults.dies.ok() ? options.dies : 1;
  faults.lm_die_remap = CheckRemap("lm_die_remap", options.lm_die_remap, dies);
  faults.vm_die_remap = CheckRemap("vm_die_remap", options.visual.vm_die_remap, dies);
  if (faults.dies.ok()) {
    faults.split = CheckGroups(options);
  }
  faults.image = ParseImageSize(options.visual.image).status();
  faults.frames = CheckFrames(options.visual);
  faults.of_target = TargetProblems(options);
  return faults;
}

std::vector<Status> Problems(const CompileOptions& options) {
  CompileFaults faults = FaultsOf(options);
  std::vector<Status> problems;
  for (Status* const status :
       {&faults.dies, &faults.max_kv, &faults.seq_lens, &faults.lm_die_remap, &faults.vm_die_remap,
        &faults.split, &faults.image, &faults.frames}) {
    if (!status->ok()) {
      problems.push_back(std::move(*status));
    }
  }
  std::ranges::move(faults.of_target, std::back_inserter(problems));
  return problems;
}

Status Check(const CompileOptions& options) {
  const std::vector<Status> problems = Problems(options);
  return problems.empty() ? OkStatus() : problems.front();
}

}  // namespace tyllm::domain
