// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <iostream>
#include <memory>
#include <stdexcept>

#include "common/cli/command.h"

namespace tyllm::cli {
namespace {

enum class Method : std::uint8_t { kAwq, kRtn };

constexpr EnumTable<Method, 2> kMethods("method", {{{Method::kAwq, "awq"}, {Method::kRtn, "rtn"}}});

// What the commands below saw.
struct Seen {
  std::string ran;
  std::string server = "localhost:1";
  std::string prompt;
  std::filesystem::path model;
  std::optional<std::int64_t> seed;
  std::int64_t group = 128;
  double rate = 0.5;
  bool clip = true;
  bool json = false;
  std::vector<std::string> keep;
  std::vector<std::int64_t> buckets;
  Method method = Method::kAwq;
};

void DeclareQuantize(CommandSpec& spec, Seen& seen) {
  spec.options = {
      {"-m,--model", "DIR", "the model", &seen.model, true},
      {"--prompt", "TEXT", "the prompt", &seen.prompt},
      {"--seed", "N", "the seed", &seen.seed},
      {"--group-size", "N", "weights that share a scale", &seen.group},
      {"--rate", "R", "a rate", &seen.rate},
      {"--clip,!--no-clip", "", "search for the best clipping", &seen.clip},
      {"--keep-float", "REGEX", "modules left alone", &seen.keep},
      {"--seq-lens", "LIST", "buckets", &seen.buckets},
      {"--method", "", "how to round", OneOf(kMethods, &seen.method)},
  };
  spec.examples = {"farm quantize --model Qwen3-1.7B"};
  spec.run = [&seen] {
    seen.ran = "quantize";
    return ExitCode::kOk;
  };
}

void DeclareInspect(CommandSpec& spec, Seen& seen) {
  spec.options = {{"DIR", "", "what to look at", &seen.model, true},
                  {"--json", "", "JSON", &seen.json}};
  spec.run = [&seen] {
    seen.ran = "inspect";
    return ReportError(NotFound("no \"such\" thing"), seen.json);
  };
}

void DeclareSubmit(CommandSpec& spec, Seen& seen) {
  spec.options = {{"--model", "DIR", "the model", &seen.model, true}};
  spec.run = [&seen] {
    seen.ran = "submit quantize";
    return ExitCode::kJobFailed;
  };
}

void DeclareThrow(CommandSpec& spec, Seen& /*seen*/) {
  spec.run = []() -> ExitCode { throw std::runtime_error("a library's exception"); };
}

constexpr CommandRow<Seen> kCommands[] = {
    {"quantize", "Models", "quantize a model", DeclareQuantize},
    {"inspect", "Models", "look at a model", DeclareInspect},
    {"submit quantize", "Jobs", "quantize on the farm", DeclareSubmit},
    {"throw", "", "throws", DeclareThrow},
};

struct Outcome {
  int code = 0;
  std::string out;
  std::string error;
};

class ProgramTest : public ::testing::Test {
 protected:
  Outcome Run(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "farm");
    const std::vector<Command> commands = Bind<Seen>(kCommands, seen_);
    const std::vector<Option> global = {{"--server", "HOST:PORT", "where it is", &seen_.server}};
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Outcome outcome;
    outcome.code = RunProgram({"farm", "does things", "1.2.3"}, commands, global,
                              static_cast<int>(arguments.size()), arguments.data());
    outcome.out = ::testing::internal::GetCapturedStdout();
    outcome.error = ::testing::internal::GetCapturedStderr();
    return outcome;
  }

  void ExpectRefused(const std::vector<const char*>& arguments, const std::string& message) {
    const Outcome outcome = Run(arguments);
    EXPECT_EQ(outcome.code, 2) << outcome.error;
    EXPECT_EQ(outcome.error, "error: " + message + "\n");
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(seen_.ran, "");
  }

