// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include "common/format/json.h"
#include "worker/app/commands/commands.h"
#include "worker/app/commands/human_bytes.h"
#include "worker/app/vendor_command.h"
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
  std::printf("tools\n");
  for (const domain::Tool& tool : facts.tools) {
    const bool here = !tool.version.empty();
    std::printf("  %-12s %s%s\n", tool.name.c_str(),
                here ? "" : "not here: ", (here ? tool.version : tool.problem).c_str());
  }
}

}  // namespace

void DeclareDevices(cli::CommandSpec& spec, Invocation& /*invocation*/) {
  auto json = std::make_shared<bool>(false);
  spec.options = {{"--json", "", "print one JSON document", json.get()}};
  spec.description =
      "Lists what --device may name on this machine, whether this build can compute with it, and "
      "which tools it finds: compilers, the vendor's toolchain, the reader of video files.";
  spec.run = [json] {
    const auto vendor = VendorSettingsOf({});
    if (!vendor.ok()) {
      return cli::ReportError(vendor.status(), *json);
    }
    const domain::ToolchainFacts facts = jobs::DescribeToolchain(*vendor);
    if (*json) {
      std::cout << format::PrettyJson(format::ToJson(facts));
    } else {
      Print(facts);
    }
    return cli::ExitCode::kOk;
  };
}

}  // namespace tyllm::app
