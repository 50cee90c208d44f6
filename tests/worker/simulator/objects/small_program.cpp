// SPDX-License-Identifier: Apache-2.0
// A die program that does nothing, built with different claims (see CMakeLists.txt).
#include "worker/die/abi.h"

extern "C" {
#ifndef TYLLM_TEST_NO_ENTRY
__attribute__((visibility("default"))) const tyllm::die::Program* tyllm_die_program() {
  static const tyllm::die::Program program = [] {
    tyllm::die::Program p{};
    p.abi_version = TYLLM_TEST_ABI;
    p.kind = "llm_decode";
    p.plan_digest = "";
    p.target_cpu = TYLLM_TEST_CPU;
    return p;
  }();
  return &program;
}
#else
__attribute__((visibility("default"))) int tyllm_test_something_else() {
  return 1;
}
#endif
}
