// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temporary_directory.h"
#include "worker/simulator/native_program.h"
#include "worker/simulator/target_cpu.h"

namespace tyllm::simulator {
namespace {

Path Object(std::string_view name) {
  return Path(TYLLM_TEST_OBJECTS) / (std::string(name) + ".so");
}

void ExpectRefused(const Path& path, std::string_view why) {
  const auto object = ProgramObject::Load(path);
  ASSERT_FALSE(object.ok());
  EXPECT_EQ(object.status().code(), StatusCode::kFailedPrecondition);
  const std::string& message = object.status().message();
  EXPECT_NE(message.find(path.filename().string()), std::string::npos) << message;
  EXPECT_NE(message.find(why), std::string::npos) << message;
}

TEST(ProgramObject, LoadsAProgramForThisMachine) {
  const auto object = ProgramObject::Load(Object("fine_program"));
  ASSERT_TRUE(object.ok()) << object.status().ToString();
  EXPECT_STREQ(object->program().kind, "llm_decode");
}

TEST(ProgramObject, AnotherAbiVersionIsRefusedWithBothNumbers) {
  ExpectRefused(Object("old_program"), "version 999");
}

TEST(ProgramObject, ACpuThatThisMachineIsNotIsRefusedBeforeAnyCall) {
  ExpectRefused(Object("other_cpu_program"), "quantum-v1");
}

TEST(ProgramObject, AnObjectWithoutOurEntryIsRefused) {
  ExpectRefused(Object("foreign_object"), "tyllm_die_program");
}

TEST(ProgramObject, AFileThatIsNoObjectIsRefused) {
  const testing::TemporaryDirectory directory;
  const Path path = directory.path() / "llm_decode_die0.so";
  std::ofstream(path) << "not an ELF file";
  ExpectRefused(path, "cannot be loaded");
}

TEST(ProgramObject, AFileThatIsCutOffAnywhereIsRefusedBeforeItIsMapped) {
  const testing::TemporaryDirectory directory;
  const Path whole = Object("fine_program");
  const Path path = directory.path() / "llm_decode_die0.so";
  const std::uintmax_t bytes = std::filesystem::file_size(whole);
  for (std::uintmax_t left = 0; left < bytes; left += 509) {
    std::filesystem::copy_file(whole, path, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(path, left);
    ExpectRefused(path, "cannot be loaded");
  }
}

TEST(TargetCpu, TheBaselineRunsEverywhereAndUnknownNamesListTheKnownOnes) {
#if defined(__x86_64__)
  EXPECT_TRUE(CheckTargetCpu("x86-64").ok());
  EXPECT_NE(CheckTargetCpu("armv9").message().find("x86-64-v3"), std::string::npos);
#endif
  EXPECT_EQ(CheckTargetCpu("").code(), StatusCode::kFailedPrecondition);
}

#if defined(__x86_64__)
TEST(TargetCpu, AvxWithVnniNeedsAllOfTheLevelBelowAndSaysWhatIsLacking) {
  const Status status = CheckTargetCpu("x86-64-v4-vnni");
  EXPECT_EQ(status.ok(),
            CheckTargetCpu("x86-64-v4").ok() && __builtin_cpu_supports("avx512vnni") != 0);
  if (!status.ok()) {
    EXPECT_EQ(status.code(), StatusCode::kUnavailable);
    EXPECT_NE(status.message().find(" avx512"), std::string::npos) << status.message();
  }
}
#endif

}  // namespace
}  // namespace tyllm::simulator
