// SPDX-License-Identifier: Apache-2.0
#include "worker/tensor/blas_core.h"

#include <cblas.h>

#include <cstdlib>
#include <optional>

extern "C" {
// Exported by an OpenBLAS for many processors (DYNAMIC_ARCH) and called when it is loaded, but in
// none of its headers. The first forgets what was chosen, the second chooses as the variable says.
[[gnu::weak]] void gotoblas_dynamic_quit();
[[gnu::weak]] void gotoblas_dynamic_init();
}

namespace tyllm::tensor {

namespace {

constexpr const char* kVariable = "OPENBLAS_CORETYPE";

void Choose(const std::string& core) {
  const char* const set = std::getenv(kVariable);
  const std::optional<std::string> before =
      set == nullptr ? std::nullopt : std::optional<std::string>(set);
  ::setenv(kVariable, core.c_str(), 1);
  ::gotoblas_dynamic_quit();
  ::gotoblas_dynamic_init();
  if (before) {
    ::setenv(kVariable, before->c_str(), 1);
  } else {
    ::unsetenv(kVariable);
  }
}

}  // namespace

VectorInstructions InstructionsOfThisProcessor() {
  VectorInstructions has;
#if defined(__x86_64__)
  has.avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
  has.avx512 = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512cd") != 0 &&
               __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
               __builtin_cpu_supports("avx512vl") != 0;
#endif
  return has;
}

std::string BlasCore() {
  return ::openblas_get_corename();
}

std::string_view BetterBlasCore(std::string_view core, VectorInstructions processor) {
  if (core != "Prescott" || !processor.avx2) {
    return {};
  }
  return processor.avx512 ? "SkylakeX" : "Haswell";
}

bool UseBlasCore(std::string_view core) {
  if (gotoblas_dynamic_quit == nullptr || gotoblas_dynamic_init == nullptr) {
    return false;
  }
  const std::string before = BlasCore();
  Choose(std::string(core));
  if (BlasCore() == core) {
    return true;
  }
  Choose(before);
  return false;
}

}  // namespace tyllm::tensor
