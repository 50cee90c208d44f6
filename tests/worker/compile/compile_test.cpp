// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/compile.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <set>

#include "common/base/digest.h"
#include "common/domain/tools.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temporary_directory.h"
#include "tests/worker/compile/golden_model.h"
#include "worker/artifact/artifact.h"
#include "worker/artifact/layout.h"
#include "worker/compile/finished_params.h"
#include "worker/compile/proof.h"

namespace tyllm::compile {
namespace {

using testing::Contents;
using testing::GoldenRequest;
using tyllm::testing::FaultyFileSystem;
using tyllm::testing::TemporaryDirectory;

class Recorder final : public domain::ProgressSink {
 public:
  void Report(const domain::Progress& progress) override { records.push_back(progress); }

  std::vector<domain::Progress> records;
};

Result<CompileSummary> CompileInto(const CompileRequest& request, const Path& out) {
  domain::NoProgress progress;
  return Compile(LocalFileSystem(), request, out, progress);
}

/// Changes that a compilation makes when all objects are cached.
int ChangesOf(const CompileRequest& request, const Path& scratch) {
  domain::NoProgress progress;
  EXPECT_TRUE(CompileInto(request, scratch / "warm").ok());
  FaultyFileSystem counting(1 << 20);
  EXPECT_TRUE(Compile(counting, request, scratch / "counted", progress).ok());
  return counting.changes();
}

/// A compilation that a full disk ends when the programs are finished, but not what is around them.
void CompileAlmost(const CompileRequest& request, const Path& scratch, const Path& out) {
  domain::NoProgress progress;
  FaultyFileSystem faulty(ChangesOf(request, scratch) - 10);
  EXPECT_EQ(Compile(faulty, request, out, progress).status().code(),
            StatusCode::kResourceExhausted);
}

/// Names of files that only one of two trees has, or whose bytes are not the same.
std::set<std::string> FilesThatDiffer(const Path& a, const Path& b) {
  const auto left = Contents(a);
  const auto right = Contents(b);
  std::set<std::string> names;
  for (const auto* tree : {&left, &right}) {
    for (const auto& [name, content] : *tree) {
      const auto in_left = left.find(name);
      const auto in_right = right.find(name);
      if (in_left == left.end() || in_right == right.end() || in_left->second != in_right->second) {
        names.insert(name);
      }
    }
  }
  return names;
}

/// Programs whose record has its final name.
std::int64_t FinishedPrograms(const Path& root) {
  std::int64_t count = 0;
  if (!std::filesystem::exists(root)) {
    return count;
  }
  for (const auto& [name, content] : Contents(root)) {
    const std::string file = Path(name).filename();
    count += file.starts_with("ckpt_") && file.ends_with(".json") ? 1 : 0;
  }
  return count;
}

/// The published tree of a text model, and our own files beside it.
std::set<std::string> PublishedNames(std::int64_t dies) {
  std::set<std::string> names = {"buffer_config.json", "config.json",
                                 "empty.bin",          "manifest.json",
                                 "golden.safetensors", "generation_config.json",
                                 "verification.json"};
  for (std::int64_t d = 0; d < dies; ++d) {
    const std::string die = "die" + std::to_string(d);
    for (const char* name :
         {"common_@.params", "constant_@_1.params", "constant_@_8.params", "seqlen_1/llm_@.params",
          "seqlen_1/llm_decode_@.so", "seqlen_1/ckpt_llm_decode_@.json", "seqlen_8/llm_@.params",
          "seqlen_8/llm_decode_@.so", "seqlen_8/ckpt_llm_decode_@.json",
          "seqlen_8/llm_prefill_@.so", "seqlen_8/ckpt_llm_prefill_@.json"}) {
      std::string text = std::string("batch_1/") + name;
      names.insert(text.replace(text.find('@'), 1, die));
    }
  }
  return names;
}

TEST(CompileTest, WritesExactlyThePublishedNames) {
  for (const std::int64_t dies : {1, 2, 3, 4}) {
    const TemporaryDirectory folder;
    const auto summary = CompileInto(GoldenRequest(dies), folder / "out");
    ASSERT_TRUE(summary.ok()) << summary.status().ToString();
    const Path root = folder / "out" / (std::to_string(dies) + "die");
    EXPECT_EQ(summary->directory, root);
    std::set<std::string> names;
    for (const auto& [name, content] : Contents(folder / "out")) {
      names.insert(name.substr(name.find('/') + 1));
    }
    EXPECT_EQ(names, PublishedNames(dies));
    EXPECT_TRUE(Contents(root)["empty.bin"].empty());
  }
}

TEST(CompileTest, LogitsOnTheSimulatorAreThoseOfTheFloatModel) {
  for (const std::int64_t dies : {1, 3}) {
    const TemporaryDirectory folder;
    const auto summary = CompileInto(GoldenRequest(dies), folder / "out");
    ASSERT_TRUE(summary.ok()) << summary.status().ToString();
    ASSERT_TRUE(summary->verified.has_value());
    EXPECT_GT(summary->verified->rows, 0);
    EXPECT_LT(summary->verified->max_difference, 2e-2);
  }
}

TEST(CompileTest, SameRequestGivesTheSameBytesAlsoWithoutTheCache) {
  const TemporaryDirectory folder;
  CompileRequest request = GoldenRequest(2);
  ASSERT_TRUE(CompileInto(request, folder / "a").ok());
  request.cache.clear();
  request.jobs = 1;
  ASSERT_TRUE(CompileInto(request, folder / "elsewhere" / "b").ok());
  EXPECT_EQ(FilesThatDiffer(folder / "a", folder / "elsewhere" / "b"), std::set<std::string>());
}

TEST(CompileTest, DiesCompiledApartAndPutTogetherGiveTheSameBytes) {
  const TemporaryDirectory folder;
  const CompileRequest request = GoldenRequest(2);
  domain::NoProgress progress;
  ASSERT_TRUE(CompileInto(request, folder / "whole").ok());
  ASSERT_TRUE(CompileDies(LocalFileSystem(), request, {0}, folder / "part0", progress).ok());
  ASSERT_TRUE(CompileDies(LocalFileSystem(), request, {1}, folder / "part1", progress).ok());
  const auto summary = Assemble(LocalFileSystem(), request, {folder / "part0", folder / "part1"},
                                folder / "joined", progress);
  ASSERT_TRUE(summary.ok()) << summary.status().ToString();
  EXPECT_EQ(FilesThatDiffer(folder / "whole", folder / "joined"), std::set<std::string>());
}

TEST(CompileTest, AMissingDieIsNamed) {
  const TemporaryDirectory folder;
  const CompileRequest request = GoldenRequest(2);
  domain::NoProgress progress;
  ASSERT_TRUE(CompileDies(LocalFileSystem(), request, {0}, folder / "part0", progress).ok());
  const auto summary =
      Assemble(LocalFileSystem(), request, {folder / "part0"}, folder / "joined", progress);
  EXPECT_EQ(summary.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(summary.status().message().find("ckpt_llm_decode_die1.json"), std::string::npos)
      << summary.status().message();
  EXPECT_FALSE(std::filesystem::exists(folder / "joined" / "2die"));
}

TEST(CompileTest, KilledWorkGoesOnWhereItWas) {
  const TemporaryDirectory folder;
  const CompileRequest request = GoldenRequest(2);
  // A full disk leaves what a kill leaves.
  CompileAlmost(request, folder.path(), folder / "out");
  EXPECT_FALSE(std::filesystem::exists(folder / "out" / "2die"));
  const auto again = CompileInto(request, folder / "out");
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(again->counts.programs_kept, again->counts.programs);
  EXPECT_EQ(again->counts.params_written, 0);
  EXPECT_EQ(FilesThatDiffer(folder / "out", folder / "warm"), std::set<std::string>());
}

TEST(CompileTest, AfterAKillAtAnyMomentOnlyWhatIsMissingIsMade) {
  const TemporaryDirectory folder;
  const CompileRequest request = GoldenRequest(2);
  const int changes = ChangesOf(request, folder.path());
  for (const int healthy : {3, changes / 3, changes / 2, changes * 3 / 4, changes - 10}) {
    const Path out = folder / std::to_string(healthy);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      FaultyFileSystem deadly(healthy, FaultyFileSystem::Fault::kKills);
      domain::NoProgress progress;
      ::_exit(Compile(deadly, request, out, progress).ok() ? 0 : 1);
    }
    int how = 0;
    ASSERT_EQ(::waitpid(child, &how, 0), child);
    ASSERT_TRUE(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL) << how;
    EXPECT_FALSE(std::filesystem::exists(out / "2die"));
    const std::int64_t finished = FinishedPrograms(out / "2die.partial");
    const auto again = CompileInto(request, out);
    ASSERT_TRUE(again.ok()) << again.status().ToString();
    EXPECT_EQ(again->counts.programs_kept, finished) << healthy << " of " << changes;
    EXPECT_EQ(FilesThatDiffer(out, folder / "warm"), std::set<std::string>())
        << healthy << " of " << changes;
  }
}

TEST(CompileTest, ProgramsAreMadeWithTheCompilerThatWasAskedForOrNotAtAll) {
  const TemporaryDirectory folder;
  CompileRequest request = GoldenRequest(2);
  request.compiler_id = "cc 1";
  domain::NoProgress progress;
  const Status other =
      CompileDies(LocalFileSystem(), request, {0}, folder / "part0", progress).status();
  EXPECT_EQ(other.code(), StatusCode::kUnavailable);
  EXPECT_NE(other.message().find("'cc 1'"), std::string::npos) << other.message();
  EXPECT_EQ(other.facts().find(domain::kMissingToolFact)->second, "sim-x86_64");
  EXPECT_FALSE(std::filesystem::exists(folder / "part0"));
  const auto own = FindCompiler("", request.options.target_cpu);
  ASSERT_TRUE(own.ok());
  request.compiler_id = own->id;
  EXPECT_TRUE(Preflight(request, NeedsCompiler::kYes).ok());
}

TEST(CompileTest, AfterAKillWeightsThatWereFinishedAreNotPackedAgain) {
  const TemporaryDirectory folder;
  CompileRequest request = GoldenRequest(2);
  request.compiler = "none";
  request.cache.clear();
  const int changes = ChangesOf(request, folder.path());
  std::set<std::int64_t> packed;
  for (const int healthy : {3, changes / 4, changes / 3, changes / 2, changes - 10}) {
    const Path out = folder / std::to_string(healthy);
    FaultyFileSystem full(healthy);
    domain::NoProgress progress;
    ASSERT_FALSE(Compile(full, request, out, progress).ok());
    const Path remembered = out / "2die.partial" / FinishedParams::kFolder;
    const auto finished =
        std::filesystem::exists(remembered) ? std::ssize(Contents(remembered)) : 0;
    const auto again = CompileInto(request, out);
    ASSERT_TRUE(again.ok()) << again.status().ToString();
    EXPECT_EQ(again->counts.params_written, 2 - finished) << healthy << " of " << changes;
    packed.insert(again->counts.params_written);
  }
  EXPECT_TRUE(packed.contains(0) && packed.contains(2));
}

TEST(CompileTest, ADamagedFinishedProgramIsMadeAgain) {
  const TemporaryDirectory folder;
  const CompileRequest request = GoldenRequest(1);
  CompileAlmost(request, folder.path(), folder / "out");
  const Path object =
      folder / "out" / "1die.partial" / "batch_1" / "seqlen_8" / "llm_decode_die0.so";
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), object, "cut off").ok());
  ASSERT_TRUE(CompileInto(request, folder / "out").ok());
  EXPECT_EQ(FilesThatDiffer(folder / "out", folder / "warm"), std::set<std::string>());
}

