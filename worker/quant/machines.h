// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "worker/forward/block_stream.h"
#include "worker/quant/layer_kernels.h"

namespace tyllm::quant {

/// What one run computes with: the CPU, a GPU, or several GPUs of one machine.
class Machines {
 public:
  /// `devices`: as for tensor::MakeBackend, or several GPUs ("cuda:0,cuda:1"). `lanes` outlive
  /// this. Errors will be compensated in groups of so many columns, 0: not at all; "auto" is the
  /// CPU when a GPU cannot do that.
  static Result<Machines> Make(std::string_view devices, int threads, tensor::TaskLanes& lanes,
                               std::int64_t compensated_group = 0);

  const std::vector<LayerMachine>& all() const { return machines_; }

  /// Where layers are quantized.
  const LayerMachine& first() const { return machines_.front(); }

  bool have_own_memory() const { return first().backend.has_own_memory(); }

  /// As `devices` named them.
  std::string name() const;
  /// The largest of all.
  std::int64_t peak_device_bytes() const;
  /// Of the host's memory, for the libraries of all devices.
  std::int64_t host_bytes() const;

 private:
  std::vector<std::unique_ptr<tensor::Backend>> backends_;
  std::vector<std::unique_ptr<KernelsOf>> kernels_;
  std::vector<LayerMachine> machines_;
};

/// Weights of one block after another on every machine. Machines with a memory of their own get the
/// next block while the caller computes with the last; for the others it is read when asked for, so
/// that one block is in memory.
class MachineWeights {
 public:
  /// All outlive this.
  MachineWeights(const Machines& machines, const model::Checkpoint& checkpoint,
                 std::vector<const graph::Block*> blocks);

  /// In the order of the machines. Drop the ones before first.
  Result<std::vector<forward::BlockWeights>> Next();

 private:
  const Machines& machines_;
  const model::Checkpoint& checkpoint_;
  std::vector<const graph::Block*> blocks_;
  std::size_t next_ = 0;
  std::vector<std::unique_ptr<forward::BlockStream>> streams_;  ///< one a machine, or none
};

}  // namespace tyllm::quant
