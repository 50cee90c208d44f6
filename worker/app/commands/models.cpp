// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <iostream>
#include <memory>

#include "common/format/json.h"
#include "worker/app/commands/commands.h"
#include "worker/model/published_models.h"

namespace tyllm::app {

namespace {

void Print(const std::vector<model::PublishedModel>& models) {
  std::printf("%-14s %-8s %6s %6s %6s %9s\n", "model", "family", "layers", "width", "heads",
              "KV heads");
  for (const model::PublishedModel& m : models) {
    std::printf("%-14s %-8s %6lld %6lld %6lld %9lld\n", std::string(m.name).c_str(),
                m.shape.family.c_str(), static_cast<long long>(m.shape.layers),
                static_cast<long long>(m.shape.width), static_cast<long long>(m.shape.heads),
                static_cast<long long>(m.shape.kv_heads));
  }
}

void PrintJson(const std::vector<model::PublishedModel>& models) {
  format::Json list = format::Json::array();
  for (const model::PublishedModel& m : models) {
    list.push_back({{"name", m.name},
                    {"family", m.shape.family},
                    {"layers", m.shape.layers},
                    {"width", m.shape.width}});
  }
  std::cout << format::PrettyJson(format::Json{{"models", list}});
}

}  // namespace

void DeclareModels(cli::CommandSpec& spec, Invocation& /*invocation*/) {
  auto json = std::make_shared<bool>(false);
  spec.options = {{"--json", "", "print one JSON document", json.get()}};
  spec.run = [json] {
    const auto models = model::PublishedModels();
    if (*json) {
      PrintJson(models);
    } else {
      Print(models);
    }
    return cli::ExitCode::kOk;
  };
}

}  // namespace tyllm::app
