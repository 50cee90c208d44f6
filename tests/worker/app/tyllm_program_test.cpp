// SPDX-License-Identifier: Apache-2.0
// The program as a shell sees it.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "common/base/child_process.h"
#include "common/domain/progress.h"
#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::app {
namespace {

const std::string kTyllm = std::string(testing::kProgramFolder) + "/tyllm";
const std::string kDemo = std::string(testing::kSourceFolder) + "/examples/models/demo-qwen3-4m";
constexpr std::chrono::seconds kLimit(60);

CommandOutcome Shell(const std::string& line) {
  const auto outcome = RunCommand({{"sh", "-c", line}, {}, {}, {}}, kLimit);
  EXPECT_TRUE(outcome.ok()) << outcome.status().ToString();
  return outcome.ok() ? *outcome : CommandOutcome{};
}

TEST(TyllmProgramTest, ListsItsCommands) {
  const CommandOutcome outcome = Shell(kTyllm + " --help");
  EXPECT_EQ(outcome.exit.code, 0);
  for (const char* command :
       {"quantize", "convert", "compile", "evaluate", "run", "verify", "inspect", "models"}) {
    EXPECT_NE(outcome.output.find("\n  " + std::string(command) + " "), std::string::npos)
        << command;
  }
}

TEST(TyllmProgramTest, EveryCommandHasHelp) {
  for (const char* command :
       {"quantize", "convert", "compile", "evaluate", "run", "verify", "inspect", "models"}) {
    const CommandOutcome outcome = Shell(kTyllm + " " + command + " --help");
    EXPECT_EQ(outcome.exit.code, 0);
    EXPECT_NE(outcome.output.find("Usage: tyllm " + std::string(command)), std::string::npos)
        << outcome.output;
  }
}

TEST(TyllmProgramTest, RefusesWrongArgumentsWithOneLine) {
  const CommandOutcome outcome = Shell(kTyllm + " inspekt x");
  EXPECT_EQ(outcome.exit.code, 2);
  EXPECT_EQ(outcome.output,
            "error: 'inspekt' is no command of 'tyllm'; did you mean 'tyllm inspect'?\n");
}

TEST(TyllmProgramTest, AJobThatItsMachineLacksACompilerForSaysWhoseFaultThatIs) {
  const testing::TemporaryDirectory folder;
  const std::string model = (folder / "model").string();
  ASSERT_EQ(Shell(kTyllm + " quantize --method rtn --model " + kDemo + " --out " + model).exit.code,
            0);
  const std::string order = R"({"kind":"compile_die","die":0,"compile":{"dies":1},)"
                            R"("inputs":{"model":")" +
                            model + R"("},"output":")" + (folder / "out").string() + R"("})";
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder / "order.json", order).ok());
  const CommandOutcome outcome =
      Shell("PATH=/nonexistent " + kTyllm + " task --spec " + (folder / "order.json").string());
  EXPECT_EQ(outcome.exit.code, 18) << outcome.output;
  EXPECT_NE(outcome.output.find("error: no C++ compiler"), std::string::npos) << outcome.output;
}

TEST(TyllmProgramTest, TellsWhatADirectoryIs) {
  const CommandOutcome outcome = Shell(kTyllm + " inspect " + kDemo);
  EXPECT_EQ(outcome.exit.code, 0);
  EXPECT_NE(outcome.output.find("a model in floating point\n"), std::string::npos);
  EXPECT_EQ(Shell(kTyllm + " inspect /nonexistent").exit.code, 3);
}

TEST(TyllmProgramTest, SaysWhatVllmWillMakeOfAModel) {
  const CommandOutcome sound = Shell(kTyllm + " inspect " + kDemo + " --lint vllm");
  EXPECT_EQ(sound.exit.code, 0) << sound.output;
  EXPECT_NE(sound.output.find("0 errors"), std::string::npos) << sound.output;
  const testing::TemporaryDirectory folder;
  const std::string copy = (folder / "copy").string();
  const CommandOutcome lacking =
      Shell("cp -r " + kDemo + " " + copy + " && rm " + copy + "/tokenizer.json && " + kTyllm +
            " inspect " + copy + " --lint vllm --json");
  EXPECT_EQ(lacking.exit.code, 1);
  const auto report = format::ParseJson(lacking.output, "output");
  ASSERT_TRUE(report.ok()) << lacking.output;
  EXPECT_EQ(report->at("errors"), 1);
  const format::Json& findings = report->at("findings");
  EXPECT_TRUE(std::any_of(findings.begin(), findings.end(), [](const format::Json& finding) {
    return finding.at("rule") == "files" && finding.at("level") == "error";
  })) << lacking.output;
  EXPECT_EQ(Shell(kTyllm + " inspect " + kDemo + " --lint sglang").exit.code, 2);
}

