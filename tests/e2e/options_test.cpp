// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "common/format/json.h"
#include "tests/e2e/farm.h"
#include "tests/support/paths.h"

// What `tyllm` can be asked for can be asked of the farm.
namespace tyllm::testing {
namespace {

namespace fs = std::filesystem;

std::string QuestionFolder() {
  return std::string(kSourceFolder) + "/tests/data/questions";
}

/// Two files of articles in a member that has no usual name.
void WriteArticles(const fs::path& folder) {
  fs::create_directories(folder);
  for (const int file : {1, 2}) {
    std::ofstream out(folder / ("part" + std::to_string(file) + ".jsonl"));
    for (int i = 0; i < 20; ++i) {
      out << R"({"story": "The river of year )" << file * 100 + i
          << R"( carries boats past the old mill, and the people of the town count them.", )"
          << R"("text": "not this"})" << "\n";
    }
  }
}

format::Json ReadJson(const fs::path& file) {
  auto json = format::ReadJsonFile(file);
  EXPECT_TRUE(json.ok()) << json.status().ToString();
  return json.ok() ? *json : format::Json();
}

/// Names of the options that `--help` of a command shows.
std::set<std::string> OptionsOf(const std::string& program, std::vector<std::string> command) {
  command.emplace_back("--help");
  const std::string help = RunProgram(program, command).out;
  std::set<std::string> names;
  for (std::size_t at = help.find("--"); at != std::string::npos; at = help.find("--", at + 2)) {
    const std::size_t end = help.find_first_not_of("abcdefghijklmnopqrstuvwxyz-", at);
    names.insert(help.substr(at, end - at));
  }
  return names;
}

TEST(Options, WhatSaysWhatToComputeIsTheSameForTheFarm) {
  // What is of the machine on which the command runs, and what does something else.
  const std::set<std::string> local = {
      "--vendor-command", "--src",   "--dst",      "--out",      "--device",   "--threads",
      "--progress-fd",    "--board", "--boards",   "--cache",    "--compiler", "--jobs",
      "--dry-run",        "--dump",  "--generate", "--token-ids"};
  for (const char* const verb : {"quantize", "convert", "evaluate", "compile"}) {
    const auto farm = OptionsOf("tyllm-client", {"submit", verb});
    for (const std::string& option : OptionsOf("tyllm", {verb})) {
      EXPECT_TRUE(farm.contains(option) || local.contains(option))
          << "tyllm-client submit " << verb << " has no " << option;
    }
  }
}

TEST(Options, APipelineTakesWhatItsTasksTake) {
  // Its checkpoint is converted, its reference is the float model, and --image is what it is
  // compiled for: images of prompts are --prompt-image and --prompt-video.
  const std::set<std::string> others = {"--format", "--reference", "--video"};
  const auto pipeline = OptionsOf("tyllm-client", {"submit", "pipeline"});
  for (const char* const verb : {"quantize", "convert", "evaluate", "compile"}) {
    for (const std::string& option : OptionsOf("tyllm-client", {"submit", verb})) {
      EXPECT_TRUE(pipeline.contains(option) || others.contains(option))
          << "tyllm-client submit pipeline has no " << option;
    }
  }
}

TEST(Options, CalibrationTextsAreReadOnTheWorkerAsTheyWereAskedFor) {
  Farm farm;
  farm.StartServer(true);
  WriteArticles(farm.folder() / "articles");
  const fs::path out = farm.folder() / "out";
  const Ran ran = farm.Client({"submit",
                               "quantize",
                               "--model",
                               DemoModel(),
                               "--name",
                               "m",
                               "--method",
                               "awq",
                               "--samples",
                               "4",
                               "--seq-len",
                               "32",
                               "--calibration",
                               (farm.folder() / "articles").string(),
                               "--calibration-column",
                               "story",
                               "--no-concat",
                               "--pad",
                               "--seed",
                               "7",
                               "--keep-float",
                               "layers\\.0\\.",
                               "--format",
                               "awq",
                               "--json",
                               "--fetch",
                               out.string()});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const format::Json report = ReadJson(out / "m-AWQ" / "quantization_report.json");
  const format::Json& asked = report["options"]["calibration"];
  EXPECT_EQ(asked["column"], "story");
  EXPECT_EQ(asked["concat"], false);
  EXPECT_EQ(asked["pad"], true);
  EXPECT_EQ(asked["seed"], 7);
  EXPECT_EQ(report["calibration"]["documents_found"], 40) << report["calibration"];
  EXPECT_EQ(report["calibration"]["samples"], 4);
  for (const format::Json& linear : report["linears"]) {
    const std::string name = linear["name"];
    EXPECT_EQ(linear["quantized"], name.find("layers.0.") == std::string::npos) << name;
  }
}

TEST(Options, QuestionsTextsAndConditionsAreAnsweredOnTheWorker) {
  Farm farm;
  farm.StartServer(true);
  const fs::path out = farm.folder() / "out";
  const Ran ran = farm.Client({"submit",          "evaluate",
                               "--model",         DemoModel(),
                               "--name",          "m",
                               "--reference",     DemoModel(),
                               "--questions",     QuestionFolder(),
                               "--shots",         "2",
                               "--max-questions", "2",
                               "--answers",       "both",
                               "--answer-tokens", "4",
                               "--prompt",        "The river",
                               "--max-tokens",    "3",
                               "--max-windows",   "2",
                               "--window",        "64",
                               "--fail-if",       "kl_divergence>0.5",
                               "--json",          "--fetch",
                               out.string()});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const format::Json report = ReadJson(out / "evaluation" / "evaluation.json");
  EXPECT_EQ(report["questions"]["questions"], 6) << report["questions"];
  EXPECT_EQ(report["questions"]["shots"], 2);
  EXPECT_EQ(report["text"]["windows"], 2);
  EXPECT_TRUE(report.contains("choice"));
  EXPECT_TRUE(report.contains("generated"));
  EXPECT_EQ(report["choice"]["same_answers"], 1.0) << "a model differs from itself";
  ASSERT_EQ(report["samples"].size(), 1U);
  EXPECT_EQ(report["samples"][0]["model"]["token_ids"].size(), 3U);
  ASSERT_EQ(report["conditions"].size(), 1U);
  EXPECT_EQ(report["conditions"][0]["holds"], false);
  EXPECT_TRUE(fs::exists(out / "evaluation" / "answers.jsonl"));
}

TEST(Options, AConditionThatHoldsFailsTheJob) {
  Farm farm;
  farm.StartServer(true);
  const Ran ran =
      farm.Client({"submit", "evaluate", "--model", DemoModel(), "--max-windows", "1", "--window",
                   "64", "--fail-if", "model.perplexity>1", "--wait", "--json"});
  EXPECT_EQ(ran.code, 13) << ran.err;  // the model's turn
  EXPECT_EQ(ran.Json()["failure"]["reason"], "CONDITION_HOLDS");
}

}  // namespace
}  // namespace tyllm::testing
