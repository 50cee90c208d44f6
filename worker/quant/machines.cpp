// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/machines.h"

#include <algorithm>
#include <utility>

namespace tyllm::quant {

Result<Machines> Machines::Make(std::string_view devices, int threads, tensor::TaskLanes& lanes,
                                std::int64_t compensated_group) {
  Machines machines;
  const std::string all(devices);
  std::string_view rest = devices;
  for (bool more = true; more;) {
    const std::size_t comma = rest.find(',');
    more = comma != std::string_view::npos;
    TYLLM_ASSIGN(std::unique_ptr<tensor::Backend> backend,
                 tensor::MakeBackend(rest.substr(0, comma), threads));
    rest = more ? rest.substr(comma + 1) : std::string_view();
    const bool alone = machines.backends_.empty() && !more;
    const bool known = std::ranges::any_of(
        machines.backends_, [&](const auto& other) { return other->name() == backend->name(); });
    if (known || (!alone && !backend->has_own_memory())) {
      return InvalidArgument("devices are '" + all +
                             "', expected one, or several different GPUs such as cuda:0,cuda:1");
    }
    machines.kernels_.push_back(std::make_unique<KernelsOf>(*backend, lanes));
    machines.machines_.push_back({*backend, **machines.kernels_.back()});
    machines.backends_.push_back(std::move(backend));
  }
  const tensor::Backend& first = machines.first().backend;
  if (compensated_group == 0 || machines.first().kernels.CompensatesGroups(compensated_group)) {
    return machines;
  }
  if (devices == "auto") {
    return Make("cpu", threads, lanes, compensated_group);
  }
  return InvalidArgument("group_size is " + std::to_string(compensated_group) + ", " +
                         std::string(first.name()) +
                         " makes good rounding errors in groups of 32, 64 and 128 columns; use one "
                         "of these, --device cpu or --method awq");
}

std::string Machines::name() const {
  std::string names;
  for (const auto& backend : backends_) {
    names += (names.empty() ? "" : ",") + std::string(backend->name());
  }
  return names;
}

std::int64_t Machines::peak_device_bytes() const {
  std::int64_t most = 0;
  for (const auto& backend : backends_) {
    most = std::max(most, backend->peak_device_bytes());
  }
  return most;
}

std::int64_t Machines::host_bytes() const {
  std::int64_t bytes = 0;
  for (const auto& backend : backends_) {
    bytes += backend->host_bytes();
  }
  return bytes;
}

MachineWeights::MachineWeights(const Machines& machines, const model::Checkpoint& checkpoint,
                               std::vector<const graph::Block*> blocks)
    : machines_(machines), checkpoint_(checkpoint), blocks_(std::move(blocks)) {
  if (machines.have_own_memory()) {
    for (const LayerMachine& machine : machines.all()) {
      streams_.push_back(
          std::make_unique<forward::BlockStream>(machine.backend, checkpoint, blocks_));
    }
  }
}

Result<std::vector<forward::BlockWeights>> MachineWeights::Next() {
  std::vector<forward::BlockWeights> all;
  for (const auto& stream : streams_) {
    TYLLM_ASSIGN(forward::BlockWeights weights, stream->Next());
    all.push_back(std::move(weights));
  }
  if (streams_.empty()) {
    TYLLM_ASSIGN(forward::BlockWeights weights,
                 forward::LoadBlock(machines_.first().backend, checkpoint_, *blocks_[next_++]));
    all.push_back(std::move(weights));
  }
  return all;
}

}  // namespace tyllm::quant
