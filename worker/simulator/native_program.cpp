// SPDX-License-Identifier: Apache-2.0
#include "worker/simulator/native_program.h"

#include <dlfcn.h>

#include <bit>
#include <string>
#include <utility>

#include "worker/simulator/target_cpu.h"
#include "worker/simulator/whole_object.h"

namespace tyllm::simulator {

void SharedObjectTraits::Close(void* handle) {
  ::dlclose(handle);
}

Result<ProgramObject> ProgramObject::Load(const Path& path) {
  TYLLM_TRY(CheckWholeObject(path));
  // An absolute name: dlopen looks a bare one up in the system's folders.
  std::error_code error;
  const Path absolute = std::filesystem::absolute(path, error);
  UniqueHandle<SharedObjectTraits> handle(::dlopen(absolute.c_str(), RTLD_NOW | RTLD_LOCAL));
  if (!handle) {
    return FailedPrecondition(path.string() + " cannot be loaded: " + ::dlerror() +
                              "; fetch or compile the artifact again");
  }
  const auto entry =
      std::bit_cast<die::ProgramEntry>(::dlsym(handle.get(), die::kProgramEntryName));
  if (entry == nullptr) {
    return FailedPrecondition(path.string() + " has no symbol " + die::kProgramEntryName +
                              ": it is not a die program of this tool");
  }
  const die::Program& program = *entry();
  if (program.abi_version != die::kAbiVersion) {
    return FailedPrecondition(path.string() + " was built for version " +
                              std::to_string(program.abi_version) + " of the die ABI, expected " +
                              std::to_string(die::kAbiVersion) +
                              "; compile the model again with this version of tyllm");
  }
  TYLLM_TRY(CheckTargetCpu(program.target_cpu).Annotate(path.string()));
  return ProgramObject(std::move(handle), program);
}

NativeProgram::NativeProgram(const die::Program& program, std::uint32_t die, std::uint32_t dies,
                             const DieParameters& parameters, const DieMemory& memory,
                             std::vector<LastingBuffer> lasting)
    : program_(program), lasting_(std::move(lasting)) {
  for (std::uint32_t s = 0; s < program.segment_count; ++s) {
    const die::Segment& segment = program.segments[s];
    segments_.push_back(
        {segment.after, static_cast<std::int64_t>(segment.elements / program.bucket),
         segment.phases, static_cast<std::int64_t>(segment.group),
         std::span(segment.shares, segment.shares == nullptr ? 0 : segment.phases)});
  }
  context_.die = die;
  context_.dies = dies;
  context_.common = parameters.common;
  context_.constant = parameters.constant;
  context_.bindings = parameters.bindings;
  context_.arena = memory.arena;
  context_.kv_cache = memory.kv_cache;
}

void NativeProgram::Begin(const Call& call) {
  context_.token_ids = call.embeddings.empty() ? call.token_ids.data() : nullptr;
  context_.embeddings = call.embeddings.empty() ? nullptr : call.embeddings.data();
  context_.rotations = call.rotations;
  context_.deepstack = call.deepstack;
  context_.tokens = static_cast<std::uint32_t>(call.tokens());
  context_.history = static_cast<std::uint32_t>(call.history);
}

void NativeProgram::Run(std::size_t segment, std::size_t phase, die::Part part) {
  program_.run(&context_, static_cast<std::uint32_t>(segment), static_cast<std::uint32_t>(phase),
               part);
}

void NativeProgram::Fetch(std::size_t segment, std::size_t phase, die::Part part) {
  if (program_.fetch != nullptr) {
    program_.fetch(&context_, static_cast<std::uint32_t>(segment),
                   static_cast<std::uint32_t>(phase), part);
  }
}

std::vector<std::span<std::byte>> NativeProgram::Lasting() {
  std::vector<std::span<std::byte>> lasting;
  for (const LastingBuffer& buffer : lasting_) {
    lasting.emplace_back(context_.arena + buffer.offset, buffer.row_bytes * context_.tokens);
  }
  return lasting;
}

float* NativeProgram::CollectiveBuffer(std::size_t segment) {
  return reinterpret_cast<float*>(context_.arena + program_.segments[segment].offset);
}

const float* NativeProgram::Logits() const {
  return reinterpret_cast<const float*>(context_.arena + program_.logits_offset);
}

}  // namespace tyllm::simulator
