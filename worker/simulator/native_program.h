// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "common/base/file_system.h"
#include "common/base/handle.h"
#include "worker/simulator/die_program.h"

namespace tyllm::simulator {

struct SharedObjectTraits {
  using Type = void*;
  static constexpr void* kNone = nullptr;
  static void Close(void* handle);
};

/// A program's shared object, loaded.
class ProgramObject {
 public:
  /// Checks that the file is a shared object with our entry and ABI version, and that this CPU can
  /// run it. Errors name the file, what was found and what was expected.
  static Result<ProgramObject> Load(const Path& path);

  const die::Program& program() const { return *program_; }

 private:
  ProgramObject(UniqueHandle<SharedObjectTraits> handle, const die::Program& program)
      : handle_(std::move(handle)), program_(&program) {}

  UniqueHandle<SharedObjectTraits> handle_;
  const die::Program* program_;
};

/// Memory of one die that its programs share.
struct DieMemory {
  std::byte* arena = nullptr;
  std::byte* kv_cache = nullptr;
};

/// A buffer of the arena that lives through all segments, a row a token.
struct LastingBuffer {
  std::uint64_t offset = 0;
  std::uint64_t row_bytes = 0;
};

/// Where a program finds its parameters.
struct DieParameters {
  const std::byte* common = nullptr;
  const std::byte* constant = nullptr;
  const std::uint64_t* bindings = nullptr;
};

/// Compiled code on one die. `program` and the memories outlive it.
class NativeProgram final : public DieProgram {
 public:
  NativeProgram(const die::Program& program, std::uint32_t die, std::uint32_t dies,
                const DieParameters& parameters, const DieMemory& memory,
                std::vector<LastingBuffer> lasting = {});

  std::span<const SegmentEnd> segments() const override { return segments_; }

  void Begin(const Call& call) override;
  void Run(std::size_t segment, std::size_t phase, die::Part part) override;
  void Fetch(std::size_t segment, std::size_t phase, die::Part part) override;
  std::vector<std::span<std::byte>> Lasting() override;
  float* CollectiveBuffer(std::size_t segment) override;
  const float* Logits() const override;

 private:
  const die::Program& program_;
  std::vector<SegmentEnd> segments_;
  std::vector<LastingBuffer> lasting_;
  die::DieContext context_{};
};

}  // namespace tyllm::simulator
