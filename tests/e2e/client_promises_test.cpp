// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include "common/format/tree.h"
#include "tests/e2e/farm.h"
#include "tests/support/paths.h"

// What people may rely on when they leave, come back, ask why and try for themselves.
namespace tyllm::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

constexpr seconds kPatience{120};

std::vector<std::string> QuickQuantization(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"submit", "quantize", "--method",
                                        "rtn",    "--model",  DemoModel()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

/// Whether the process has seen to what SIGINT does to it.
bool IsReadyForInterrupts(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("SigBlk:")) {
      return (std::stoull(line.substr(7), nullptr, 16) >> (SIGINT - 1) & 1) != 0;
    }
  }
  return false;
}

/// Interrupts a client as a terminal does, however early in its life.
int Interrupt(ChildProcess& client) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!IsReadyForInterrupts(client.pid()) && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // until it has started
  }
  ::kill(client.pid(), SIGINT);
  const auto exit = client.Wait(kPatience);
  EXPECT_TRUE(exit.ok()) << exit.status().ToString();
  return exit.ok() ? exit->code : -1;
}

TEST(ClientPromises, AJobThatCannotStartIsRefusedOrGivenUpWhereThatIsAskedFor) {
  Farm farm;
  farm.StartServer();
  const Ran refused = farm.Client(QuickQuantization({"--refuse-if-no-worker"}));
  EXPECT_EQ(refused.code, 7) << refused.err;
  EXPECT_NE(refused.err.find("no worker is online"), std::string::npos) << refused.err;
  EXPECT_EQ(farm.Client({"list", "--json"}).Json().size(), 0U);
  const Ran given_up = farm.Client(QuickQuantization({"--start-within", "1s", "--wait"}));
  EXPECT_EQ(given_up.code, 16) << given_up.err;
  EXPECT_NE(given_up.err.find("NOT_STARTED (blame: farm): none of its tasks began within 1 s; at "
                              "the end, quantize: no worker is online"),
            std::string::npos)
      << given_up.err;
  EXPECT_NE(given_up.err.find("tyllm-client retry j1"), std::string::npos) << given_up.err;
  EXPECT_EQ(farm.Client(QuickQuantization({"--start-within", "soon"})).code, 2);
  const Ran mine = farm.Client({"list", "--mine"});
  EXPECT_EQ(mine.code, 7) << "without certificates nobody has a name";
  EXPECT_NE(mine.err.find("--tls-cert"), std::string::npos) << mine.err;
}

TEST(ClientPromises, CtrlCLeavesTheJobAloneAndNamesTheCommandThatComesBack) {
  Farm farm;
  farm.StartServer();
  ChildProcess waiting = farm.StartClient("waiting", QuickQuantization({"--wait"}));
  farm.WaitForText("waiting.err", "submitted j1");
  EXPECT_EQ(Interrupt(waiting), 130);
  EXPECT_EQ(farm.Status("j1")["state"], "queued") << "it was only the watching that ended";
  const std::string said = farm.WaitForText("waiting.err", "Come back with: ");
  std::string command = said.substr(said.find("Come back with: ") + 16);
  command = command.substr(0, command.find('\n'));
  EXPECT_TRUE(command.ends_with(" watch j1")) << command;
  // Whoever waits otherwise is told the same.
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"watch", "j1", "--json"}, {"wait", "j1"}, {"watch", "j1"}}) {
    const std::string name = arguments[0] + std::to_string(arguments.size());
    ChildProcess client = farm.StartClient(name, arguments);
    EXPECT_EQ(Interrupt(client), 130) << name;
    farm.WaitForText(name + ".err", command);
  }
  // And the command does what it says.
  EXPECT_EQ(farm.Client({"cancel", "j1"}).code, 0);
  std::istringstream words(command);
  std::vector<std::string> arguments;
  for (std::string word; words >> word;) {
    arguments.push_back(word);
  }
  ASSERT_EQ(arguments.front(), "tyllm-client");
  arguments.erase(arguments.begin());
  EXPECT_EQ(RunProgram("tyllm-client", arguments).code, 6) << "the job was cancelled";
}