/// Changes some bits of a file and leaves others that are linked to it as they are.
void FlipBits(const Path& path) {
  std::string bytes = *LocalFileSystem().Read(path);
  for (std::size_t i = 1; i <= 4; ++i) {
    bytes[bytes.size() * i / 5] ^= 0x10;
  }
  std::filesystem::remove(path);
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), path, bytes).ok());
}

void RemoveRecords(const Path& root) {
  for (const auto& [name, content] : Contents(root)) {
    if (Path(name).filename().string().starts_with("ckpt_")) {
      std::filesystem::remove(root / name);
    }
  }
}

TEST(CompileTest, DamagedWeightsOfUnfinishedWorkAreNotPublished) {
  const TemporaryDirectory folder;
  const CompileRequest request = GoldenRequest(2);
  CompileAlmost(request, folder.path(), folder / "out");
  FlipBits(folder / "out" / "2die.partial" / artifact::CommonParams(0));
  const auto again = CompileInto(request, folder / "out");
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(again->counts.programs_kept, again->counts.programs);
  EXPECT_EQ(FilesThatDiffer(folder / "out", folder / "warm"), std::set<std::string>());
}

TEST(CompileTest, WeightsThatNoRecordKnowsAreComparedWithWhatWasWritten) {
  const TemporaryDirectory folder;
  CompileRequest request = GoldenRequest(2);
  CompileAlmost(request, folder.path(), folder / "out");
  const Path partial = folder / "out" / "2die.partial";
  RemoveRecords(partial);
  FlipBits(partial / artifact::CommonParams(1));
  const auto again = CompileInto(request, folder / "out");
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(FilesThatDiffer(folder / "out", folder / "warm"), std::set<std::string>());
}

