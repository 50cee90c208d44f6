// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>

#include "tests/e2e/farm.h"
#include "tests/support/seeing_model.h"

// Models that see go through the farm with all that belongs to them.
namespace tyllm::testing {
namespace {

namespace fs = std::filesystem;

format::Json ReadJson(const fs::path& file) {
  auto json = format::ReadJsonFile(file);
  EXPECT_TRUE(json.ok()) << json.status().ToString();
  return json.ok() ? *json : format::Json();
}

/// A model, a picture in a folder of its own, pairs and questions about it.
void WriteInputs(const fs::path& folder) {
  MakeSeeingModel("tiny-qwen2-vl", folder / "model");
  fs::create_directories(folder / "pairs" / "photos");
  fs::copy_file(fs::path(kTestData) / "goldens/tiny-qwen2-vl/image.png",
                folder / "pairs" / "photos" / "a.png");
  std::ofstream(folder / "pairs" / "pairs.jsonl")
      << R"({"image": "photos/a.png", "text": "hello"})" << "\n"
      << R"({"image": "photos/a.png", "conversations": [{"from": "human", "value": "<image>he"}, )"
      << R"({"from": "gpt", "value": "hello world"}]})" << "\n"
      << R"({"image": "photos/not-sent.png", "text": "after the samples that are used"})" << "\n";
  fs::create_directories(folder / "questions");
  fs::copy_file(folder / "pairs" / "photos" / "a.png", folder / "questions" / "a.png");
  std::ofstream(folder / "questions" / "q.tsv") << "question\tA\tB\tanswer\tcategory\timage\n"
                                                   "What is it?\ta\tb\tA\tx\ta.png\n"
                                                   "What is it?\ta\tb\tB\ty\ta.png\n";
}

std::vector<std::string> Pipeline(const fs::path& folder, const std::string& image,
                                  const std::string& samples = "2") {
  const std::string a = (folder / "pairs" / "photos" / "a.png").string();
  return {"submit",
          "pipeline",
          "--model",
          (folder / "model").string(),
          "--name",
          "m",
          "--calibration",
          (folder / "pairs" / "pairs.jsonl").string(),
          "--samples",
          samples,
          "--seq-len",
          "64",
          "--group-size",
          "32",
          "--method",
          "awq",
          "--max-windows",
          "1",
          "--window",
          "32",
          "--visual-questions",
          (folder / "questions").string(),
          "--prompt-image",
          a,
          "--prompt",
          "he",
          "--chat",
          "--max-tokens",
          "2",
          "--fail-if",
          "visual.accuracy_drop>1",
          "--dies",
          "2",
          "--seq-lens",
          "1,8",
          "--max-kv",
          "128",
          "--image",
          image,
          "--vm-die-remap",
          "1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"};
}

std::vector<std::string> With(std::vector<std::string> command, std::vector<std::string> more) {
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

/// Action keys of a job's tasks as `--validate` tells them, and which have results.
std::map<std::string, format::Json> Forecast(const Farm& farm,
                                             const std::vector<std::string>& job) {
  const Ran ran = farm.Client(With(job, {"--validate", "--json"}));
  EXPECT_EQ(ran.code, 0) << ran.err;
  std::map<std::string, format::Json> tasks;
  const format::Json validation = ran.Json();
  for (const format::Json& task : validation.at("tasks")) {
    tasks[task["label"]] = task;
  }
  return tasks;
}

TEST(SeeingModels, APipelineIsCalibratedOnImagesAskedAboutThemAndCompiledForThem) {
  Farm farm;
  farm.StartServer(true);
  WriteInputs(farm.folder());
  const fs::path out = farm.folder() / "out";
  const auto job = Pipeline(farm.folder(), "140x110");
  const Ran ran = farm.Client(With(job, {"--fetch", out.string()}));
  ASSERT_EQ(ran.code, 0) << ran.err << ran.out;
  // Whoever waits sees how far it is: a call every two seconds tells of the stage at work, and
  // which stages are seen depends on when that is.
  EXPECT_TRUE(std::regex_search(ran.err, std::regex("compile.die0: (pack|compile|golden)[a-z_]* ")))
      << ran.err;

  format::Json quantized = ReadJson(out / "m-AWQ" / "quantization_report.json");
  EXPECT_EQ(quantized["calibration"]["samples"], 2) << quantized["calibration"];
  format::Json report = ReadJson(out / "evaluation" / "evaluation.json");
  EXPECT_EQ(report["visual"]["model"]["all"]["questions"], 2) << report["visual"];
  EXPECT_EQ(report["visual"]["model"]["categories"].size(), 2U);
  ASSERT_EQ(report["samples"].size(), 1U);
  EXPECT_TRUE(report["samples"][0].contains("reference"));
  EXPECT_EQ(report["conditions"][0]["holds"], false);

  // The board's name, and a directory that proves itself.
  const fs::path artifact = out / "m-AWQ-AOT_140x110_128_2die_image_1001";
  ASSERT_TRUE(fs::exists(artifact / "2die" / "visual" / "vit_die1.so"));
  const Ran verified = RunProgram("tyllm", {"verify", artifact.string()});
  EXPECT_EQ(verified.code, 0) << verified.err << verified.out;

  // Another image size is other work for the compiler, and for nobody else.
  const auto same = Forecast(farm, job);
  const auto other = Forecast(farm, Pipeline(farm.folder(), "168x112"));
  ASSERT_EQ(same.size(), 6U);
  for (const auto& [label, task] : same) {
    EXPECT_EQ(task["cached"], true) << label;
    const bool compiles = label.starts_with("compile.") || label == "assemble";
    EXPECT_EQ(other.at(label)["cached"], !compiles) << label;
  }
  const auto video = Forecast(farm, With(job, {"--modality", "video"}));
  EXPECT_EQ(video.at("quantize")["cached"], true);
  EXPECT_EQ(video.at("compile.die0")["cached"], false);
}

TEST(SeeingModels, WhatIsWrongWithImagesIsSaidBeforeAnythingIsSent) {
  Farm farm;
  farm.StartServer();
  WriteInputs(farm.folder());
  const auto job = Pipeline(farm.folder(), "140by110");
  const Ran size = farm.Client(job);
  EXPECT_EQ(size.code, 2);
  EXPECT_NE(size.err.find("140by110"), std::string::npos) << size.err;
  const std::string image = (farm.folder() / "pairs" / "photos" / "a.png").string();
  const Ran lonely = farm.Client(
      {"submit", "evaluate", "--model", (farm.folder() / "model").string(), "--image", image});
  EXPECT_EQ(lonely.code, 2);
  EXPECT_NE(lonely.err.find("prompt"), std::string::npos) << lonely.err;
  const Ran missing =
      farm.Client(With(Pipeline(farm.folder(), "140x110", "3"), {"--validate", "--json"}));
  EXPECT_EQ(missing.code, 3) << missing.err;
  EXPECT_NE((missing.err + missing.out).find("not-sent.png"), std::string::npos) << missing.err;
}

}  // namespace
}  // namespace tyllm::testing