TEST(TyllmProgramTest, AModelWithoutProgramsIsNotCalledCompiled) {
  const testing::TemporaryDirectory folder;
  const std::string model =
      std::string(testing::kTestData) + "/goldens/tiny-qwen3 --no-tokenizer --max-kv 64";
  const std::string out = (folder / "out").string();
  const CommandOutcome compiled =
      Shell(kTyllm + " compile --compiler none --model " + model + " --out " + out);
  EXPECT_EQ(compiled.exit.code, 0) << compiled.output;
  for (const char* const part :
       {"to be interpreted: nothing was compiled", "interpreted in float32:"}) {
    EXPECT_NE(compiled.output.find(part), std::string::npos) << compiled.output;
  }
  const CommandOutcome inspected = Shell(kTyllm + " inspect " + out);
  for (const char* const part :
       {"sim: no programs", "head in float16, activations in int16, token ids as input"}) {
    EXPECT_NE(inspected.output.find(part), std::string::npos) << inspected.output;
  }
  const CommandOutcome measured =
      Shell(kTyllm + " bench " + out + " --prompt 8 --decode 2 --repeats 1");
  EXPECT_EQ(measured.exit.code, 0) << measured.output;
  EXPECT_NE(measured.output.find("interpreted in float32"), std::string::npos);
  EXPECT_EQ(measured.output.find("between them"), std::string::npos) << measured.output;
}

TEST(TyllmProgramTest, ProgramsFromTheCacheAreToldApart) {
  const testing::TemporaryDirectory folder;
  const std::string command =
      kTyllm + " compile --model " + std::string(testing::kTestData) +
      "/goldens/tiny-qwen3 --no-tokenizer --max-kv 64 --seq-lens 1 --cache " +
      (folder / "cache").string() + " --out ";
  const CommandOutcome first = Shell(command + (folder / "first").string());
  EXPECT_NE(first.output.find("1 compiled, 0 from the cache"), std::string::npos) << first.output;
  const CommandOutcome second = Shell(command + (folder / "second").string());
  EXPECT_NE(second.output.find("0 compiled, 1 from the cache"), std::string::npos) << second.output;
}

TEST(TyllmProgramTest, ADryRunTellsOfAResultThatIsThere) {
  const testing::TemporaryDirectory folder;
  ASSERT_TRUE(LocalFileSystem().CreateDirectories(folder / "1die").ok());
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder / "1die" / "x", "x").ok());
  const std::string command =
      kTyllm + " compile --dry-run --dies 1 --model " + kDemo + " --out " + folder.path().string();
  for (const char* const target : {"", " --target tytvm --vendor-command python3"}) {
    const CommandOutcome outcome = Shell(command + target);
    EXPECT_EQ(outcome.exit.code, 7) << outcome.output;
    EXPECT_NE(outcome.output.find("1die exists and is not empty"), std::string::npos)
        << outcome.output;
  }
}

TEST(TyllmProgramTest, ADryRunForTheSiliconSaysWhatItCannotTell) {
  const CommandOutcome outcome = Shell(kTyllm + " compile --dry-run --target tytvm --model " +
                                       kDemo + " --vendor-command python3");
  EXPECT_EQ(outcome.exit.code, 0) << outcome.output;
  EXPECT_NE(outcome.output.find("only the toolchain knows"), std::string::npos) << outcome.output;
  EXPECT_EQ(outcome.output.find("tokens/s"), std::string::npos) << outcome.output;
}

TEST(TyllmProgramTest, WordsOfTheVendorsCommandMayHaveBlanks) {
  const testing::TemporaryDirectory folder;
  const CommandOutcome outcome =
      Shell(kTyllm + " compile --target tytvm --model " + kDemo + " --out " +
            folder.path().string() + R"( --vendor-command "sh -c 'echo \"one  two\"; exit 3'")");
  EXPECT_NE(outcome.exit.code, 0);
  EXPECT_NE(outcome.output.find("one  two"), std::string::npos) << outcome.output;
}