TEST(CompileTest, WeightsAsTheyWereWrittenAreKeptWithoutARecord) {
  const TemporaryDirectory folder;
  CompileRequest request = GoldenRequest(1);
  request.compiler = "none";
  request.cache.clear();
  CompileAlmost(request, folder.path(), folder / "out");
  RemoveRecords(folder / "out" / "1die.partial");
  const auto again = CompileInto(request, folder / "out");
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(again->counts.programs_kept, 0);
  EXPECT_EQ(again->counts.params_written, 0);
}

TEST(CompileTest, OtherOptionsDoNotResumeTheWorkOfThese) {
  const TemporaryDirectory folder;
  CompileRequest request = GoldenRequest(1);
  CompileAlmost(request, folder.path(), folder / "out");
  request.options.max_kv = 32;
  const auto other = CompileInto(request, folder / "out");
  ASSERT_TRUE(other.ok()) << other.status().ToString();
  EXPECT_EQ(other->counts.programs_kept, 0);
}

/// A request whose packed weights nobody has yet.
CompileRequest FreshRequest(const Path& cache) {
  CompileRequest request = GoldenRequest(2);
  request.cache = cache;
  return request;
}

TEST(CompileTest, AnotherContextOrOtherBucketsRepackNothing) {
  const TemporaryDirectory folder;
  CompileRequest request = FreshRequest(folder / "cache");
  const auto first = CompileInto(request, folder / "first");
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  EXPECT_EQ(first->counts.params_written, 2);
  request.options.max_kv = 48;
  request.options.seq_lens = {1, 4};
  const auto second = CompileInto(request, folder / "second");
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  EXPECT_EQ(second->counts.params_written, 0);
  request.cache.clear();
  ASSERT_TRUE(CompileInto(request, folder / "anew").ok());
  EXPECT_EQ(FilesThatDiffer(folder / "second", folder / "anew"), std::set<std::string>());
}

