// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "common/domain/stages.h"
#include "tests/structure/source_tree.h"
#include "tests/support/paths.h"

// What the house style rules out in words that a search can find. Each rule names its exceptions.
namespace tyllm::testing {
namespace {

std::string WithoutComment(const std::string& line) {
  return line.substr(0, line.find("//"));
}

void ExpectNowhere(const std::string& pattern, const std::string& except, const char* rule) {
  const std::regex expression(pattern);
  const std::regex exception(except);
  for (const SourceFile& file : ProductSources()) {
    if (std::regex_search(file.path, exception)) {
      continue;
    }
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      EXPECT_FALSE(std::regex_search(WithoutComment(file.lines[i]), expression))
          << file.path << ":" << i + 1 << ": " << rule << ": " << file.lines[i];
    }
  }
}

TEST(Vocabulary, EnvironmentVariablesAreReadOnlyByConfigurations) {
  ExpectNowhere("\\bgetenv\\(", "/app/config\\.cpp$", "getenv belongs in */app/config.cpp");
}

TEST(Vocabulary, SharedDataIsGuarded) {
  ExpectNowhere("std::(mutex|recursive_mutex|shared_mutex)\\b", "common/base/guarded\\.h$",
                "use Guarded<T> of common/base/guarded.h");
}

TEST(Vocabulary, RegistriesOfFamiliesAreTheOnlyPlaceThatNamesArchitectures) {
  ExpectNowhere("\"[A-Za-z0-9_]+For(CausalLM|ConditionalGeneration)\"", "^worker/model/families/",
                "an architecture's name belongs in its family's file");
}

// Metrics have a label of it, so that the set must be known.
TEST(Vocabulary, StagesThatWorkReportsAreThoseOfTheDomain) {
  const std::regex reported(
      "(?:\\bReport\\(\\s*\\{?|\\bTell\\(|\\breport\\(|\\.stage = |\\btold\\(progress, "
      ")\"([a-z_]+)\"");
  std::set<std::string> found;
  for (const SourceFile& file : ProductSources()) {
    std::string before;  // of a call that goes on in the next line
    for (const std::string& line : file.lines) {
      const std::string text = before + WithoutComment(line);
      before = line.ends_with("Report(") ? line : "";
      std::smatch match;
      if (!file.path.starts_with("worker/") || text.find('"') == std::string::npos ||
          !std::regex_search(text, match, reported)) {
        continue;
      }
      const std::string stage = match[1];
      found.insert(stage);
      EXPECT_EQ(domain::KnownStage(stage), stage)
          << file.path << " reports a stage that common/domain/stages.h does not name";
    }
  }
  EXPECT_GT(found.size(), 20U);
  EXPECT_TRUE(std::is_sorted(domain::kStages.begin(), domain::kStages.end()));
}

TEST(Vocabulary, FileNamesSayWhatIsInside) {
  const std::regex banned("(util|utils|helper|helpers|misc|manager|impl|common2)(_|\\.|$)");
  for (const SourceFile& file : ProductSources()) {
    const std::string name = file.path.substr(file.path.rfind('/') + 1);
    EXPECT_FALSE(std::regex_search(name, banned)) << file.path;
  }
}

TEST(Vocabulary, FilesStayReadable) {
  const std::regex kernels("^worker/die/.*\\.h$");
  for (const SourceFile& file : ProductSources()) {
    const std::size_t limit = std::regex_search(file.path, kernels) ? 600 : 400;
    EXPECT_LE(file.lines.size(), limit) << file.path << " has become two things: split it";
  }
}

TEST(Vocabulary, EveryTestFileIsInItsCMakeList) {
  int tests = 0;
  for (const SourceFile& file : TestSources()) {
    const std::string name = file.path.substr(file.path.rfind('/') + 1);
    if (!name.ends_with("_test.cpp") && !name.ends_with("_benchmark.cpp") &&
        !name.ends_with("_fuzzer.cpp")) {
      continue;
    }
    ++tests;
    std::ifstream in(std::string(testing::kSourceFolder) + "/" + file.folder + "/CMakeLists.txt");
    std::ostringstream list;
    list << in.rdbuf();
    EXPECT_TRUE(std::regex_search(list.str(), std::regex("(^|\\n) *[^#\\n]*\\b" + name)))
        << file.path << " is not built";
  }
  EXPECT_GT(tests, 5);
}

}  // namespace
}  // namespace tyllm::testing
