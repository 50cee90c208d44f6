// SPDX-License-Identifier: Apache-2.0
// Prints the digest of the products that fit this processor best. Made for another processor by
// steady_products_test.cpp.
#include <cstdio>

#include "tests/worker/tensor/steady_digest.h"
#include "worker/tensor/steady_products.h"

int main() {
  using namespace tyllm::tensor;
  CpuBackend backend(2, BaselineLoops(), *SteadyProducts().back());
  std::printf("%llx\n", static_cast<unsigned long long>(testing::SteadyDigest(backend).Take()));
}