TEST(TyllmProgramTest, CompilingSaysFirstWhatItNeedsAndWhatIsMissing) {
  const testing::TemporaryDirectory folder;
  const CommandOutcome outcome = Shell(
      kTyllm + " compile --dies 1 --seq-lens 1 --max-kv 64 --no-tokenizer --model " +
      std::string(testing::kTestData) + "/goldens/tiny-qwen3 --out " + (folder / "out").string());
  EXPECT_EQ(outcome.exit.code, 0) << outcome.output;
  for (const char* const part : {"warning: ", "tokenizer_config.json", "of memory"}) {
    EXPECT_NE(outcome.output.find(part), std::string::npos) << outcome.output;
  }
}

TEST(TyllmProgramTest, InspectsOrSynthesizesOneThing) {
  EXPECT_EQ(Shell(kTyllm + " inspect").exit.code, 2);
  EXPECT_EQ(Shell(kTyllm + " inspect --synthesize Qwen3-8B").exit.code, 2);
  EXPECT_EQ(Shell(kTyllm + " inspect " + kDemo + " --layers 2").exit.code, 2);
  EXPECT_EQ(Shell(kTyllm + " inspect " + kDemo + " --synthesize Qwen3-8B --out x").exit.code, 2);
  const CommandOutcome unknown = Shell(kTyllm + " inspect --synthesize Qwen9 --out x");
  EXPECT_EQ(unknown.exit.code, 3);
  EXPECT_NE(unknown.output.find("Qwen3-8B"), std::string::npos);
}

TEST(TyllmProgramTest, ListsTheShapesOfPublishedModels) {
  const CommandOutcome shapes = Shell(kTyllm + " models --shapes");
  EXPECT_EQ(shapes.exit.code, 0);
  for (const char* const name : {"Qwen3-1.7B", "Qwen2.5-VL-7B", "DeepSeek-R1-Distill-Qwen-32B",
                                 "Llama3-8B", "Qwen1.5-1.8B"}) {
    EXPECT_NE(shapes.output.find("\n" + std::string(name) + " "), std::string::npos) << name;
  }
}

TEST(TyllmProgramTest, GivesOneJsonDocument) {
  const CommandOutcome models = Shell(kTyllm + " models --json");
  EXPECT_EQ(models.exit.code, 0);
  const auto listing = format::ParseJson(models.output, "output");
  ASSERT_TRUE(listing.ok());
  EXPECT_EQ(listing->at("families").at(0).at("name"), "qwen3");
  const CommandOutcome missing = Shell(kTyllm + " inspect /nonexistent --json");
  const auto error = format::ParseJson(missing.output, "output");
  ASSERT_TRUE(error.ok());
  EXPECT_EQ(error->at("error").at("code"), "NOT_FOUND");
}

/// The prompt's tokens of a command that prints JSON.
std::vector<std::int64_t> PromptIds(const std::string& line) {
  const CommandOutcome outcome = Shell(kTyllm + " " + line + " --max-tokens 1 --json 2>/dev/null");
  EXPECT_EQ(outcome.exit.code, 0) << line;
  const auto report = format::ParseJson(outcome.output, "output");
  return report.ok() ? report->at("prompt_ids").get<std::vector<std::int64_t>>()
                     : std::vector<std::int64_t>();
}

TEST(TyllmProgramTest, WritesAPromptAsAChatWhereItIsAsked) {
  const std::string run = "run " + kDemo;
  const std::string evaluate = "evaluate --model " + kDemo;
  const std::string as_text =
      " --prompt '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
      "<|im_start|>assistant\n'";
  const std::string as_chat = " --chat --system 'Be brief.' --prompt Hi";
  const std::vector<std::int64_t> expected = PromptIds(run + as_text);
  EXPECT_EQ(PromptIds(run + as_chat), expected);
  EXPECT_EQ(PromptIds(evaluate + as_chat), expected);
  EXPECT_NE(PromptIds(run + " --prompt Hi"), expected);
}

