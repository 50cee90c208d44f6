// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/object_builder.h"

#include <algorithm>

#include "common/base/digest.h"
#include "common/base/version.h"
#include "worker/compile/kernel_headers.h"

namespace tyllm::compile {
namespace {

/// What every program of a language model includes first.
constexpr std::string_view kIncluded =
    "#include <array>\n#include <cstring>\n#include <iterator>\n\n"
    "#include \"worker/die/kernels.h\"\n";

/// Three programs take less time with the making of precompiled headers than without (ADR 0030).
constexpr std::int64_t kWorthPrecompiling = 3;

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : " ") + word;
  }
  return text;
}

}  // namespace

std::string ObjectKey(const artifact::Toolchain& toolchain, const GeneratedProgram& program) {
  Sha256Stream key;
  for (const std::string& part :
       {toolchain.kernels, toolchain.compiler, toolchain.flags, program.source}) {
    key.Update(part);
    key.Update(std::string_view("\0", 1));
  }
  return key.Finish().Hex();
}

std::string KernelsDigest() {
  Sha256Stream stream;
  for (const KernelHeader& header : KernelHeaders()) {
    stream.Update(header.name);
    stream.Update(header.text);
  }
  return stream.Finish().Hex();
}

artifact::Toolchain ToolchainOf(const SystemCompiler& compiler, const std::string& target_cpu) {
  artifact::Toolchain toolchain;
  toolchain.version = Version();
  toolchain.abi_version = die::kAbiVersion;
  toolchain.kernels = KernelsDigest();
  toolchain.compiler = compiler.id;
  std::vector<std::string> flags = compiler.arguments;
  const std::vector<std::string> program_flags = ProgramFlags(target_cpu);
  flags.insert(flags.end(), program_flags.begin(), program_flags.end());
  toolchain.flags = Joined(flags);
  toolchain.target_cpu = target_cpu;
  return toolchain;
}

ObjectBuilder::ObjectBuilder(FileSystem& files, SystemCompiler compiler,
                             const std::string& target_cpu, Path scratch, Path cache)
    : files_(files),
      compiler_(std::move(compiler)),
      flags_(ProgramFlags(target_cpu)),
      scratch_(std::move(scratch)),
      cache_(files, std::move(cache)),
      toolchain_(ToolchainOf(compiler_, target_cpu)) {}

Status ObjectBuilder::WriteHeaders() const {
  auto written = headers_written_.Lock();
  if (*written) {
    return OkStatus();
  }
  for (const KernelHeader& header : KernelHeaders()) {
    const Path path = scratch_ / "include" / header.name;
    TYLLM_TRY(files_.CreateDirectories(path.parent_path()));
    TYLLM_TRY(WriteFileAtomically(files_, path, header.text));
  }
  *written = true;
  return OkStatus();
}

void ObjectBuilder::Expect(const std::vector<const GeneratedProgram*>& programs) {
  const auto missing = std::ranges::count_if(programs, [&](const GeneratedProgram* program) {
    return !cache_.SizeOf(ObjectKey(toolchain_, *program));
  });
  if (missing >= kWorthPrecompiling && GainsByPrecompiling(compiler_) && !Precompile().ok()) {
    precompiled_.clear();  // it goes without
  }
}

Status ObjectBuilder::Precompile() {
  const Path directory = scratch_ / "precompiled";
  TYLLM_TRY(WriteHeaders());
  TYLLM_TRY(files_.CreateDirectories(directory));
  TYLLM_TRY(WriteFileAtomically(files_, directory / "program.h", kIncluded));
  TYLLM_TRY(PrecompileHeader(compiler_, flags_, directory, scratch_ / "include"));
  precompiled_ = directory / "program.pch";
  return OkStatus();
}

Status ObjectBuilder::Compile(const Path& directory) const {
  const Path include = scratch_ / "include";
  if (!precompiled_.empty() &&
      RunCompiler(compiler_, flags_, directory, include, precompiled_).ok()) {
    return OkStatus();
  }
  return RunCompiler(compiler_, flags_, directory, include);
}

Result<std::string> ObjectBuilder::Build(const GeneratedProgram& program) const {
  const std::string key = ObjectKey(toolchain_, program);
  if (std::optional<std::string> cached = cache_.Find(key)) {
    auto count = from_cache_.Lock();
    ++*count;
    return *std::move(cached);
  }
  TYLLM_TRY(WriteHeaders());
  const Path directory = scratch_ / key;
  TYLLM_TRY(files_.CreateDirectories(directory));
  TYLLM_TRY(WriteFileAtomically(files_, directory / "program.cpp", program.source));
  TYLLM_TRY(Compile(directory));
  TYLLM_ASSIGN(std::string object, files_.Read(directory / "program.so"));
  cache_.Store(key, object);
  return object;
}

}  // namespace tyllm::compile
