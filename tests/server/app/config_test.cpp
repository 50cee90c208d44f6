// SPDX-License-Identifier: Apache-2.0
#include "server/app/config.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "server/app/clocks_by_kind.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::server::app {
namespace {

class ConfigTest : public ::testing::Test {
 protected:
  Result<LoadedConfig> Load() {
    config::Sources sources;
    sources.file = file_;
    for (const auto& [key, text] : flags_) {
      sources.flags[key] = {text};
    }
    sources.environment = [this](const std::string& name) -> std::optional<std::string> {
      const auto it = environment_.find(name);
      return it == environment_.end() ? std::nullopt : std::optional(it->second);
    };
    return LoadConfig(sources);
  }

  void WriteFile(const std::string& toml) {
    file_ = folder_ / "server.toml";
    std::ofstream(file_) << toml;
  }

  void ExpectRefused(const std::string& names) {
    const auto loaded = Load();
    ASSERT_FALSE(loaded.ok()) << "expected an error that names " << names;
    EXPECT_EQ(loaded.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(loaded.status().message().find(names), std::string::npos)
        << loaded.status().ToString();
  }

  testing::TemporaryDirectory folder_;
  std::string file_;
  std::map<std::string, std::string> environment_;
  std::map<std::string, std::string> flags_;
};

std::string TextFor(const Setting& setting) {
  if (std::holds_alternative<bool ServerConfig::*>(setting.member)) {
    return "true";
  }
  if (std::holds_alternative<std::int64_t ServerConfig::*>(setting.member)) {
    return std::to_string(setting.most);
  }
  if (std::holds_alternative<config::Pairs ServerConfig::*>(setting.member)) {
    return "convert=7";
  }
  if (setting.key == "log.format") {
    return "json";
  }
  return setting.key == "log.level" ? "error" : "127.0.0.1:9";
}

TEST_F(ConfigTest, EveryRowCanBeSetFromEverySource) {
  std::set<std::string> names;
  for (const Setting& setting : kSettings) {
    const std::string variable = config::VariableOf(kVariablePrefix, setting.key);
    EXPECT_TRUE(names.insert(variable).second) << variable;
    const std::string flag = config::FlagOf(setting.key);
    EXPECT_TRUE(names.insert(flag).second) << flag;
    EXPECT_FALSE(setting.help.empty());
    const std::string text = TextFor(setting);
    const bool quoted = !std::holds_alternative<bool ServerConfig::*>(setting.member) &&
                        !std::holds_alternative<std::int64_t ServerConfig::*>(setting.member);
    const bool pairs = std::holds_alternative<config::Pairs ServerConfig::*>(setting.member);
    const std::string value = pairs    ? "{ \"convert\" = \"7\" }"
                              : quoted ? "\"" + text + "\""
                                       : text;
    const std::string toml = std::string(setting.key) + " = " + value;

    file_.clear();
    flags_ = {{std::string(setting.key), text}};
    const auto by_flag = Load();
    ASSERT_TRUE(by_flag.ok()) << by_flag.status().ToString();
    EXPECT_NE(by_flag->toml.find(toml + "  # flag\n"), std::string::npos) << by_flag->toml;

    flags_.clear();
    environment_ = {{variable, text}};
    const auto by_environment = Load();
    ASSERT_TRUE(by_environment.ok()) << by_environment.status().ToString();
    EXPECT_NE(by_environment->toml.find(toml + "  # environment\n"), std::string::npos);

    environment_.clear();
    WriteFile(toml + "\n");
    const auto by_file = Load();
    ASSERT_TRUE(by_file.ok()) << by_file.status().ToString();
    EXPECT_NE(by_file->toml.find(toml + "  # file\n"), std::string::npos);
  }
}

TEST_F(ConfigTest, FlagsBeatTheEnvironmentWhichBeatsTheFile) {
  WriteFile("[lease]\nseconds = 10\ngrace_seconds = 11\n[upload]\nidle_seconds = 12\n");
  environment_ = {{"TYLLM_SERVER_LEASE_GRACE_SECONDS", "21"},
                  {"TYLLM_SERVER_UPLOAD_IDLE_SECONDS", "22"}};
  flags_ = {{"upload.idle_seconds", "32"}};
  const auto loaded = Load();
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  EXPECT_EQ(loaded->config.lease_seconds, 10);
  EXPECT_EQ(loaded->config.lease_grace_seconds, 21);
  EXPECT_EQ(loaded->config.upload_idle_seconds, 32);
  EXPECT_EQ(loaded->config.attempt_failures, 3) << "the default";
}

TEST_F(ConfigTest, TheFileCanBeNamedByTheEnvironment) {
  WriteFile("data = \"/srv/tyllm\"\n");
  environment_ = {{"TYLLM_SERVER_CONFIG", file_}};
  file_.clear();
  EXPECT_EQ(Load()->config.data, "/srv/tyllm");
}

TEST_F(ConfigTest, UnknownKeysAreRefusedWithLineAndNearestName) {
  WriteFile("data = \"x\"\n[lease]\nsecond = 10\n");
  ExpectRefused("server.toml:3: there is no setting 'lease.second', did you mean 'lease.seconds'?");
  WriteFile("completely_unlike_anything = 1\n");
  ExpectRefused("--print-config");
}

TEST_F(ConfigTest, ValuesOfTheWrongTypeAreRefused) {
  WriteFile("lease.seconds = \"10\"\n");
  ExpectRefused("lease.seconds has another type of value, expected a whole number");
  WriteFile("with_worker = 1\n");
  ExpectRefused("expected true or false");
  WriteFile("data = 5\n");
  ExpectRefused("expected text in quotes");
  WriteFile("data = [\"a\"]\n");
  ExpectRefused("expected text in quotes");
}

TEST_F(ConfigTest, ValuesOutOfRangeNameTheirSource) {
  WriteFile("lease.seconds = 0\n");
  ExpectRefused("server.toml:1: lease.seconds is '0', expected a whole number from 1 to 86400");
  file_.clear();
  environment_ = {{"TYLLM_SERVER_ATTEMPT_FAILURES", "many"}};
  ExpectRefused("environment variable TYLLM_SERVER_ATTEMPT_FAILURES is 'many'");
  environment_.clear();
  flags_ = {{"log.level", "loud"}};
  ExpectRefused("--log-level: log level is 'loud', expected one of: debug, info, warning, error");
}

TEST_F(ConfigTest, AddressesAreChecked) {
  for (const char* const bad : {"", "localhost", "127.0.0.1:", "127.0.0.1:x", ":80", "h:65536"}) {
    flags_ = {{"listen", bad}};
    ExpectRefused("expected HOST:PORT");
  }
  flags_ = {{"listen", "[::1]:0"}};
  EXPECT_TRUE(Load().ok());
}

TEST_F(ConfigTest, FilesThatAreNotThereOrNotTomlAreRefused) {
  file_ = folder_ / "absent.toml";
  EXPECT_EQ(Load().status().code(), StatusCode::kNotFound);
  WriteFile("data = \n");
  ExpectRefused("server.toml:1: not TOML");
}

TEST_F(ConfigTest, PrintedSettingsReadBackAsTheSame) {
  flags_ = {{"data", "a \"quoted\" \\ name"}, {"lease.seconds", "7"}, {"log.format", "json"}};
  const auto loaded = Load();
  ASSERT_TRUE(loaded.ok());
  const std::string printed = loaded->toml;
  WriteFile(printed);
  flags_.clear();
  const auto again = Load();
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(again->config.data, loaded->config.data);
  EXPECT_EQ(again->config.lease_seconds, 7);
  EXPECT_EQ(again->config.log_format, telemetry::LogFormat::kJson);
}

TEST_F(ConfigTest, ClocksOfAKindComeFromTablesByKind) {
  WriteFile(
      "[lease.by_kind]\nconvert = \"7\"\n[attempt.stall_by_kind]\nquantize = \"8\"\n"
      "[attempt.deadline_by_kind]\nquantize = \"9\"\n");
  const auto loaded = Load();
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  const auto clocks = ClocksByKind(loaded->config);
  ASSERT_TRUE(clocks.ok());
  EXPECT_EQ(clocks->at(domain::TaskKind::kConvert).lease, std::chrono::seconds(7));
  EXPECT_EQ(clocks->at(domain::TaskKind::kConvert).stall, std::nullopt);
  EXPECT_EQ(clocks->at(domain::TaskKind::kQuantize).stall, std::chrono::seconds(8));
  EXPECT_EQ(clocks->at(domain::TaskKind::kQuantize).deadline, std::chrono::seconds(9));
  WriteFile("[attempt.stall_by_kind]\nbake = \"8\"\n");
  ExpectRefused("attempt.stall_by_kind: task kind is 'bake', expected one of: quantize");
  WriteFile("[attempt.stall_by_kind]\nquantize = \"soon\"\n");
  ExpectRefused("attempt.stall_by_kind.quantize: 'soon', expected a whole number of seconds");
}

}  // namespace
}  // namespace tyllm::server::app
