// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/fuzz/fuzzed_farm.h"

namespace tyllm::fuzz {
namespace {

constexpr int kMostCalls = 40;
constexpr std::uint8_t kAdvance = 250;  // time passes: as many seconds as the length says
constexpr std::uint8_t kRestart = 251;

// An answer that is the server's own fault, whatever it was asked.
bool IsOurFault(const Status& status) {
  return status.code() == StatusCode::kInternal || status.code() == StatusCode::kUnknown ||
         status.code() == StatusCode::kDataLoss || status.code() == StatusCode::kUnavailable;
}

}  // namespace
}  // namespace tyllm::fuzz

// The input is calls one after another: the method's number, the length of the request in two bytes
// (low one first), the request.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tyllm;        // NOLINT
  using namespace tyllm::fuzz;  // NOLINT
  FuzzedFarm farm;
  std::string_view left(reinterpret_cast<const char*>(data), size);  // NOLINT
  for (int calls = 0; left.size() >= 3 && calls < kMostCalls; ++calls) {
    const auto method = static_cast<std::uint8_t>(left[0]);
    const std::size_t length =
        static_cast<std::uint8_t>(left[1]) + 256U * static_cast<std::uint8_t>(left[2]);
    left.remove_prefix(3);
    if (method == kAdvance) {
      farm.Advance(std::chrono::seconds(length));
      TYLLM_CHECK(farm.Sweep().ok());
      continue;
    }
    if (method == kRestart) {
      farm.Restart();
      continue;
    }
    const auto answer = farm.Call(method % FuzzedFarm::methods(), left.substr(0, length));
    left.remove_prefix(std::min(length, left.size()));
    if (answer && IsOurFault(*answer)) {
      std::fprintf(stderr, "method %d: %s\n", method, answer->ToString().c_str());
      std::abort();
    }
  }
  farm.CheckInvariants();
  return 0;
}
