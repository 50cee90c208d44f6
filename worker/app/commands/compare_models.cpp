// SPDX-License-Identifier: Apache-2.0
#include "worker/app/commands/compare_models.h"

#include <cstdio>
#include <iostream>

#include "worker/jobs/diff.h"

namespace tyllm::app {

namespace {

void List(const char* label, const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    std::printf("%-9s %s\n", label, file.c_str());
  }
}

void Print(const jobs::DirectoryDifference& difference) {
  std::printf("a: %s\nb: %s\n", difference.a.c_str(), difference.b.c_str());
  for (const jobs::FactDifference& fact : difference.facts) {
    std::printf("%-28s %s | %s\n", fact.fact.c_str(), fact.a.empty() ? "-" : fact.a.c_str(),
                fact.b.empty() ? "-" : fact.b.c_str());
  }
  List("only in a", difference.only_in_a);
  List("only in b", difference.only_in_b);
  List("differs", difference.changed);
  std::printf("%s\n", difference.same ? "the same" : "not the same");
}

}  // namespace

cli::ExitCode CompareModels(const Path& a, const Path& b, bool json) {
  const auto difference = jobs::Diff(a, b);
  if (!difference.ok()) {
    return cli::ReportError(difference.status(), json);
  }
  if (json) {
    std::cout << format::PrettyJson(format::ToJson(*difference));
  } else {
    Print(*difference);
  }
  return difference->same ? cli::ExitCode::kOk : cli::ExitCode::kFailed;
}

}  // namespace tyllm::app
