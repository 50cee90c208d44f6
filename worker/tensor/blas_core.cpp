// SPDX-License-Identifier: Apache-2.0
#include "worker/tensor/blas_core.h"

#include <cblas.h>

#include <cstdlib>

extern "C" {
// Exported by an OpenBLAS for many processors (DYNAMIC_ARCH) and called when it is loaded, but in
// none of its headers. The first forgets what was chosen, the second chooses as the variable says.
[[gnu::weak]] void gotoblas_dynamic_quit();
[[gnu::weak]] void gotoblas_dynamic_init();
}

namespace tyllm::tensor {

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

bool PreferBlasCore(std::string_view core) {
  if (gotoblas_dynamic_quit == nullptr || gotoblas_dynamic_init == nullptr) {
    return false;
  }
  constexpr int kKeepWhatIsSet = 0;
  ::setenv("OPENBLAS_CORETYPE", std::string(core).c_str(), kKeepWhatIsSet);
  ::gotoblas_dynamic_quit();
  ::gotoblas_dynamic_init();
  return BlasCore() == core;
}

}  // namespace tyllm::tensor
