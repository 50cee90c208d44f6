// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/object_builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <sstream>

#include "common/base/child_process.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/compile/golden_model.h"
#include "worker/compile/preparation.h"
#include "worker/simulator/target_cpu.h"

namespace tyllm::compile {
namespace {

using tyllm::testing::TemporaryDirectory;

/// Small, over the real headers.
GeneratedProgram Small() {
  return {
      "#include \"worker/die/kernels.h\"\nextern \"C\" "
      "__attribute__((visibility(\"default\"))) const tyllm::die::Program* "
      "tyllm_die_program() { return nullptr; }\n",
      "digest"};
}

Result<std::string> Build(const SystemCompiler& compiler, const Path& scratch, const Path& cache,
                          const GeneratedProgram& program = Small()) {
  const ObjectBuilder builder(LocalFileSystem(), compiler, "x86-64-v3", scratch, cache);
  return builder.Build(program);
}

SystemCompiler AnyCompiler() {
  const Result<SystemCompiler> compiler = FindCompiler("", "x86-64-v3");
  EXPECT_TRUE(compiler.ok()) << compiler.status().ToString();
  return compiler.ok() ? *compiler : SystemCompiler{};
}

TEST(ObjectBuilderTest, EqualBytesInDifferentFolders) {
  const TemporaryDirectory folder;
  const auto a = Build(AnyCompiler(), folder / "a", {});
  const auto b = Build(AnyCompiler(), folder / "deeper" / "down" / "b", {});
  ASSERT_TRUE(a.ok()) << a.status().ToString();
  ASSERT_TRUE(b.ok()) << b.status().ToString();
  EXPECT_EQ(*a, *b);
  EXPECT_EQ(a->find(folder.path().string()), std::string::npos);
}

TEST(ObjectBuilderTest, EqualBytesWithLineTablesInFoldersOfAnyName) {
  const TemporaryDirectory folder;
  for (const char* const program : {"clang++-19", "g++"}) {
    Result<SystemCompiler> compiler = FindCompiler(program, "x86-64-v3");
    if (!compiler.ok()) {
      continue;  // not installed here
    }
    compiler->arguments.emplace_back(kLineTables);
    const auto a = Build(*compiler, folder / program / "plain", {});
    const auto b = Build(*compiler, folder / program / "cut=4=x, a b" / "b", {});
    ASSERT_TRUE(a.ok()) << a.status().ToString();
    ASSERT_TRUE(b.ok()) << b.status().ToString();
    EXPECT_EQ(*a, *b) << program;
    EXPECT_EQ(b->find(folder.path().string()), std::string::npos) << program;
    EXPECT_EQ(b->find("/proc/self"), std::string::npos) << program;
  }
}

/// Symbols with bytes of their own in sections that can be written to; those of a shared object's
/// beginning and end are the C library's.
std::vector<std::string> MutableSymbols(const Path& object) {
  const auto dump =
      RunCommand({{"objdump", "-t", object.string()}, {}, {}, {}}, std::chrono::minutes(1));
  EXPECT_TRUE(dump.ok() && dump->exit.ok());
  std::vector<std::string> symbols;
  std::istringstream lines(dump.ok() ? dump->output : "");
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    const std::vector<std::string> all{std::istream_iterator<std::string>(words), {}};
    for (const char* const section : {".data", ".bss", ".tdata", ".tbss"}) {
      const auto at = std::ranges::find(all, section);
      if (all.end() - at == 3 && at[1].find_first_not_of('0') != std::string::npos &&
          at[2] != "completed.0") {
        symbols.push_back(at[2]);
      }
    }
  }
  return symbols;
}

TEST(ObjectBuilderTest, ProgramsHaveNothingThatTheyCouldWriteToButTheirArena) {
  const auto tools = RunCommand({{"objdump", "--version"}, {}, {}, {}}, std::chrono::minutes(1));
  if (!tools.ok() || !tools->exit.ok()) {
    GTEST_SKIP() << "needs objdump (binutils)";
  }
  const TemporaryDirectory folder;
  CompileRequest request = testing::GoldenRequest(1);
  request.options.seq_lens = {1, 8, 16};
  const auto preparation = Preflight(request, NeedsCompiler::kYes);
  ASSERT_TRUE(preparation.ok()) << preparation.status().ToString();
  const ObjectBuilder builder(LocalFileSystem(), preparation->compiler,
                              preparation->options.target_cpu, folder / "a", request.cache);
  const auto programs = preparation->Plan(0);
  ASSERT_TRUE(programs.ok());
  for (const PlannedProgram& program : *programs) {
    const auto object = builder.Build(program.generated);
    ASSERT_TRUE(object.ok()) << object.status().ToString();
    ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder / "program.so", *object).ok());
    EXPECT_EQ(MutableSymbols(folder / "program.so"), std::vector<std::string>());
  }
  GeneratedProgram counting = Small();
  counting.source += "namespace { int calls = 0; }\nextern \"C\" int count() { return ++calls; }\n";
  const auto object = builder.Build(counting);
  ASSERT_TRUE(object.ok());
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder / "program.so", *object).ok());
  EXPECT_EQ(MutableSymbols(folder / "program.so").size(), 1U);
}