TEST(CompileTest, PackedWeightsThatSomebodyChangedAreNotUsed) {
  const TemporaryDirectory folder;
  CompileRequest request = FreshRequest(folder / "cache");
  const auto first = CompileInto(request, folder / "first");
  ASSERT_TRUE(first.ok());
  const Path params = first->directory / artifact::CommonParams(1);
  std::fstream file(params, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096);
  file.put('!');
  file.close();
  request.options.max_kv = 48;
  const auto second = CompileInto(request, folder / "second");
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  EXPECT_EQ(second->counts.params_written, 1);
}

TEST(CompileTest, PackedWeightsThatNoModelSharesAreForgotten) {
  const TemporaryDirectory folder;
  CompileRequest request = FreshRequest(folder / "cache");
  ASSERT_TRUE(CompileInto(request, folder / "first").ok());
  ASSERT_EQ(Contents(folder / "cache" / "weights").size(), 4U);
  std::filesystem::remove_all(folder / "first");
  request.options.dies = 1;
  ASSERT_TRUE(CompileInto(request, folder / "second").ok());
  EXPECT_EQ(Contents(folder / "cache" / "weights").size(), 2U);
}

TEST(CompileTest, AFullDiskAtAnyPointLeavesNothingUnderTheFinalName) {
  const TemporaryDirectory folder;
  const CompileRequest request = GoldenRequest(1);
  domain::NoProgress progress;
  // The last change makes the finished folder's name durable.
  const int before_name = ChangesOf(request, folder.path()) - 1;
  for (int k = 0; k < before_name; k += 1 + before_name / 20) {
    FaultyFileSystem faulty(k);
    const Path out = folder / std::to_string(k);  // work is resumed, so each in its own
    const auto summary = Compile(faulty, request, out, progress);
    EXPECT_EQ(summary.status().code(), StatusCode::kResourceExhausted) << "change " << k;
    EXPECT_FALSE(std::filesystem::exists(out / "1die")) << "change " << k;
  }
}