TEST(TyllmProgramTest, AnEvaluationTellsItsConditionsByAnExitCodeOfTheirOwn) {
  const std::string evaluate = kTyllm + " evaluate --model " + kDemo + " --reference " + kDemo +
                               " --questions " + testing::kTestData +
                               "/questions --max-questions 1 --prompt Hi --max-tokens 2";
  const CommandOutcome fine = Shell(evaluate + " --fail-if 'choice.accuracy_drop>0' 2>&1");
  EXPECT_EQ(fine.exit.code, 0) << fine.output;
  EXPECT_NE(fine.output.find("world_geography"), std::string::npos) << fine.output;
  EXPECT_NE(fine.output.find("does not hold"), std::string::npos) << fine.output;
  const CommandOutcome held = Shell(
      evaluate + " --fail-if 'choice.accuracy_drop>0' --fail-if 'choice.same_answers>=1' 2>&1");
  EXPECT_EQ(held.exit.code, 11) << held.output;
  EXPECT_NE(held.output.find("error: --fail-if choice.same_answers>=1 holds"), std::string::npos)
      << held.output;
  const CommandOutcome unknown = Shell(evaluate + " --fail-if 'perplexity>20' 2>&1");
  EXPECT_EQ(unknown.exit.code, 2) << unknown.output;
  EXPECT_NE(unknown.output.find("choice.model.accuracy"), std::string::npos) << unknown.output;
}

TEST(TyllmProgramTest, AConversationAnswersLineByLine) {
  const CommandOutcome outcome = Shell("printf 'Hi\\n\\nWho?\\n' | " + kTyllm + " run " + kDemo +
                                       " --interactive --max-tokens 3 --temperature 0.8 2>&1");
  EXPECT_EQ(outcome.exit.code, 0) << outcome.output;
  std::size_t answers = 0;
  for (std::size_t at = outcome.output.find("[float32]"); at != std::string::npos;
       at = outcome.output.find("[float32]", at + 1)) {
    ++answers;
  }
  EXPECT_EQ(answers, 2U) << outcome.output;
  const CommandOutcome prompt = Shell(kTyllm + " run " + kDemo + " --interactive --prompt Hi");
  EXPECT_EQ(prompt.exit.code, 2);
}

TEST(TyllmProgramTest, SeedsDecideDrawnText) {
  const std::string line =
      kTyllm + " run " + kDemo + " --prompt 'The river' --max-tokens 12 --temperature 1 --seed ";
  const std::string text = Shell(line + "1 2>/dev/null").output;
  EXPECT_EQ(Shell(line + "1 2>/dev/null").output, text);
  EXPECT_NE(Shell(line + "2 2>/dev/null").output, text);
  EXPECT_EQ(Shell(line + "1 --top-p 0").exit.code, 2);
}

TEST(TyllmProgramTest, SaysWhatAChatNeeds) {
  for (const std::string& command : {"run " + kDemo, "evaluate --generate --model " + kDemo}) {
    const CommandOutcome alone = Shell(kTyllm + " " + command + " --system x --prompt Hi");
    EXPECT_EQ(alone.exit.code, 2);
    EXPECT_NE(alone.output.find("add --chat"), std::string::npos) << alone.output;
    const CommandOutcome ids = Shell(kTyllm + " " + command + " --chat --token-ids 1,2");
    EXPECT_EQ(ids.exit.code, 2);
    EXPECT_NE(ids.output.find("--chat needs --prompt"), std::string::npos) << ids.output;
  }
}

TEST(TyllmProgramTest, NamesAChatFormatThatItCannotWrite) {
  const testing::TemporaryDirectory folder;
  ASSERT_EQ(Shell("cp " + kDemo + "/* " + folder.path().string()).exit.code, 0);
  const Path chat_template = folder / "chat_template.jinja";
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), chat_template, "[INST]{{ x }}[/INST]").ok());
  const CommandOutcome outcome =
      Shell(kTyllm + " run " + folder.path().string() + " --chat --prompt Hi");
  EXPECT_EQ(outcome.exit.code, 2);
  EXPECT_NE(outcome.output.find(chat_template.string() + " begins '[INST]"), std::string::npos)
      << outcome.output;
}

/// Numbers of processes that a compiler of the test noted.
std::vector<pid_t> NotedIn(const std::filesystem::path& folder) {
  std::vector<pid_t> noted;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    noted.push_back(std::stoi(entry.path().filename().string()));
  }
  return noted;
}

