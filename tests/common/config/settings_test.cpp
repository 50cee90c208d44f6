// SPDX-License-Identifier: Apache-2.0
#include "common/config/settings.h"

#include <gtest/gtest.h>

#include <fstream>

#include "common/config/flags.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::config {
namespace {

struct Garden {
  std::string gardener = "nobody";
  bool fenced = false;
  std::int64_t beds = 3;
  Pairs plants = {{"north", "moss"}};
};

constexpr std::array kTable{
    Setting<Garden>{"gardener", &Garden::gardener, "NAME", "who tends it", 0, 0, "GARDENER"},
    Setting<Garden>{"fence.closed", &Garden::fenced, "", "nobody gets in"},
    Setting<Garden>{"beds", &Garden::beds, "N", "how many", 1, 9},
    Setting<Garden>{"plants", &Garden::plants, "BED=PLANT", "what grows", 0, 0, {}, "--plant"},
};

/// Settings of a made-up program, from sources that the test fills.
class SettingsTest : public ::testing::Test {
 protected:
  Status Load() {
    sources_.environment = [this](const std::string& name) -> std::optional<std::string> {
      const auto it = environment_.find(name);
      return it == environment_.end() ? std::nullopt : std::optional(it->second);
    };
    return config::Load(rows_, sources_);
  }

  void WriteFile(const std::string& toml) {
    sources_.file = folder_ / "garden.toml";
    std::ofstream(sources_.file) << toml;
  }

  void ExpectRefused(const std::string& text) {
    const Status status = Load();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find(text), std::string::npos) << status.ToString();
  }

  testing::TemporaryDirectory folder_;
  Garden garden_;
  std::vector<Row> rows_ =
      Bind(std::span<const Setting<Garden>>(kTable), std::string_view("GARDEN_"), garden_);
  std::map<std::string, std::string> environment_;
  Sources sources_;
};

TEST_F(SettingsTest, NamesFollowFromTheKeyUnlessTheTableSaysOtherwise) {
  EXPECT_EQ(rows_[0].variable, "GARDENER");
  EXPECT_EQ(rows_[1].variable, "GARDEN_FENCE_CLOSED");
  EXPECT_EQ(rows_[1].flag, "--fence-closed");
  EXPECT_EQ(rows_[3].flag, "--plant");
}

TEST_F(SettingsTest, PairsOfAllSourcesAreJoinedAndTheLastWordOnANameCounts) {
  WriteFile("[plants]\nsouth = \"roses\"\neast = \"thyme\"\n");
  environment_ = {{"GARDEN_PLANTS", "east=sage,west=a=b"}};
  sources_.flags = {{"plants", {"west=mint, dried", "door=ivy"}}};
  ASSERT_TRUE(Load().ok());
  EXPECT_EQ(garden_.plants, (Pairs{{"north", "moss"},
                                   {"south", "roses"},
                                   {"east", "sage"},
                                   {"west", "mint, dried"},
                                   {"door", "ivy"}}));
}

TEST_F(SettingsTest, PairsAreCheckedWhereverTheyComeFrom) {
  WriteFile("plants = \"roses\"\n");
  ExpectRefused("garden.toml:1: plants has another type of value, expected a table");
  WriteFile("[plants]\nsouth = 5\n");
  ExpectRefused("garden.toml:2: plants.south has another type of value, expected text");
  sources_.file.clear();
  environment_ = {{"GARDEN_PLANTS", "roses"}};
  ExpectRefused("environment variable GARDEN_PLANTS is 'roses', expected NAME=VALUE");
}

TEST_F(SettingsTest, WhatIsPrintedReadsBackAsTheSame) {
  sources_.flags = {{"plants", {"a \"b\"=c\\d"}}, {"beds", {"7"}}, {"fence.closed", {"true"}}};
  ASSERT_TRUE(Load().ok());
  const Garden first = garden_;
  const std::string toml = ToToml(rows_);
  EXPECT_NE(toml.find("beds = 7  # flag\n"), std::string::npos) << toml;
  garden_ = Garden{};
  sources_.flags.clear();
  WriteFile(toml);
  ASSERT_TRUE(Load().ok()) << toml;
  EXPECT_EQ(garden_.plants, first.plants);
  EXPECT_EQ(garden_.beds, 7);
  EXPECT_TRUE(garden_.fenced);
}

TEST_F(SettingsTest, EveryRowHasAFlagThatSetsIt) {
  Flags flags(rows_);
  cli::CommandSpec spec;
  spec.options = flags.Declare();
  spec.run = [] { return cli::ExitCode::kOk; };
  const char* const line[] = {"garden", "--gardener", "Ada", "--fence-closed", "--beds",
                              "2",      "--plant",    "a=b", "--plant",        "c=d"};
  ASSERT_EQ(cli::RunProgram({"garden", "", ""}, spec, 10, line), 0);
  sources_.flags = flags.Given();
  ASSERT_TRUE(Load().ok());
  EXPECT_EQ(garden_.gardener, "Ada");
  EXPECT_TRUE(garden_.fenced);
  EXPECT_EQ(garden_.beds, 2);
  EXPECT_EQ(garden_.plants.size(), 3U);
}

TEST_F(SettingsTest, UnknownKeysAreRefusedAlsoInsideOfATable) {
  WriteFile("[fence]\nclosd = true\n");
  ExpectRefused("there is no setting 'fence.closd', did you mean 'fence.closed'?");
}

}  // namespace
}  // namespace tyllm::config