TEST(CompileTest, AnOutputInTheModelsFolderIsRefused) {
  const TemporaryDirectory folder;
  CompileRequest request = GoldenRequest(1);
  std::filesystem::copy(request.model, folder / "model");
  request.model = folder / "model";
  const auto before = Contents(folder / "model");
  domain::NoProgress progress;
  for (const Path& out : {folder / "model", folder / "model" / "deep" / "out"}) {
    for (const Status& status :
         {CompileInto(request, out).status(),
          CompileDies(LocalFileSystem(), request, {0}, out, progress).status(),
          Assemble(LocalFileSystem(), request, {}, out, progress).status()}) {
      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
      EXPECT_NE(status.message().find("lies in the model directory"), std::string::npos)
          << status.message();
    }
  }
  EXPECT_EQ(Contents(folder / "model"), before);
}

TEST(CompileTest, WorkThatCannotBeProvenHereIsKeptAndWorkThatIsWrongIsNot) {
  const TemporaryDirectory folder;
  const Path partial = folder / "1die.partial";
  std::filesystem::create_directories(partial);
  for (const Status& why : {ResourceExhausted("the KV cache needs 9 bytes"),
                            FailedPrecondition("program.so cannot be loaded: not permitted")}) {
    const Status status = NotProven(LocalFileSystem(), partial, why);
    EXPECT_EQ(status.code(), why.code());
    for (const std::string& part :
         {why.message(), partial.string() + " is kept", std::string("the same command goes on")}) {
      EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
    }
    EXPECT_EQ(status.message().find("not right"), std::string::npos);
    EXPECT_TRUE(std::filesystem::exists(partial));
  }
  const Status wrong = NotProven(LocalFileSystem(), partial, DataLoss("a logit differs by 3"));
  EXPECT_EQ(wrong.code(), StatusCode::kDataLoss);
  EXPECT_NE(wrong.message().find("is not right"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(partial));
}

/// Files and distinct files (by inode) of programs.
std::pair<std::size_t, std::size_t> ObjectsOf(const Path& root) {
  std::set<std::uintmax_t> inodes;
  std::size_t count = 0;
  for (const auto& [name, content] : Contents(root)) {
    struct stat found{};
    if (name.ends_with(".so") && ::stat((root / name).c_str(), &found) == 0) {
      ++count;
      inodes.insert(found.st_ino);
    }
  }
  return {count, inodes.size()};
}

TEST(CompileTest, ProgramsOfSeveralDiesThatAreTheSameLieOnTheDiskOnce) {
  for (const std::int64_t dies : {4, 16}) {
    const TemporaryDirectory folder;
    CompileRequest request = GoldenRequest(dies);
    request.options.seq_lens = {1, 8, 16};
    const auto summary = CompileInto(request, folder / "out");
    ASSERT_TRUE(summary.ok()) << summary.status().ToString();
    std::set<std::string> different;
    for (const auto& [name, content] : Contents(summary->directory)) {
      if (name.ends_with(".so")) {
        different.insert(content);
      }
    }
    const auto [count, distinct] = ObjectsOf(summary->directory);
    EXPECT_EQ(static_cast<std::int64_t>(count), 5 * dies);
    EXPECT_EQ(distinct, different.size());
    EXPECT_LE(2 * distinct, count);
  }
}

TEST(CompileTest, AnExistingResultIsToldOfWithEverythingElseAndBeforeTheModelIsRead) {
  const TemporaryDirectory folder;
  CompileRequest request = GoldenRequest(1);
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder / "x", "x").ok());
  std::filesystem::create_directories(folder / "1die");
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder / "1die" / "x", "x").ok());
  Recorder progress;
  const Status status = Compile(LocalFileSystem(), request, folder.path(), progress).status();
  EXPECT_EQ(status.code(), StatusCode::kAlreadyExists);
  EXPECT_TRUE(progress.records.empty());
  request.options.max_kv = 2000;
  request.problems = {InvalidArgument("the caller's own")};
  const std::string all =
      Compile(LocalFileSystem(), request, folder.path(), progress).status().message();
  for (const char* part :
       {"3 problems", "--max-kv is 2000", "exists and is not empty", "the caller's own"}) {
    EXPECT_NE(all.find(part), std::string::npos) << all;
  }
}