bool Runs(pid_t pid) {
  const auto stat = LocalFileSystem().Read("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t name = stat.ok() ? stat->rfind(')') : std::string::npos;
  return name != std::string::npos && stat->compare(name, 3, ") Z") != 0;
}

template <typename Condition>
bool Soon(const Condition& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kLimit;
  while (!condition() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return condition();
}

TEST(TyllmProgramTest, ACompilationThatIsInterruptedOrKilledLeavesNoCompilerBehind) {
  const testing::TemporaryDirectory folder;
  const std::string model = (folder / "model").string();
  ASSERT_EQ(Shell(kTyllm + " quantize --method rtn --model " + kDemo + " --out " + model).exit.code,
            0);
  const std::filesystem::path noted = folder / "noted";
  const std::filesystem::path compiler = folder / "compiler";
  std::filesystem::create_directory(noted);
  // It starts what does its work, as g++ does.
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), compiler,
                                  "#!/bin/sh\ncase \"$*\" in *-shared*) sleep 600 & touch " +
                                      noted.string() + "/$! " + noted.string() +
                                      "/$$; wait; exit;; esac\nexec c++ \"$@\"\n")
                  .ok());
  std::filesystem::permissions(compiler, std::filesystem::perms(0755));
  for (const int signal : {SIGINT, SIGKILL}) {
    auto child = ChildProcess::Spawn(
        {.argv = {kTyllm, "compile", "--model", model, "--out", (folder / "out").string(), "--dies",
                  "1", "--compiler", compiler.string()}});
    ASSERT_TRUE(child.ok()) << child.status().ToString();
    ASSERT_TRUE(Soon([&] { return NotedIn(noted).size() >= 2; }));
    ::kill(child->pid(), signal);
    ASSERT_TRUE(child->Wait(kLimit).ok());
    EXPECT_TRUE(Soon([&] { return std::ranges::none_of(NotedIn(noted), Runs); })) << signal;
    for (const pid_t pid : NotedIn(noted)) {
      std::filesystem::remove(noted / std::to_string(pid));
    }
  }
}

TEST(TyllmProgramTest, AFullDiskBehindItsOutputIsAFailure) {
  const CommandOutcome outcome = Shell(kTyllm + " models >/dev/full");
  EXPECT_EQ(outcome.exit.code, 1);
  EXPECT_NE(outcome.output.find("standard output cannot be written"), std::string::npos);
}

TEST(TyllmProgramTest, AReaderThatGoesAwayIsNoFailure) {
  auto pipe = MakePipe();
  ASSERT_TRUE(pipe.ok());
  pipe->read.Reset();
  auto child = ChildProcess::Spawn({{kTyllm, "models"}, {}, {}, {{pipe->write.get(), 1}}});
  ASSERT_TRUE(child.ok());
  const auto exit = child->Wait(kLimit);
  ASSERT_TRUE(exit.ok());
  EXPECT_EQ(exit->ToString(), "exit code 0");
}

TEST(TyllmProgramTest, RefusesADescriptorThatIsNotOpenForWriting) {
  const CommandOutcome outcome = Shell(kTyllm + " models --progress-fd 77");
  EXPECT_EQ(outcome.exit.code, 2);
  EXPECT_NE(outcome.output.find("descriptor 77 is not open for writing"), std::string::npos);
  EXPECT_EQ(Shell(kTyllm + " models --progress-fd 3 3</dev/null").exit.code, 2);
  EXPECT_EQ(Shell(kTyllm + " models --progress-fd -1").exit.code, 2);
}

TEST(TyllmProgramTest, WritesProgressToTheDescriptor) {
  testing::TemporaryDirectory folder;
  const std::string records = (folder / "progress").string();
  const CommandOutcome outcome =
      Shell(kTyllm + " quantize --method rtn --model " + kDemo + " --out " +
            (folder / "out").string() + " --progress-fd 3 3>" + records);
  ASSERT_EQ(outcome.exit.code, 0) << outcome.output;
  const std::string text = *LocalFileSystem().Read(records);
  ASSERT_TRUE(text.ends_with("\n"));
  std::size_t lines = 0;
  for (std::size_t at = 0; at < text.size(); ++lines) {
    const std::size_t end = text.find('\n', at);
    const auto json = format::ParseJson(text.substr(at, end - at), "record");
    ASSERT_TRUE(json.ok()) << json.status().message();
    const auto record = format::FromJson<domain::Progress>(*json, "record");
    ASSERT_TRUE(record.ok()) << record.status().message();
    EXPECT_LE(record->done, record->total);
    at = end + 1;
  }
  EXPECT_GE(lines, 2U);
}

}  // namespace
}  // namespace tyllm::app