TEST(ObjectBuilderTest, ObjectsFromTheCacheAreCounted) {
  const TemporaryDirectory folder;
  for (const std::int64_t cached : {0, 1}) {
    const ObjectBuilder builder(LocalFileSystem(), AnyCompiler(), "x86-64-v3", folder / "a",
                                folder / "cache");
    ASSERT_TRUE(builder.Build(Small()).ok());
    EXPECT_EQ(builder.from_cache(), cached);
  }
}

/// Three programs that are not the same.
std::vector<GeneratedProgram> Several() {
  std::vector<GeneratedProgram> programs(3, Small());
  for (std::size_t i = 0; i < programs.size(); ++i) {
    programs[i].source = "#include <array>\n#include <cstring>\n" + programs[i].source +
                         "extern \"C\" int Number" + std::to_string(i) + "(const char* text) {" +
                         "return std::array{1, " + std::to_string(i) +
                         "}[std::strlen(text) & 1]; }";
  }
  return programs;
}

TEST(ObjectBuilderTest, HeadersThatAreGoneThroughOnceLeaveNoTraceInTheObjects) {
  const TemporaryDirectory folder;
  const std::vector<GeneratedProgram> programs = Several();
  for (const char* const name : {"clang++-19", "g++"}) {
    Result<SystemCompiler> compiler = FindCompiler(name, "x86-64-v3");
    if (!compiler.ok()) {
      continue;  // not installed here
    }
    const Path scratch = folder / name;
    ObjectBuilder builder(LocalFileSystem(), *compiler, "x86-64-v3", scratch, {});
    builder.Expect({&programs[0], &programs[1], &programs[2]});
    EXPECT_EQ(std::filesystem::exists(scratch / "precompiled" / "program.pch"),
              std::string_view(name).starts_with("clang"));
    for (const GeneratedProgram& program : programs) {
      const auto with = builder.Build(program);
      const auto without = Build(*compiler, folder / "without" / name, {}, program);
      ASSERT_TRUE(with.ok()) << with.status().ToString();
      ASSERT_TRUE(without.ok()) << without.status().ToString();
      EXPECT_EQ(*with, *without) << name;
    }
  }
}

TEST(ObjectBuilderTest, PrecompiledHeadersAreTakenFromAFolderBesideTheProgram) {
  const TemporaryDirectory folder;
  const SystemCompiler compiler = AnyCompiler();
  if (!GainsByPrecompiling(compiler)) {
    GTEST_SKIP() << "needs clang";
  }
  for (const char* const name : {"include", "precompiled", "program"}) {
    std::filesystem::create_directories(folder / name);
  }
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder / "include" / "a.h",
                                  "#pragma once\n"
                                  "inline int Given() { return 5; }\n")
                  .ok());
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder / "precompiled" / "program.h",
                                  "#include \"a.h\"\n#include <array>\n")
                  .ok());
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder / "program" / "program.cpp",
                                  "extern \"C\" int number() { return Given(); }\n")
                  .ok());
  const std::vector<std::string> flags = ProgramFlags("x86-64-v3");
  ASSERT_TRUE(PrecompileHeader(compiler, flags, folder / "precompiled", folder / "include").ok());
  const Status with = RunCompiler(compiler, flags, folder / "program", folder / "include",
                                  folder / "precompiled" / "program.pch");
  EXPECT_TRUE(with.ok()) << with.message();
}

