// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include "common/format/json.h"
#include "worker/app/commands/commands.h"
#include "worker/app/commands/human_bytes.h"
#include "worker/jobs/toolchain_facts.h"

namespace tyllm::app {

namespace {

void Print(const domain::ToolchainFacts& facts) {
  std::printf("tyllm %s, up to %lld dies\n", facts.version.c_str(),
              static_cast<long long>(facts.dies));
  for (const domain::Device& device : facts.devices) {
    const std::string driver = device.driver.empty() ? "" : ", driver " + device.driver;
    std::printf("  %-8s %9s  %s%s\n", device.name.c_str(), HumanBytes(device.memory_bytes).c_str(),
                device.description.c_str(), driver.c_str());
    if (!device.usable) {
      std::printf("           not usable: %s\n", device.problem.c_str());
    }
  }
}

}  // namespace

void DeclareDevices(cli::CommandSpec& spec, Invocation& /*invocation*/) {
  auto json = std::make_shared<bool>(false);
  spec.options = {{"--json", "", "print one JSON document", json.get()}};
  spec.description =
      "Lists what --device may name on this machine, and whether this build can compute with it.";
  spec.run = [json] {
    const domain::ToolchainFacts facts = jobs::DescribeToolchain();
    if (*json) {
      std::cout << format::PrettyJson(format::ToJson(facts));
    } else {
      Print(facts);
    }
    return cli::ExitCode::kOk;
  };
}

}  // namespace tyllm::app