  Seen seen_;
};

TEST_F(ProgramTest, BindsEveryKindOfOption) {
  const Outcome outcome = Run(
      {"quantize", "-m",         "dir/m", "--prompt",   "[a, b]",       "--seed=-7", "--group-size",
       "64",       "--rate",     "0.25",  "--no-clip",  "--keep-float", "a{1,2}",    "--keep-float",
       "b",        "--seq-lens", "1,8",   "--seq-lens", "96",           "--method",  "rtn"});
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_EQ(seen_.ran, "quantize");
  EXPECT_EQ(seen_.model, "dir/m");
  EXPECT_EQ(seen_.prompt, "[a, b]");
  EXPECT_EQ(seen_.seed, -7);
  EXPECT_EQ(seen_.group, 64);
  EXPECT_EQ(seen_.rate, 0.25);
  EXPECT_FALSE(seen_.clip);
  EXPECT_EQ(seen_.keep, (std::vector<std::string>{"a{1,2}", "b"}));
  EXPECT_EQ(seen_.buckets, (std::vector<std::int64_t>{1, 8, 96}));
  EXPECT_EQ(seen_.method, Method::kRtn);
}

TEST_F(ProgramTest, LeavesDefaultsOfWhatIsNotGiven) {
  EXPECT_EQ(Run({"quantize", "--model", "m"}).code, 0);
  EXPECT_EQ(seen_.group, 128);
  EXPECT_TRUE(seen_.clip);
  EXPECT_FALSE(seen_.seed.has_value());
  EXPECT_EQ(seen_.method, Method::kAwq);
}

TEST_F(ProgramTest, TakesTheLastOfAFlagAndItsNegative) {
  EXPECT_EQ(Run({"quantize", "--model", "m", "--no-clip", "--clip"}).code, 0);
  EXPECT_TRUE(seen_.clip);
}

TEST_F(ProgramTest, TakesGlobalOptionsBeforeAndAfterTheCommand) {
  EXPECT_EQ(Run({"--server", "a:1", "quantize", "--model", "m"}).code, 0);
  EXPECT_EQ(seen_.server, "a:1");
  EXPECT_EQ(Run({"quantize", "--model", "m", "--server", "b:2"}).code, 0);
  EXPECT_EQ(seen_.server, "b:2");
  EXPECT_EQ(Run({"submit", "quantize", "--server", "c:3", "--model", "m"}).code, 5);
  EXPECT_EQ(seen_.server, "c:3");
}

TEST_F(ProgramTest, TellsANestedCommandFromAnOuterOneOfTheSameName) {
  EXPECT_EQ(Run({"submit", "quantize", "--model", "m"}).code, 5);
  EXPECT_EQ(seen_.ran, "submit quantize");
}

TEST_F(ProgramTest, TakesAPositionalThatIsNamedLikeACommand) {
  EXPECT_EQ(Run({"inspect", "quantize"}).code, 3);
  EXPECT_EQ(seen_.model, "quantize");
  EXPECT_EQ(Run({"inspect", "--", "--odd"}).code, 3);
  EXPECT_EQ(seen_.model, "--odd");
}

TEST_F(ProgramTest, SuggestsTheNearestCommand) {
  ExpectRefused({"quantise"}, "'quantise' is no command of 'farm'; did you mean 'farm quantize'?");
  ExpectRefused({"submit", "quantzie"},
                "'quantzie' is no command of 'farm submit'; did you mean 'farm submit quantize'?");
  ExpectRefused({"fly"}, "'fly' is no command of 'farm'; 'farm --help' lists them");
  ExpectRefused({}, "no command is given; 'farm --help' lists them");
  ExpectRefused({"submit"}, "no command is given; 'farm submit --help' lists them");
}

TEST_F(ProgramTest, SuggestsTheNearestOption) {
  ExpectRefused({"quantize", "--modle", "m"},
                "'--modle' is no option of 'farm quantize'; did you mean '--model'?");
  ExpectRefused({"quantize", "--model", "m", "--sever=x"},
                "'--sever' is no option of 'farm quantize'; did you mean '--server'?");
  ExpectRefused({"--clip", "quantize", "--model", "x"},
                "'--clip' belongs behind the command: 'farm quantize --clip'");
  ExpectRefused({"quantize", "--model", "m", "--frobnicate"},
                "'--frobnicate' is no option of 'farm quantize'; 'farm quantize --help' lists "
                "them");
}

TEST_F(ProgramTest, NamesOptionValueAndExpectationOfABadValue) {
  ExpectRefused({"quantize", "--model", "m", "--group-size", "many"},
                "--group-size is 'many', expected a whole number");
  ExpectRefused({"quantize", "--model", "m", "--group-size", "99999999999999999999"},
                "--group-size is '99999999999999999999', expected a whole number within 64 bits");
  ExpectRefused({"quantize", "--model", "m", "--rate", "nan"},
                "--rate is 'nan', expected a finite number");
  ExpectRefused({"quantize", "--model", "m", "--seq-lens", "1,,8"},
                "--seq-lens is '1,,8', expected whole numbers separated by commas");
  ExpectRefused({"quantize", "--model", "m", "--method", "gptq"},
                "--method: method is 'gptq', expected one of: awq, rtn");
  ExpectRefused({"quantize", "--model", "m", "--clip=5"},
                "--clip is '5', expected no value (it is a flag)");
  ExpectRefused({"quantize", "--model", ""}, "--model is '', expected a path");
}

TEST_F(ProgramTest, RefusesMissingAndSurplusArguments) {
  ExpectRefused({"quantize"},
                "--model DIR is missing: the model; 'farm quantize --help' shows an overview");
  ExpectRefused({"inspect"},
                "DIR is missing: what to look at; 'farm inspect --help' shows an overview");
  ExpectRefused({"quantize", "--model"},
                "--model has no value; write one after it (--help shows which)");
  ExpectRefused({"quantize", "--model", "a", "--model", "b"},
                "--model is given 2 times ('a', 'b'), expected once");
  ExpectRefused({"inspect", "a", "b"},
                "'b' is one argument too many; 'farm inspect --help' shows what is expected");
}

TEST_F(ProgramTest, HelpOfTheProgramListsCommandsUnderTheirHeadings) {
  const Outcome outcome = Run({"--help"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.error, "");
  EXPECT_NE(outcome.out.find("Models:\n  quantize         quantize a model\n"), std::string::npos);
  EXPECT_NE(outcome.out.find("Jobs:\n  submit quantize  quantize on the farm\n"),
            std::string::npos);
  EXPECT_NE(outcome.out.find("--server HOST:PORT  where it is (default: localhost:1)\n"),
            std::string::npos);
}

TEST_F(ProgramTest, HelpOfACommandShowsValuesDefaultsAndExamples) {
  const Outcome outcome = Run({"quantize", "--help"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.out.find("Usage: farm quantize --model DIR [options]\n"), std::string::npos);
  EXPECT_NE(outcome.out.find("-m, --model DIR"), std::string::npos);
  EXPECT_NE(outcome.out.find("the model (required)"), std::string::npos);
  EXPECT_NE(outcome.out.find("weights that share a scale (default: 128)"), std::string::npos);
  EXPECT_NE(outcome.out.find("--method awq|rtn"), std::string::npos);
  EXPECT_NE(outcome.out.find("how to round (default: awq)"), std::string::npos);
  EXPECT_NE(outcome.out.find("search for the best clipping (default: on)"), std::string::npos);
  EXPECT_NE(outcome.out.find("Examples:\n  farm quantize --model Qwen3-1.7B\n"), std::string::npos);
}

TEST_F(ProgramTest, HelpOfAGroupListsItsCommands) {
  const Outcome outcome = Run({"submit", "--help"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.out.find("Usage: farm submit <command> [options]\n"), std::string::npos);
  EXPECT_NE(outcome.out.find("  quantize  quantize on the farm\n"), std::string::npos);
  EXPECT_EQ(outcome.out.find("inspect"), std::string::npos);
}

TEST_F(ProgramTest, AnswersVersion) {
  EXPECT_EQ(Run({"--version"}).out, "farm 1.2.3\n");
  EXPECT_EQ(Run({"quantize", "--version"}).out, "farm 1.2.3\n");
}

TEST_F(ProgramTest, ReportsErrorsAsTextOrJson) {
  EXPECT_EQ(Run({"inspect", "x"}).error, "error: no \"such\" thing\n");
  EXPECT_EQ(Run({"inspect", "x", "--json"}).error,
            "{\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"no \\\"such\\\" thing\"}}\n");
}

TEST_F(ProgramTest, ReportsWrongArgumentsAsJsonToo) {
  const std::string json = R"({"error":{"code":"INVALID_ARGUMENT","message":")";
  EXPECT_TRUE(Run({"inspekt", "--json"}).error.starts_with(json + "'inspekt'"));
  EXPECT_TRUE(Run({"inspect", "x", "--json", "--what"}).error.starts_with(json + "'--what'"));
  EXPECT_TRUE(Run({"inspekt", "--", "--json"}).error.starts_with("error: "));
}

TEST_F(ProgramTest, TurnsAnExceptionIntoAMessage) {
  const Outcome outcome = Run({"throw"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.error, "error: unexpected: a library's exception; please report this\n");
}

TEST(ProgramWithoutCommandsTest, TakesOptionsAndRuns) {
  std::string listen = "127.0.0.1:0";
  CommandSpec spec;
  spec.options = {{"--listen", "HOST:PORT", "where to listen", &listen}};
  spec.run = [&] { return listen == "[::]:5" ? ExitCode::kOk : ExitCode::kFailed; };
  const char* const arguments[] = {"server", "--listen", "[::]:5"};
  EXPECT_EQ(RunProgram({"server", "serves", "1"}, spec, 3, arguments), 0);
}

TEST(ExitCodeTest, FollowsTheStatus) {
  EXPECT_EQ(ExitCodeOf(OkStatus()), ExitCode::kOk);
  EXPECT_EQ(ExitCodeOf(InvalidArgument("")), ExitCode::kBadArguments);
  EXPECT_EQ(ExitCodeOf(NotFound("")), ExitCode::kNotFound);
  EXPECT_EQ(ExitCodeOf(Unavailable("")), ExitCode::kUnreachable);
  EXPECT_EQ(ExitCodeOf(FailedPrecondition("")), ExitCode::kRefused);
  EXPECT_EQ(ExitCodeOf(DataLoss("")), ExitCode::kFailed);
  EXPECT_EQ(ExitCodeOf(Cancelled("")), ExitCode::kInterrupted);
}

}  // namespace
}  // namespace tyllm::cli