TEST(ClientPromises, ASubmissionThatIsRepeatedMakesOneJob) {
  Farm farm;
  farm.StartServer();
  EXPECT_EQ(farm.Client(QuickQuantization({"--request-id", "ci-77"})).out, "j1\n");
  farm.KillServer();
  farm.StartServer();
  EXPECT_EQ(farm.Client(QuickQuantization({"--request-id", "ci-77", "--json"})).Json()["id"], "j1");
  EXPECT_EQ(farm.Client({"list", "--json"}).Json().size(), 1U);
}

TEST(ClientPromises, TheSameRequestMakesOneJobUntilItComesToNothing) {
  Farm farm;
  farm.StartServer();
  const Ran first = farm.Client(QuickQuantization({}));
  EXPECT_EQ(first.out, "j1\n");
  EXPECT_NE(first.err.find("submitted j1, request "), std::string::npos) << first.err;
  EXPECT_NE(first.err.find(" watch j1\n"), std::string::npos) << first.err;
  const Ran second = farm.Client(QuickQuantization({}));
  EXPECT_EQ(second.out, "j1\n");
  EXPECT_NE(second.err.find("j1 was made by the same request before"), std::string::npos)
      << second.err;
  EXPECT_NE(second.err.find("is queued: nothing was queued now"), std::string::npos) << second.err;
  // What is asked for otherwise is another request.
  EXPECT_EQ(farm.Client(QuickQuantization({"--label", "by=me"})).out, "j2\n");
  EXPECT_EQ(farm.Client(QuickQuantization({"--again"})).out, "j3\n");
  EXPECT_EQ(farm.Client(QuickQuantization({"--no-cache"})).out, "j4\n");
  EXPECT_EQ(farm.Client(QuickQuantization({"--no-cache"})).out, "j5\n");
  // One that was cancelled, or deleted, has a successor, and that one is found again.
  EXPECT_EQ(farm.Client({"cancel", "j1"}).code, 0);
  EXPECT_EQ(farm.Client(QuickQuantization({})).out, "j6\n");
  EXPECT_EQ(farm.Client(QuickQuantization({})).out, "j6\n");
  EXPECT_EQ(farm.Client({"cancel", "j6"}).code, 0);
  EXPECT_EQ(farm.Client({"delete", "j6"}).code, 0);
  EXPECT_EQ(farm.Client(QuickQuantization({})).out, "j7\n");
}

TEST(ClientPromises, ACommandWhoseReaderHasGoneEnds) {
  Farm farm;
  farm.StartServer();
  ASSERT_EQ(farm.Client(QuickQuantization({})).out, "j1\n");
  // The job waits for a worker that never comes: the watch would go on for ever.
  const std::string server =
      (*format::ReadJsonFile(farm.folder() / "data" / "server.json"))["grpc"];
  const std::string watch = std::string(testing::kProgramFolder) + "/tyllm-client --server " +
                            server + " watch j1 --json";
  const auto run = [](const std::string& line) {
    return *RunCommand({{"bash", "-c", line}, {}, {}, {}}, kPatience);
  };
  const CommandOutcome gone = run("exec 3> >(true); wait $!; exec " + watch + " >&3");
  EXPECT_EQ(gone.exit.code, 130) << gone.output;
  const CommandOutcome full = run("exec " + watch + " > /dev/full");
  EXPECT_EQ(full.exit.code, 1) << full.output;
  EXPECT_NE(full.output.find("No space left on device"), std::string::npos) << full.output;
}