/// A disk with so much room.
class SmallDisk final : public FaultyFileSystem {
 public:
  explicit SmallDisk(std::uint64_t free) : FaultyFileSystem(1 << 20), free_(free) {}

  Result<std::uint64_t> FreeBytes(const Path& /*path*/) override { return free_; }

 private:
  std::uint64_t free_;
};

TEST(CompileTest, TooLittleRoomIsToldOfBeforeTheModelIsRead) {
  const TemporaryDirectory folder;
  CompileRequest request = GoldenRequest(1);
  request.cache = folder / "cache";
  SmallDisk disk(10'000);
  Recorder progress;
  const Status status = Compile(disk, request, folder / "not" / "there", progress).status();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_NE(status.message().find("the compiled model needs"), std::string::npos)
      << status.message();
  EXPECT_TRUE(progress.records.empty());
  EXPECT_FALSE(std::filesystem::exists(folder / "not"));
}

TEST(CompileTest, TheCheckTellsHowMuchOfTheModelIsRead) {
  const TemporaryDirectory folder;
  Recorder progress;
  ASSERT_TRUE(Compile(LocalFileSystem(), GoldenRequest(1), folder.path(), progress).ok());
  std::vector<domain::Progress> check;
  std::ranges::copy_if(progress.records, std::back_inserter(check),
                       [](const domain::Progress& p) { return p.stage == "check"; });
  ASSERT_GE(check.size(), 3U);
  EXPECT_EQ(check.back().unit, "bytes");
  EXPECT_EQ(check.back().done, check.back().total);
  EXPECT_GT(check.back().total, 0);
}

/// A model as the hub's cache keeps it: a snapshot of links to blobs that are named by digests.
Path SnapshotOf(const Path& model, const Path& hub) {
  const Path repository = hub / "models--tyllm--tiny";
  const Path snapshot = repository / "snapshots" / "0123abcd";
  std::filesystem::create_directories(repository / "blobs");
  std::filesystem::create_directories(snapshot);
  for (const auto& file : std::filesystem::directory_iterator(model)) {
    const std::string blob = DigestOfFile(file.path())->sha256.Hex();
    std::filesystem::copy_file(file.path(), repository / "blobs" / blob);
    std::filesystem::create_symlink(Path("../../blobs") / blob, snapshot / file.path().filename());
  }
  return snapshot;
}

TEST(CompileTest, ASnapshotOfTheHubsCacheIsCompiledLikeAFolderOfFiles) {
  const TemporaryDirectory folder;
  CompileRequest request = GoldenRequest(1);
  ASSERT_TRUE(CompileInto(request, folder / "of files").ok());
  request.model = SnapshotOf(request.model, folder / ".cache" / "huggingface" / "hub");
  const auto summary = CompileInto(request, folder / "of links");
  ASSERT_TRUE(summary.ok()) << summary.status().ToString();
  EXPECT_TRUE(Contents(summary->directory).contains("generation_config.json"));
  EXPECT_EQ(FilesThatDiffer(folder / "of files", folder / "of links"), std::set<std::string>());
}

TEST(CompileTest, AnExistingResultIsNotTouched) {
  const TemporaryDirectory folder;
  ASSERT_TRUE(CompileInto(GoldenRequest(1), folder / "out").ok());
  const auto before = Contents(folder / "out");
  EXPECT_EQ(CompileInto(GoldenRequest(1), folder / "out").status().code(),
            StatusCode::kAlreadyExists);
  EXPECT_EQ(Contents(folder / "out"), before);
}

TEST(CompileTest, WithoutACompilerTheModelIsInterpreted) {
  const TemporaryDirectory folder;
  CompileRequest request = GoldenRequest(2);
  request.compiler = "none";
  const auto summary = CompileInto(request, folder / "out");
  ASSERT_TRUE(summary.ok()) << summary.status().ToString();
  ASSERT_TRUE(summary->verified.has_value());
  EXPECT_EQ(summary->verified->engine, "interpreter");
  EXPECT_TRUE(summary->counts.interpreted);
  EXPECT_EQ(summary->counts.built(), 0);
  EXPECT_LT(summary->verified->max_difference, 1e-3);
  const auto contents = Contents(summary->directory);
  EXPECT_TRUE(contents.contains("batch_1/seqlen_8/llm_decode_die1.cpp"));
  for (const auto& [name, content] : contents) {
    EXPECT_FALSE(name.ends_with(".so")) << name;
  }
}

TEST(CompileTest, EmbeddingsAsInputPutTheTableApart) {
  const TemporaryDirectory folder;
  CompileRequest request = GoldenRequest(2);
  request.options.embedding_as_input = true;
  const auto summary = CompileInto(request, folder / "out");
  ASSERT_TRUE(summary.ok()) << summary.status().ToString();
  EXPECT_TRUE(std::filesystem::exists(summary->directory / artifact::kEmbeddingFile));
  EXPECT_LT(summary->verified->max_difference, 2e-2);
}

TEST(CompileTest, RemapIsMetadataOnly) {
  const TemporaryDirectory folder;
  CompileRequest request = GoldenRequest(2);
  ASSERT_TRUE(CompileInto(request, folder / "plain").ok());
  request.options.lm_die_remap = {3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  const auto remapped = CompileInto(request, folder / "remapped");
  ASSERT_TRUE(remapped.ok());
  const auto a = Contents(folder / "plain" / "2die");
  const auto b = Contents(folder / "remapped" / "2die");
  for (const auto& [name, content] : a) {
    if (name.ends_with(".so") || name.ends_with(".params")) {
      EXPECT_EQ(content, b.at(name)) << name;
    }
  }
  const auto opened = artifact::OpenArtifact(folder / "remapped");
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(opened->buffers.die_list[0].physical_die, 3);
  EXPECT_EQ(opened->buffers.die_list[1].physical_die, 1);
}

}  // namespace
}  // namespace tyllm::compile
