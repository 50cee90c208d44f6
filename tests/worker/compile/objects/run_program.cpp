// SPDX-License-Identifier: Apache-2.0

// Runs one program of a model for one die on this machine, whatever it is, and writes the logits:
// run_program OBJECT COMMON CONSTANT BINDINGS OUT TOKEN...
// BINDINGS is the raw table. Needs nothing but the ABI, so that it is compiled for any machine.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <new>
#include <string>
#include <vector>

#include "worker/die/abi.h"

namespace {

/// Aligned as the ABI wants it.
std::byte* Memory(std::size_t bytes) {
  auto* const memory = static_cast<std::byte*>(::operator new(bytes + 64, std::align_val_t(64)));
  for (std::size_t i = 0; i < bytes; ++i) {
    memory[i] = std::byte{0};
  }
  return memory;
}

std::byte* FileIn(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)),
                                std::istreambuf_iterator<char>());
  std::byte* const memory = Memory(bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    memory[i] = static_cast<std::byte>(bytes[i]);
  }
  return memory;
}

}  // namespace

int main(int argc, char** argv) {
  void* const object = argc > 6 ? dlopen(argv[1], RTLD_NOW) : nullptr;
  if (object == nullptr) {
    std::fprintf(stderr, "%s\n", argc > 6 ? dlerror() : "too few arguments");
    return 1;
  }
  const auto entry =
      reinterpret_cast<tyllm::die::ProgramEntry>(dlsym(object, tyllm::die::kProgramEntryName));
  const tyllm::die::Program& program = *entry();
  std::vector<std::int32_t> tokens;
  for (int i = 6; i < argc; ++i) {
    tokens.push_back(std::atoi(argv[i]));
  }
  tyllm::die::DieContext context{};
  context.dies = 1;
  context.common = FileIn(argv[2]);
  context.constant = FileIn(argv[3]);
  context.bindings = reinterpret_cast<const std::uint64_t*>(FileIn(argv[4]));
  context.arena = Memory(program.arena_bytes);
  context.kv_cache = Memory(program.kv_bytes);
  context.token_ids = tokens.data();
  context.tokens = static_cast<std::uint32_t>(tokens.size());
  for (std::uint32_t segment = 0; segment < program.segment_count; ++segment) {
    for (std::uint32_t phase = 0; phase < program.segments[segment].phases; ++phase) {
      program.run(&context, segment, phase, {});
    }
  }
  std::ofstream out(argv[5], std::ios::binary);
  out.write(reinterpret_cast<const char*>(context.arena + program.logits_offset),
            static_cast<std::streamsize>(tokens.size() * program.logit_columns * sizeof(float)));
  std::printf("%s\n", program.target_cpu);
  return out.good() ? 0 : 1;
}
