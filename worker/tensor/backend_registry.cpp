// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <charconv>
#include <optional>

#include "worker/tensor/backend.h"
#include "worker/tensor/blas.h"
#include "worker/tensor/cpu_backend.h"
#include "worker/tensor/device_plugin.h"
#include "worker/tensor/steady_products.h"

namespace tyllm::tensor {

namespace {

Result<std::unique_ptr<Backend>> MakeCpu(int /*device*/, int threads) {
  PrepareBlas();
  return std::unique_ptr<Backend>(
      std::make_unique<CpuBackend>(threads, LoopsForThisProcessor(), kBlasProducts));
}

Result<std::unique_ptr<Backend>> MakeCuda(int device, int /*threads*/) {
  auto made = MakeCudaBackend(device);
  if (!made.ok()) {
    return Unavailable("device 'cuda:" + std::to_string(device) +
                       "' cannot be used: " + made.status().message() +
                       "; use --device cpu, or auto for the best device there is");
  }
  return made;
}

constexpr std::array kKinds = {
    BackendKind{.name = "cpu", .numbered = false, .make = MakeCpu},
    BackendKind{.name = "cuda", .numbered = true, .make = MakeCuda},
};

std::optional<int> ParseNumber(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

std::span<const BackendKind> BackendKinds() {
  return kKinds;
}

Result<std::unique_ptr<Backend>> MakeBackend(std::string_view device, int threads) {
  if (threads < 0) {
    return InvalidArgument("threads is " + std::to_string(threads) +
                           ", expected 0 (all CPUs) or more");
  }
  if (device == "auto") {
    auto cuda = MakeCudaBackend(0);
    return cuda.ok() ? std::move(cuda) : MakeCpu(0, threads);
  }
  const std::size_t colon = device.find(':');
  const std::string_view name = device.substr(0, colon);
  std::string expected = "auto";
  for (const BackendKind& kind : kKinds) {
    expected += ", " + std::string(kind.name) + (kind.numbered ? ":N" : "");
    if (kind.name != name || kind.numbered == (colon == std::string_view::npos)) {
      continue;
    }
    const std::optional<int> number =
        kind.numbered ? ParseNumber(device.substr(colon + 1)) : std::optional(0);
    if (number) {
      return kind.make(*number, threads);
    }
  }
  return InvalidArgument("device is '" + std::string(device) + "', expected one of: " + expected);
}

std::unique_ptr<Backend> MakeSteadyBackend(int threads) {
  // The loops of one kind: vectors of another length sum in another order.
  return std::make_unique<CpuBackend>(threads, BaselineLoops(), *SteadyProducts().back());
}

}  // namespace tyllm::tensor