TEST(ClientPromises, HintsThatNobodyCanReadAreNoFailure) {
  Farm farm;
  farm.StartServer();
  const std::string server =
      (*format::ReadJsonFile(farm.folder() / "data" / "server.json"))["grpc"];
  const std::string submit = std::string(testing::kProgramFolder) + "/tyllm-client --server " +
                             server + " submit quantize --method rtn --model " + DemoModel();
  const CommandOutcome full =
      *RunCommand({{"bash", "-c", submit + " 2>/dev/full"}, {}, {}, {}}, kPatience);
  EXPECT_EQ(full.exit.code, 0);
  EXPECT_EQ(full.output, "j1\n");
}

TEST(ClientPromises, AServerThatGoesAwayIsToldAsJsonToWhomeverAsksForIt) {
  Farm farm;
  farm.StartServer();
  std::vector<std::string> arguments = {"--patience", "1"};
  const std::vector<std::string> submit = QuickQuantization({"--wait", "--json"});
  arguments.insert(arguments.end(), submit.begin(), submit.end());
  ChildProcess waiting = farm.StartClient("waiting", arguments);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (farm.Client({"list", "--json"}).out.find("j1") == std::string::npos &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  farm.KillServer();
  const auto exit = waiting.Wait(kPatience);
  ASSERT_TRUE(exit.ok()) << exit.status().ToString();
  EXPECT_EQ(exit->code, 4);
  const std::string said = farm.WaitForText("waiting.err", "}}");
  EXPECT_NE(said.find("{\"error\":{\"code\":\"UNAVAILABLE\""), std::string::npos) << said;
}

TEST(ClientPromises, AnAttemptThatCannotBeOneIsRefused) {
  Farm farm;
  farm.StartServer();
  for (const char* const attempt : {"4294967297", "-1"}) {
    const Ran ran = farm.Client({"logs", "t1", "--attempt", attempt});
    EXPECT_EQ(ran.code, 2) << ran.err;
    EXPECT_NE(ran.err.find("--attempt is "), std::string::npos) << ran.err;
  }
}

TEST(ClientPromises, TheLongestPatienceIsPatience) {
  Farm farm;
  farm.StartServer();
  farm.KillServer();
  ChildProcess client =
      farm.StartClient("patient", {"--patience", "9223372036854775807", "list", "--json"});
  farm.StartServer();
  const auto exit = client.Wait(kPatience);
  ASSERT_TRUE(exit.ok()) << exit.status().ToString();
  EXPECT_EQ(exit->code, 0);
}

TEST(ClientPromises, AWatchGoesOnOverALostServerAndTellsEveryEventOnce) {
  Farm farm;
  farm.StartServer();
  ASSERT_EQ(farm.Client(QuickQuantization({})).out, "j1\n");
  ChildProcess watch = farm.StartClient("watch", {"watch", "j1", "--json"});
  farm.WaitForText("watch.out", "\n");
  farm.KillServer();
  farm.StartServer();
  EXPECT_EQ(farm.Client({"cancel", "j1"}).code, 0);
  const auto exit = watch.Wait(kPatience);
  ASSERT_TRUE(exit.ok()) << exit.status().ToString();
  EXPECT_EQ(exit->code, 6);
  std::istringstream lines(farm.WaitForText("watch.out", "cancelled"));
  std::int64_t last = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto event = format::ParseJson(line, "event");
    ASSERT_TRUE(event.ok()) << line;
    const std::int64_t number = (*event)["number"];
    EXPECT_TRUE(number == 0 || number > last) << line;
    last = std::max(last, number);
  }
  EXPECT_GE(last, 2);
}