TEST(ObjectBuilderTest, PrecompiledHeadersThatTheCompilerDoesNotTakeAreDoneWithout) {
  const TemporaryDirectory folder;
  const std::vector<GeneratedProgram> programs = Several();
  ObjectBuilder builder(LocalFileSystem(), AnyCompiler(), "x86-64-v3", folder / "a", {});
  builder.Expect({&programs[0], &programs[1], &programs[2]});
  const Path precompiled = folder / "a" / "precompiled" / "program.pch";
  if (!std::filesystem::exists(precompiled)) {
    GTEST_SKIP() << "needs clang";
  }
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), precompiled, "damaged").ok());
  const auto object = builder.Build(programs[0]);
  ASSERT_TRUE(object.ok()) << object.status().ToString();
  EXPECT_EQ(*object, *Build(AnyCompiler(), folder / "b", {}, programs[0]));
}

TEST(ObjectBuilderTest, FewProgramsAreCompiledAtOnce) {
  const TemporaryDirectory folder;
  const std::vector<GeneratedProgram> programs = Several();
  ObjectBuilder builder(LocalFileSystem(), AnyCompiler(), "x86-64-v3", folder / "a",
                        folder / "cache");
  builder.Expect({&programs[0], &programs[1]});
  EXPECT_FALSE(std::filesystem::exists(folder / "a" / "precompiled"));
}

TEST(ObjectBuilderTest, CachedObjectsNeedNoCompiler) {
  const TemporaryDirectory folder;
  SystemCompiler compiler = AnyCompiler();
  const auto built = Build(compiler, folder / "a", folder / "cache");
  ASSERT_TRUE(built.ok());
  compiler.program = "/nowhere/compiler";
  const auto cached = Build(compiler, folder / "b", folder / "cache");
  ASSERT_TRUE(cached.ok()) << cached.status().ToString();
  EXPECT_EQ(*cached, *built);
  compiler.id = "another version";
  EXPECT_FALSE(Build(compiler, folder / "c", folder / "cache").ok());
}

TEST(ObjectBuilderTest, DamagedCacheEntriesAreNotUsed) {
  const TemporaryDirectory folder;
  const ObjectCache cache(LocalFileSystem(), folder / "cache");
  const std::string key(64, 'a');
  cache.Store(key, "object");
  EXPECT_EQ(cache.Find(key), "object");
  EXPECT_EQ(cache.Find(std::string(64, 'b')), std::nullopt);
  ASSERT_TRUE(
      WriteFileAtomically(LocalFileSystem(), folder / "cache" / "aa" / (key + ".so"), "obj").ok());
  EXPECT_EQ(cache.Find(key), std::nullopt);
}

TEST(ObjectBuilderTest, AnObjectThatIsUsedIsTheYoungest) {
  const TemporaryDirectory folder;
  const ObjectCache cache(LocalFileSystem(), folder / "cache");
  const std::string key(64, 'a');
  cache.Store(key, "object");
  const std::filesystem::path path = folder / "cache" / "aa" / (key + ".so");
  const auto before = std::filesystem::file_time_type::clock::now() - std::chrono::hours(24);
  std::filesystem::last_write_time(path, before);
  EXPECT_EQ(cache.Find(key), "object");
  EXPECT_GT(std::filesystem::last_write_time(path), before + std::chrono::hours(1));
}

TEST(ObjectBuilderTest, TheCompilersWordsAreInTheError) {
  const TemporaryDirectory folder;
  const auto built = Build(AnyCompiler(), folder / "a", {}, {"int f() { return nonsense; }\n", ""});
  ASSERT_EQ(built.status().code(), StatusCode::kInternal);
  EXPECT_NE(built.status().message().find("nonsense"), std::string::npos);
}

