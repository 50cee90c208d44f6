// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/target_cpu.h"

#include <array>
#include <string>

namespace tyllm::simulator {

namespace {

/// A level of instructions and what this machine lacks of it (empty: nothing).
struct Target {
  std::string_view name;
  std::string (*missing)();
};

#if defined(__x86_64__)

std::string MissingForV2() {
  __builtin_cpu_init();
  std::string missing;
  missing += __builtin_cpu_supports("ssse3") ? "" : " ssse3";
  missing += __builtin_cpu_supports("sse4.2") ? "" : " sse4.2";
  missing += __builtin_cpu_supports("popcnt") ? "" : " popcnt";
  return missing;
}

std::string MissingForV3() {
  std::string missing = MissingForV2();
  missing += __builtin_cpu_supports("avx2") ? "" : " avx2";
  missing += __builtin_cpu_supports("fma") ? "" : " fma";
  missing += __builtin_cpu_supports("bmi") ? "" : " bmi";
  missing += __builtin_cpu_supports("bmi2") ? "" : " bmi2";
  missing += __builtin_cpu_supports("f16c") ? "" : " f16c";
  return missing;
}

std::string MissingForV4() {
  std::string missing = MissingForV3();
  missing += __builtin_cpu_supports("avx512f") ? "" : " avx512f";
  missing += __builtin_cpu_supports("avx512bw") ? "" : " avx512bw";
  missing += __builtin_cpu_supports("avx512cd") ? "" : " avx512cd";
  missing += __builtin_cpu_supports("avx512dq") ? "" : " avx512dq";
  missing += __builtin_cpu_supports("avx512vl") ? "" : " avx512vl";
  return missing;
}

std::string MissingForV4Vnni() {
  return MissingForV4() + (__builtin_cpu_supports("avx512vnni") ? "" : " avx512vnni");
}

std::string Nothing() {
  return {};
}

constexpr std::array kTargets{Target{"x86-64", Nothing}, Target{"x86-64-v2", MissingForV2},
                              Target{"x86-64-v3", MissingForV3}, Target{"x86-64-v4", MissingForV4},
                              Target{"x86-64-v4-vnni", MissingForV4Vnni}};

#elif defined(__aarch64__)

std::string Nothing() {
  return {};
}

constexpr std::array kTargets{Target{"armv8-a", Nothing}};

#endif

}  // namespace

Status CheckTargetCpu(std::string_view target) {
  std::string known;
  for (const Target& row : kTargets) {
    known += (known.empty() ? "" : ", ") + std::string(row.name);
    if (row.name != target) {
      continue;
    }
    const std::string missing = row.missing();
    if (missing.empty()) {
      return OkStatus();
    }
    return Unavailable("built for the CPU " + std::string(target) + ", and this machine lacks" +
                       missing + "; run it elsewhere or compile for this CPU");
  }
  return FailedPrecondition("built for the CPU '" + std::string(target) +
                            "', expected one that this machine knows: " + known +
                            "; compile for one of these");
}

}  // namespace tyllm::simulator
