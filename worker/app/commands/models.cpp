// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <tuple>

#include "common/format/json.h"
#include "worker/app/commands/commands.h"
#include "worker/app/commands/human_bytes.h"
#include "worker/model/checkpoint_size.h"
#include "worker/model/families.h"

namespace tyllm::app {

namespace {

constexpr std::int64_t kGroup = 128;  // of the sizes that are shown

struct ModelRow {
  std::string name;
  std::int64_t parameters = 0;
  std::int64_t layers = 0;
  std::int64_t width = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t float_bytes = 0;
  std::int64_t quantized_bytes = 0;
};

struct FamilyRow {
  std::string name;
  std::string architecture;
  std::vector<ModelRow> models;
};

struct Listing {
  std::vector<FamilyRow> families;
  std::int64_t group_size = kGroup;
};

}  // namespace

}  // namespace tyllm::app

namespace tyllm::format {

template <>
struct Members<app::ModelRow> {
  using M = app::ModelRow;
  static constexpr auto kTable = std::tuple{
      Member{"name", &M::name},
      Member{"parameters", &M::parameters},
      Member{"layers", &M::layers},
      Member{"width", &M::width},
      Member{"heads", &M::heads},
      Member{"kv_heads", &M::kv_heads},
      Member{"float_bytes", &M::float_bytes},
      Member{"quantized_bytes", &M::quantized_bytes},
  };
};

template <>
struct Members<app::FamilyRow> {
  using F = app::FamilyRow;
  static constexpr auto kTable =
      std::tuple{Member{"name", &F::name}, Member{"architecture", &F::architecture},
                 Member{"models", &F::models}};
};

template <>
struct Members<app::Listing> {
  using L = app::Listing;
  static constexpr auto kTable =
      std::tuple{Member{"families", &L::families}, Member{"group_size", &L::group_size}};
};

}  // namespace tyllm::format

namespace tyllm::app {

namespace {

Listing ListModels() {
  Listing listing;
  for (const model::Family* family : model::kFamilies) {
    FamilyRow row{std::string(family->name), std::string(family->architecture), {}};
    for (const model::PublishedModel& m : family->published()) {
      row.models.push_back({std::string(m.name), m.shape.parameters(), m.shape.layers,
                            m.shape.width, m.shape.heads, m.shape.kv_heads,
                            model::FloatBytes(m.shape), model::QuantizedBytes(m.shape, kGroup)});
    }
    listing.families.push_back(std::move(row));
  }
  return listing;
}

void Print(const Listing& listing) {
  for (const FamilyRow& family : listing.families) {
    std::printf("%s (%s)\n", family.name.c_str(), family.architecture.c_str());
    std::printf("  %-30s %10s %6s %6s %8s %9s %9s\n", "model", "parameters", "layers", "width",
                "heads", "float16", "4 bits");
    for (const ModelRow& m : family.models) {
      const std::string heads = std::to_string(m.heads) + ":" + std::to_string(m.kv_heads);
      std::printf("  %-30s %10s %6s %6s %8s %9s %9s\n", m.name.c_str(),
                  HumanCount(m.parameters).c_str(), std::to_string(m.layers).c_str(),
                  std::to_string(m.width).c_str(), heads.c_str(), HumanBytes(m.float_bytes).c_str(),
                  HumanBytes(m.quantized_bytes).c_str());
    }
  }
  std::printf(
      "\nOther sizes and fine-tunes of a family work too. 4 bits: group %s, with embedding, head "
      "and norms in\nfloat16.\n",
      std::to_string(listing.group_size).c_str());
}

}  // namespace

void DeclareModels(cli::CommandSpec& spec, Invocation& /*invocation*/) {
  auto json = std::make_shared<bool>(false);
  spec.options = {{"--json", "", "print one JSON document", json.get()}};
  spec.description =
      "Lists the model families that are supported, and the models that their makers published.";
  spec.run = [json] {
    const Listing listing = ListModels();
    if (*json) {
      std::cout << format::PrettyJson(format::ToJson(listing));
    } else {
      Print(listing);
    }
    return cli::ExitCode::kOk;
  };
}

}  // namespace tyllm::app