TEST(SystemCompilerTest, ANamedCompilerThatIsNotThereIsNamed) {
  const auto found = FindCompiler("no-such-compiler", "x86-64-v3");
  ASSERT_FALSE(found.ok());
  EXPECT_NE(found.status().message().find("no-such-compiler"), std::string::npos);
}

TEST(SystemCompilerTest, ARelativePathWorksWhereverItIsRun) {
  const TemporaryDirectory folder;
  const Path script = folder / "compiler";
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), script,
                                  "#!/bin/sh\nexec " + AnyCompiler().program + " \"$@\"\n")
                  .ok());
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  const Path relative = std::filesystem::relative(script);
  ASSERT_TRUE(relative.is_relative());
  const auto compiler = FindCompiler(relative.string(), "x86-64-v3");
  ASSERT_TRUE(compiler.ok()) << compiler.status().ToString();
  const auto built = Build(*compiler, folder / "a", {});
  EXPECT_TRUE(built.ok()) << built.status().ToString();
}

TEST(SystemCompilerTest, TargetCpus) {
  EXPECT_EQ(*ResolveTargetCpu("x86-64-v3"), "x86-64-v3");
  EXPECT_EQ(*ResolveTargetCpu("armv8-a"), "armv8-a");
  EXPECT_NE(*ResolveTargetCpu("native"), "native");
  EXPECT_EQ(*ResolveTargetCpu("x86-64-v4-vnni"), "x86-64-v4-vnni");
  const Status unknown = ResolveTargetCpu("z80").status();
  EXPECT_EQ(unknown.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(unknown.message().find("x86-64-v4, x86-64-v4-vnni, armv8-a, native"), std::string::npos)
      << unknown.message();
}

TEST(SystemCompilerTest, NativeIsTheMostThatThisMachineCanRun) {
  const std::string native = *ResolveTargetCpu("native");
  EXPECT_TRUE(simulator::CheckTargetCpu(native).ok());
#if defined(__x86_64__)
  for (const char* const level :
       {"x86-64-v4-vnni", "x86-64-v4", "x86-64-v3", "x86-64-v2", "x86-64"}) {
    if (simulator::CheckTargetCpu(level).ok()) {
      EXPECT_EQ(native, level);
      break;
    }
  }
#endif
}

TEST(SystemCompilerTest, FlagsOfATargetAreThoseOfItsArchitectureAndWhatItHasBesides) {
  const auto has = [](std::string_view target, std::string_view flag) {
    const std::vector<std::string> flags = ProgramFlags(target);
    return std::ranges::find(flags, flag) != flags.end();
  };
  EXPECT_TRUE(has("x86-64-v4", "-march=x86-64-v4"));
  EXPECT_FALSE(has("x86-64-v4", "-mavx512vnni"));
  EXPECT_TRUE(has("x86-64-v4-vnni", "-march=x86-64-v4"));
  EXPECT_TRUE(has("x86-64-v4-vnni", "-mavx512vnni"));
}

#if defined(__x86_64__)
TEST(SystemCompilerTest, TheKernelsOfEveryLevelCompileWithEveryCompiler) {
  for (const char* const program : {"clang++-19", "g++"}) {
    const Result<SystemCompiler> compiler = FindCompiler(program, "x86-64-v4-vnni");
    if (!compiler.ok()) {
      continue;
    }
    for (const char* const level : {"x86-64-v2", "x86-64-v3", "x86-64-v4", "x86-64-v4-vnni"}) {
      const TemporaryDirectory folder;
      const ObjectBuilder builder(LocalFileSystem(), *compiler, level, folder / "a", {});
      const auto built = builder.Build(
          {"#include \"worker/die/kernels.h\"\n"
           "void Kernel(const std::byte* packed, const tyllm::die::Activations& a, float* out) {\n"
           "  tyllm::die::Linear4<32, 128, 128>(packed, a, 13, out);\n"
           "}\n",
           ""});
      EXPECT_TRUE(built.ok()) << program << ", " << level << ": " << built.status().ToString();
    }
  }
}
#endif

}  // namespace
}  // namespace tyllm::compile
