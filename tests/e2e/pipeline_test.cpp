// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <map>

#include "common/format/tree.h"
#include "tests/e2e/farm.h"
#include "tests/support/can_clone.h"
#include "tests/support/metric_value.h"

// The main job with real processes: server, worker, job processes, client.
namespace tyllm::testing {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> With(std::vector<std::string> arguments,
                              const std::vector<std::string>& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(Pipeline, QuantizesConvertsEvaluatesCompilesAndFetchesAModelThatRuns) {
  Farm farm;
  farm.StartServer(true);
  const fs::path out = farm.folder() / "out";
  const Ran ran =
      farm.Client(With(QuickPipeline(), {"--name", "demo", "--json", "--fetch", out.string()}));
  ASSERT_EQ(ran.code, 0) << ran.err;
  const format::Json job = ran.Json();
  EXPECT_EQ(job["state"], "succeeded");
  EXPECT_EQ(job["tasks"].size(), 6U);  // quantize, convert, evaluate, two dies, assemble

  const auto evaluation = format::ReadJsonFile(out / "evaluation" / "evaluation.json");
  ASSERT_TRUE(evaluation.ok()) << evaluation.status().ToString();
  const double quantized = (*evaluation)["model"]["perplexity"];
  const double reference = (*evaluation)["reference"]["perplexity"];
  EXPECT_GT(quantized, reference);
  EXPECT_LT(quantized, 1.2 * reference);

  const fs::path artifact = out / "demo-AWQ-AOT_8_128";
  EXPECT_TRUE(fs::exists(artifact / "2die" / "batch_1" / "seqlen_8" / "llm_prefill_die1.so"));
  const Ran verified = RunProgram("tyllm", {"verify", artifact.string(), "--json"});
  EXPECT_EQ(verified.code, 0) << verified.out << verified.err;

  // The compiled model says what the quantized one says in float32.
  const std::vector<std::string> prompt = {"--prompt", "The river", "--max-tokens", "12", "--json"};
  const Ran compiled = RunProgram("tyllm", With({"run", artifact.string()}, prompt));
  const Ran floating = RunProgram("tyllm", With({"run", (out / "demo-AWQ").string()}, prompt));
  ASSERT_EQ(compiled.code, 0) << compiled.err;
  ASSERT_EQ(floating.code, 0) << floating.err;
  EXPECT_EQ(compiled.Json()["token_ids"], floating.Json()["token_ids"]);

  const std::string metrics = farm.Metrics();
  EXPECT_NE(metrics.find("200 OK"), std::string::npos);
  // Every kind of task waited, worked and was uploaded; nothing reported a stage that is not known.
  for (const std::string kind : {"quantize", "convert", "evaluate", "compile_die", "assemble"}) {
    const std::string tasks = kind == "compile_die" ? "2" : "1";
    EXPECT_EQ(MetricValue(metrics, "tyllm_queue_wait_seconds_count{kind=\"" + kind + "\"}"), tasks);
    EXPECT_EQ(
        MetricValue(metrics, "tyllm_stage_seconds_count{kind=\"" + kind + "\",stage=\"upload\"}"),
        tasks);
    EXPECT_EQ(
        MetricValue(metrics, "tyllm_stage_seconds_count{kind=\"" + kind + "\",stage=\"other\"}"),
        "absent");
  }
  EXPECT_EQ(
      MetricValue(metrics, "tyllm_stage_seconds_count{kind=\"quantize\",stage=\"calibrate\"}"),
      "1");
  EXPECT_EQ(farm.StopServer(), 0);
}

/// Files under a folder that may not be executed, by their inodes.
std::map<ino_t, fs::path> DataFilesUnder(const fs::path& folder) {
  std::map<ino_t, fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    struct stat file{};
    if (::lstat(entry.path().c_str(), &file) == 0 && S_ISREG(file.st_mode) &&
        (file.st_mode & S_IXUSR) == 0) {
      files[file.st_ino] = entry.path();
    }
  }
  return files;
}

TEST(Pipeline, TheServersOwnWorkerHasNoCopiesOfModelsAndResults) {
  Farm farm;
  if (CanClone(farm.folder())) {
    GTEST_SKIP() << "files are cloned here, and nobody can tell which share blocks";
  }
  farm.StartServer(true);
  const Ran ran = farm.Client({"submit", "pipeline", "--model", DemoModel(), "--method", "rtn",
                               "--dies", "2", "--seq-lens", "1", "--max-kv", "64", "--wait"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(farm.StopServer(), 0);
  const auto blobs = DataFilesUnder(farm.folder() / "data/blobs/complete");
  std::uintmax_t shared = 0;
  for (const auto& tree : fs::directory_iterator(farm.folder() / "data/worker/trees")) {
    for (const auto& [inode, file] :
         tree.is_directory() ? DataFilesUnder(tree) : std::map<ino_t, fs::path>()) {
      EXPECT_TRUE(blobs.contains(inode)) << file << " is a copy";
      shared += fs::file_size(file);
    }
  }
  EXPECT_GT(shared, std::uintmax_t{8} << 20) << "the model and what was made of it";
  const Ran checked =
      RunProgram("tyllm-server", {"fsck", "--data", (farm.folder() / "data").string(), "--digest"});
  EXPECT_EQ(checked.code, 0) << checked.out << checked.err;
}

TEST(Pipeline, TheSameRequestTwiceCostsNothing) {
  Farm farm;
  farm.StartServer();
  farm.StartWorker();
  const std::vector<std::string> request = {"submit", "quantize", "--method",
                                            "rtn",    "--model",  DemoModel(),
                                            "--wait", "--json",   "--again"};
  const Ran first = farm.Client(request);
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(farm.StopWorker(), 0);  // nobody could run it again
  const Ran second = farm.Client(request);
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_TRUE(TaskOf(second.Json(), "quantize")["cached"]);
  EXPECT_NE(second.Json()["id"], first.Json()["id"]);
  EXPECT_EQ(second.Json()["outputs"], first.Json()["outputs"]);
}

TEST(Pipeline, AnInterruptedFetchGoesOnAndADamagedFileIsFetchedAgain) {
  Farm farm;
  farm.StartServer(true);
  const Ran done = farm.Client({"submit", "quantize", "--method", "rtn", "--format", "awq",
                                "--name", "m", "--model", DemoModel(), "--wait", "--json"});
  ASSERT_EQ(done.code, 0) << done.err;
  const std::string job = done.Json()["id"];
  // What an interrupted fetch leaves: a right beginning of one file, a wrong other one.
  const std::string tree = done.Json()["outputs"].begin().value();
  const fs::path incoming = farm.folder() / "out" / ("m-AWQ." + tree.substr(0, 12) + ".incoming");
  fs::create_directories(incoming);
  for (const char* const wrong : {"config.json", "tokenizer.json.part", "of-no-tree.json"}) {
    ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), incoming / wrong, "{}").ok());
  }
  // And what one of another tree does.
  const fs::path other = farm.folder() / "out" / "m-AWQ.0123456789ab.incoming";
  fs::create_directories(other);
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), other / "other.json", "{}").ok());
  const Ran fetched = farm.Client({"fetch", job, "--out", (farm.folder() / "out").string()});
  ASSERT_EQ(fetched.code, 0) << fetched.err;
  EXPECT_FALSE(fs::exists(incoming));
  const auto tree_there = format::ScanTree(farm.folder() / "out" / "m-AWQ");
  ASSERT_TRUE(tree_there.ok()) << tree_there.status().ToString();
  EXPECT_EQ(IdOf(*tree_there).ToString(), tree);
  EXPECT_TRUE(fs::exists(other / "other.json"));
  const Ran inspected =
      RunProgram("tyllm", {"inspect", (farm.folder() / "out" / "m-AWQ").string(), "--json"});
  EXPECT_EQ(inspected.code, 0) << inspected.err;
  // A second fetch finds everything there; a folder with other files is refused.
  EXPECT_EQ(farm.Client({"fetch", job, "--out", (farm.folder() / "out").string()}).code, 0);
  fs::remove(farm.folder() / "out" / "m-AWQ" / "tokenizer.json");
  EXPECT_EQ(farm.Client({"fetch", job, "--out", (farm.folder() / "out").string()}).code, 7);
}

TEST(Pipeline, AModelThatIsNoneFailsWithTheUsersBlameAndTheJobsOwnWords) {
  Farm farm;
  farm.StartServer(true);
  const fs::path model = farm.folder() / "broken";
  fs::copy(DemoModel(), model);
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), model / "config.json",
                                  "{\"architectures\":[\"FooForCausalLM\"]}")
                  .ok());
  const Ran ran =
      farm.Client({"submit", "quantize", "--model", model.string(), "--wait", "--json"});
  EXPECT_EQ(ran.code, 12) << ran.err;  // docs/manual/exit-codes.md
  const format::Json failure = ran.Json()["failure"];
  EXPECT_EQ(failure["blame"], "user");
  EXPECT_NE(std::string(failure["message"]).find("FooForCausalLM"), std::string::npos) << failure;
}

}  // namespace
}  // namespace tyllm::testing