TEST(ClientPromises, ExplainTellsWhyAJobWaitsAndWhyItFailed) {
  Farm farm;
  farm.StartServer();
  farm.StartWorker("w1");
  ASSERT_EQ(farm.Client(QuickQuantization({"--require", "dies>=1000"})).code, 0);
  ASSERT_EQ(farm.Client(QuickQuantization({"--require", "label.zone=moon"})).out, "j2\n");
  farm.WaitFor("j2", [&](const format::Json&) {
    return farm.Client({"workers", "--json"}).Json().size() == 1;
  });
  const Ran warned = farm.Client(QuickQuantization({"--require", "label.zone=mars", "--json"}));
  EXPECT_EQ(warned.code, 0) << warned.err;
  EXPECT_NE(warned.err.find("warning: quantize waits (no_worker)"), std::string::npos)
      << warned.err;
  EXPECT_NE(warned.err.find("label.zone=mars (no worker states it)"), std::string::npos)
      << warned.err;
  EXPECT_EQ(warned.Json()["state"], "queued") << "standard output is the job alone";
  const Ran refused = farm.Client(QuickQuantization({"--require", "foo>=4"}));
  EXPECT_EQ(refused.code, 2) << refused.err;
  EXPECT_NE(refused.err.find("the property 'foo', expected one of: device"), std::string::npos)
      << refused.err;
  const Ran waits = farm.Client({"explain", "j2"});
  EXPECT_EQ(waits.code, 0) << waits.err;
  EXPECT_NE(waits.out.find("wants a worker with label.zone = moon"), std::string::npos)
      << waits.out;
  EXPECT_NE(waits.out.find("waits (no_worker)"), std::string::npos) << waits.out;
  EXPECT_NE(waits.out.find("cache: "), std::string::npos) << waits.out;

  const fs::path model = farm.folder() / "broken";
  fs::copy(DemoModel(), model);
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), model / "config.json",
                                  "{\"architectures\":[\"FooForCausalLM\"]}")
                  .ok());
  const Ran failed =
      farm.Client({"submit", "quantize", "--model", model.string(), "--wait", "--json"});
  ASSERT_EQ(failed.code, 12) << failed.err;
  const Ran why = farm.Client({"explain", failed.Json()["id"]});
  EXPECT_EQ(why.code, 0) << why.err;
  for (const char* const part :
       {"attempt 1 on w1: failed", "(blame: user)", "FooForCausalLM",
        "decided: attempt 1 goes to w1", "not tried again", "what to do: ", ", key "}) {
    EXPECT_NE(why.out.find(part), std::string::npos) << part << " is not in\n" << why.out;
  }
}

TEST(ClientPromises, ReproduceGivesTheCommandThatMakesTheSameHere) {
  Farm farm;
  farm.StartServer(true);
  const Ran ran = farm.Client(QuickQuantization(
      {"--name", "m", "--format", "awq", "--json", "--fetch", (farm.folder() / "out").string()}));
  ASSERT_EQ(ran.code, 0) << ran.err;
  // A name that a shell would take apart.
  const fs::path folder = farm.folder() / "it's here";
  const Ran given =
      farm.Client({"reproduce", TaskOf(ran.Json(), "quantize")["id"], "--out", folder.string()});
  ASSERT_EQ(given.code, 0) << given.err;
  EXPECT_EQ(std::count(given.out.begin(), given.out.end(), '\n'), 1) << given.out;
  EXPECT_GT(fs::file_size(folder / "attempt.log"), 0U);
  EXPECT_EQ(farm.StopServer(), 0);  // nothing of the farm is needed
  const auto here = RunCommand(
      {.argv = {"/bin/sh", "-c", given.out},
       .environment = {"PATH=" + std::string(testing::kProgramFolder) + ":/usr/bin:/bin"}},
      kPatience);
  ASSERT_TRUE(here.ok()) << here.status().ToString();
  ASSERT_TRUE(here->exit.ok()) << given.out << here->output;
  const auto of_the_farm = format::ScanTree(farm.folder() / "out" / "m-AWQ");
  const auto of_here = format::ScanTree(folder / "output");
  ASSERT_TRUE(of_the_farm.ok() && of_here.ok());
  EXPECT_EQ(*of_here, *of_the_farm);
}

}  // namespace
}  // namespace tyllm::testing
