// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace tyllm::tensor {

/// What a processor's instructions allow.
struct VectorInstructions {
  bool avx2 = false;    ///< and FMA
  bool avx512 = false;  ///< F, CD, BW, DQ and VL
};

VectorInstructions InstructionsOfThisProcessor();

/// The set of kernels that OpenBLAS computes with, named after a processor ("Haswell").
std::string BlasCore();

/// The set that serves better than `core` on a processor of such instructions, or nothing. OpenBLAS
/// chooses by the processor's model number; one that is newer than the library gets "Prescott", the
/// kernels of a processor of 2004: a fifth of the speed (docs/adr/0128).
std::string_view BetterBlasCore(std::string_view core, VectorInstructions processor);

/// Makes OpenBLAS choose again, as OPENBLAS_CORETYPE says, or this where the environment has no
/// such variable (it has it then). False when it computes with another set afterwards. Not while
/// anything computes or reads the environment. For the whole process and those that it starts.
bool PreferBlasCore(std::string_view core);

}  // namespace tyllm::tensor
