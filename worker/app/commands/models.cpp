// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <tuple>

#include "common/format/json.h"
#include "worker/app/commands/commands.h"
#include "worker/app/commands/human_bytes.h"
#include "worker/jobs/job_memory.h"
#include "worker/model/checkpoint_size.h"
#include "worker/model/families.h"
#include "worker/model/tensor_inventory.h"
#include "worker/model/visual_tower.h"

namespace tyllm::app {

namespace {

constexpr std::int64_t kGroup = 128;  // of the sizes that are shown

struct ModelRow {
  std::string name;
  std::int64_t parameters = 0;
  std::int64_t visual_parameters = 0;
  std::int64_t layers = 0;
  std::int64_t width = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_size = 0;
  std::int64_t intermediate = 0;
  std::int64_t vocabulary = 0;
  std::int64_t max_positions = 0;
  bool tied_head = false;
  bool qkv_bias = false;
  bool qk_norm = false;
  double rope_theta = 0.0;
  double norm_epsilon = 0.0;
  std::int64_t float_bytes = 0;
  std::int64_t quantized_bytes = 0;
  jobs::JobMemory memory;
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
      Member{"visual_parameters", &M::visual_parameters},
      Member{"layers", &M::layers},
      Member{"width", &M::width},
      Member{"heads", &M::heads},
      Member{"kv_heads", &M::kv_heads},
      Member{"head_size", &M::head_size},
      Member{"intermediate", &M::intermediate},
      Member{"vocabulary", &M::vocabulary},
      Member{"max_positions", &M::max_positions},
      Member{"tied_head", &M::tied_head},
      Member{"qkv_bias", &M::qkv_bias},
      Member{"qk_norm", &M::qk_norm},
      Member{"rope_theta", &M::rope_theta},
      Member{"norm_epsilon", &M::norm_epsilon},
      Member{"float_bytes", &M::float_bytes},
      Member{"quantized_bytes", &M::quantized_bytes},
      Member{"job_memory", &M::memory},
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

/// Of the visual tower; 0 where there is none.
std::int64_t VisualParameters(const model::PublishedModel& m) {
  const format::Json vision = model::PublishedVision(m.name, m.shape);
  const auto tensors = model::VisualTensors(vision, "vision_config");
  return tensors.ok() ? model::Elements(*tensors) : 0;
}

ModelRow RowOf(const model::PublishedModel& m) {
  const model::ModelShape& s = m.shape;
  const std::int64_t visual = VisualParameters(m);
  return {.name = std::string(m.name),
          .parameters = s.parameters(),
          .visual_parameters = visual,
          .layers = s.layers,
          .width = s.width,
          .heads = s.heads,
          .kv_heads = s.kv_heads,
          .head_size = s.head_size,
          .intermediate = s.intermediate,
          .vocabulary = s.vocabulary,
          .max_positions = s.max_positions,
          .tied_head = s.tied_head,
          .qkv_bias = s.qkv_bias,
          .qk_norm = s.qk_norm,
          .rope_theta = s.rope_theta,
          .norm_epsilon = s.norm_epsilon,
          .float_bytes = model::FloatBytes(s) + 2 * visual,
          .quantized_bytes = model::QuantizedBytes(s, kGroup) + 2 * visual,
          .memory = jobs::MemoryOfJobs(s, kGroup)};
}

Listing ListModels() {
  Listing listing;
  for (const model::Family* family : model::kFamilies) {
    FamilyRow row{std::string(family->name), std::string(family->architecture), {}};
    for (const model::PublishedModel& m : family->published()) {
      row.models.push_back(RowOf(m));
    }
    listing.families.push_back(std::move(row));
  }
  return listing;
}

std::string Heads(const ModelRow& m) {
  return std::to_string(m.heads) + ":" + std::to_string(m.kv_heads);
}

void Print(const Listing& listing) {
  for (const FamilyRow& family : listing.families) {
    std::printf("%s (%s)\n", family.name.c_str(), family.architecture.c_str());
    std::printf("  %-30s %10s %6s %6s %8s %9s %9s\n", "model", "parameters", "layers", "width",
                "heads", "float16", "4 bits");
    for (const ModelRow& m : family.models) {
      std::printf("  %-30s %10s %6s %6s %8s %9s %9s\n", m.name.c_str(),
                  HumanCount(m.parameters + m.visual_parameters).c_str(),
                  std::to_string(m.layers).c_str(), std::to_string(m.width).c_str(),
                  Heads(m).c_str(), HumanBytes(m.float_bytes).c_str(),
                  HumanBytes(m.quantized_bytes).c_str());
    }
  }
  std::printf(
      "\nOther sizes and fine-tunes of a family work too. 4 bits: group %s, with embedding, head, "
      "norms and\nvisual tower in float16.\n",
      std::to_string(listing.group_size).c_str());
}

std::string ThetaText(double theta) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.0e", theta);
  std::string short_text(text);
  if (const std::size_t plus = short_text.find("e+0"); plus != std::string::npos) {
    short_text.erase(plus + 1, 2);
  }
  return short_text;
}

void PrintShapes(const Listing& listing) {
  std::printf("%-30s %-10s %6s %6s %6s %5s %7s %7s %4s %6s %10s %9s %9s %9s %9s %9s %9s\n", "model",
              "family", "layers", "width", "heads", "size", "MLP", "vocab", "tied", "theta",
              "parameters", "float16", "4 bits", "quantize", "evaluate", "compile", "run");
  for (const FamilyRow& family : listing.families) {
    for (const ModelRow& m : family.models) {
      std::printf(
          "%-30s %-10s %6lld %6lld %6s %5lld %7lld %7lld %4s %6s %10s %9s %9s %9s %9s %9s %9s\n",
          m.name.c_str(), family.name.c_str(), static_cast<long long>(m.layers),
          static_cast<long long>(m.width), Heads(m).c_str(), static_cast<long long>(m.head_size),
          static_cast<long long>(m.intermediate), static_cast<long long>(m.vocabulary),
          m.tied_head ? "yes" : "no", ThetaText(m.rope_theta).c_str(),
          HumanCount(m.parameters + m.visual_parameters).c_str(), HumanBytes(m.float_bytes).c_str(),
          HumanBytes(m.quantized_bytes).c_str(), HumanBytes(m.memory.quantize).c_str(),
          HumanBytes(m.memory.evaluate).c_str(), HumanBytes(m.memory.compile).c_str(),
          HumanBytes(m.memory.run).c_str());
    }
  }
  std::printf(
      "\nThe last four columns: memory that the job needs at most, about (on a CPU; mapped files "
      "not counted).\n`tyllm inspect --synthesize MODEL --out DIR` writes a model of such a shape "
      "with random weights.\n");
}

}  // namespace

void DeclareModels(cli::CommandSpec& spec, Invocation& /*invocation*/) {
  struct Arguments {
    bool shapes = false;
    bool json = false;
  };

  auto arguments = std::make_shared<Arguments>();
  spec.options = {
      {"--shapes", "", "a line a model: its shape, its sizes, and the memory that jobs need",
       &arguments->shapes},
      {"--json", "", "print one JSON document, with all of it", &arguments->json},
  };
  spec.description =
      "Lists the model families that are supported, and the models that their makers published.";
  spec.examples = {"tyllm models", "tyllm models --shapes"};
  spec.run = [arguments] {
    const Listing listing = ListModels();
    if (arguments->json) {
      std::cout << format::PrettyJson(format::ToJson(listing));
    } else if (arguments->shapes) {
      PrintShapes(listing);
    } else {
      Print(listing);
    }
    return cli::ExitCode::kOk;
  };
}

}  // namespace tyllm::app
