// SPDX-License-Identifier: Apache-2.0
// Inputs that cannot be right, as a shell sees them: one message that names the thing, what was
// found, what is expected and what to do; an exit code; nothing under the final name.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "common/base/child_process.h"
#include "common/base/file_system.h"
#include "common/format/json.h"
#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::app {
namespace {

const std::string kTyllm = std::string(testing::kProgramFolder) + "/tyllm";
const Path kDemo = Path(testing::kSourceFolder) / "examples" / "models" / "demo-qwen3-4m";

std::string Read(const Path& path) {
  return *LocalFileSystem().Read(path);
}

void Write(const Path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

std::string LengthBytes(std::uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes += static_cast<char>(length >> (8 * i) & 0xFFU);
  }
  return bytes;
}

/// The header of a safetensors file changed, its data kept.
std::string WithHeader(const std::string& file, const std::function<void(format::Json&)>& change) {
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i) {
    length = length << 8U | static_cast<unsigned char>(file[static_cast<std::size_t>(i)]);
  }
  format::Json header = format::Json::parse(file.substr(8, length));
  change(header);
  const std::string text = header.dump();
  return LengthBytes(text.size()) + text + file.substr(8 + length);
}

constexpr const char* kEmbedding = "model.embed_tokens.weight";
constexpr const char* kNorm = "model.norm.weight";
constexpr const char* kFirstNorm = "model.layers.0.input_layernorm.weight";

/// A copy of the example model, one file of it changed.
struct BadModel {
  const char* name;
  const char* file;
  std::function<std::string(const std::string&)> change;
  std::vector<std::string> says;  ///< the message has all of these
};

std::function<std::string(const std::string&)> Header(std::function<void(format::Json&)> change) {
  return [change = std::move(change)](const std::string& file) { return WithHeader(file, change); };
}

std::function<std::string(const std::string&)> Key(const char* key, format::Json value) {
  return [key, value = std::move(value)](const std::string& file) {
    format::Json json = format::Json::parse(file);
    json[key] = value;
    return json.dump();
  };
}

const BadModel kBadModels[] = {
    {"no header",
     "model.safetensors",
     [](const std::string& file) { return file.substr(0, 5); },
     {"5 bytes", "truncated", "copy or download it again"}},
    {"half a header",
     "model.safetensors",
     [](const std::string& file) { return file.substr(0, 200); },
     {"192 follow", "truncated"}},
    {"data cut short",
     "model.safetensors",
     [](const std::string& file) { return file.substr(0, file.size() - 100); },
     {kNorm, "beyond the file", "truncated"}},
    {"a header longer than any",
     "model.safetensors",
     [](const std::string& file) { return LengthBytes(1ULL << 63U) + file.substr(8); },
     {"9223372036854775808 bytes", "100000000"}},
    {"no JSON",
     "model.safetensors",
     [](const std::string& file) { return LengthBytes(4) + "xxxx" + file.substr(12); },
     {"does not begin with '{'"}},
    {"offsets out of range",
     "model.safetensors",
     Header([](format::Json& h) { h[kEmbedding]["data_offsets"] = {0, 1000000000000}; }),
     {kEmbedding, "1000000000000", "beyond the file"}},
    {"offsets that overlap",
     "model.safetensors",
     Header([](format::Json& h) {
       const auto bytes = h[kFirstNorm]["data_offsets"][1].get<std::int64_t>() -
                          h[kFirstNorm]["data_offsets"][0].get<std::int64_t>();
       const auto first = h[kEmbedding]["data_offsets"][0].get<std::int64_t>();
       h[kFirstNorm]["data_offsets"] = {first, first + bytes};
     }),
     {"overlap"}},
    {"a shape that overflows",
     "model.safetensors",
     Header([](format::Json& h) { h[kNorm]["shape"] = {1LL << 33, 1LL << 33}; }),
     {kNorm, "overflows"}},
    {"a negative shape",
     "model.safetensors",
     Header([](format::Json& h) { h[kNorm]["shape"] = {-1}; }),
     {kNorm, "0 or more"}},
    {"an unknown type",
     "model.safetensors",
     Header([](format::Json& h) { h[kNorm]["dtype"] = "Q9"; }),
     {kNorm, "'Q9'", "expected one of"}},
    {"a shape that the data contradicts",
     "model.safetensors",
     Header([](format::Json& h) { h[kNorm]["shape"] = {1}; }),
     {kNorm, "needs 2"}},
    {"a tensor that is missing",
     "model.safetensors",
     Header([](format::Json& h) {
       h["model.other.weight"] = h[kNorm];
       h.erase(kNorm);
     }),
     {kNorm}},
    {"an unknown architecture",
     "config.json",
     Key("architectures", {"FooForCausalLM"}),
     {"FooForCausalLM", "supported: Qwen3ForCausalLM"}},
    {"no heads", "config.json", Key("num_attention_heads", 0), {"num_attention_heads is 0"}},
    {"too many layers",
     "config.json",
     Key("num_hidden_layers", 1000000000000LL),
     {"num_hidden_layers is 1000000000000"}},
    {"half a configuration",
     "config.json",
     [](const std::string& file) { return file.substr(0, 40); },
     {"not valid JSON", "fix or replace the file"}},
    {"half a tokenizer",
     "tokenizer.json",
     [](const std::string& file) { return file.substr(0, 4000); },
     {"tokenizer.json", "not valid JSON"}},
    {"no tokenizer", "tokenizer.json", [](const std::string&) { return "{}"; }, {"no object"}},
};

class BadInput : public ::testing::Test {
 protected:
  CommandOutcome Tyllm(const std::string& arguments) {
    const std::string line =
        "cd '" + directory_.path().string() + "' && exec " + kTyllm + " " + arguments + " 2>&1";
    const auto outcome = RunCommand({{"sh", "-c", line}, {}, {}, {}}, std::chrono::seconds(60));
    EXPECT_TRUE(outcome.ok()) << outcome.status().ToString();
    return outcome.ok() ? *outcome : CommandOutcome{};
  }

  void ExpectRefused(const std::string& arguments, const std::vector<std::string>& says,
                     int code = 0) {
    const CommandOutcome outcome = Tyllm(arguments);
    SCOPED_TRACE(arguments + "\n" + outcome.output);
    if (code != 0) {
      EXPECT_EQ(outcome.exit.code, code);
    }
    EXPECT_TRUE((outcome.exit.code >= 1 && outcome.exit.code <= 4) || outcome.exit.code == 7 ||
                outcome.exit.code == 8)
        << outcome.exit.code;
    EXPECT_EQ(outcome.exit.signal, 0);
    for (const std::string& part : says) {
      EXPECT_NE(outcome.output.find(part), std::string::npos) << part;
    }
    const std::size_t error = outcome.output.find("error: ");
    EXPECT_NE(error, std::string::npos);
    EXPECT_EQ(outcome.output.find("error: ", error + 1), std::string::npos) << "one message";
    EXPECT_FALSE(std::filesystem::exists(directory_ / "out")) << "nothing under the final name";
  }

  testing::TemporaryDirectory directory_;
};

TEST_F(BadInput, AModelThatIsDamagedIsNamedAndLeavesNothing) {
  for (const BadModel& bad : kBadModels) {
    SCOPED_TRACE(bad.name);
    const Path model = directory_ / "model";
    std::filesystem::remove_all(model);
    std::filesystem::copy(kDemo, model);
    Write(model / bad.file, bad.change(Read(model / bad.file)));
    std::vector<std::string> says = bad.says;
    says.emplace_back(std::string("model/") + bad.file);
    if (bad.name != std::string("a tensor that is missing")) {  // that is of the whole folder
      ExpectRefused("quantize --model model --out out --method awq", says);
    } else {
      ExpectRefused("quantize --model model --out out --method rtn", bad.says);
    }
  }
}

TEST_F(BadInput, ATokenizerBehindALinkOutOfTheModelIsNotLeftOutSilently) {
  std::filesystem::copy(kDemo, directory_ / "model");
  std::filesystem::rename(directory_ / "model" / "tokenizer.json", directory_ / "elsewhere");
  std::filesystem::create_symlink("../elsewhere", directory_ / "model" / "tokenizer.json");
  const std::vector<std::string> says = {"tokenizer.json is a link", "copy it"};
  ExpectRefused("quantize --method rtn --model model --out out", says, 2);
  ExpectRefused("compile --model model --out out", says, 2);
}

TEST_F(BadInput, OptionsThatCannotBeAreNamedWithWhatIsExpected) {
  const std::string model = kDemo.string();
  Write(directory_ / "short.txt", "Too short.");
  Write(directory_ / "binary.txt", "\xff\xfe\x01");
  const std::string quantize = "quantize --out out --model " + model;
  const std::string compile = "compile --out out --model " + model;
  const std::string vendor = compile + " --target tytvm";

  const std::string threads = "--threads is 4294967297, expected 0 (all CPUs) to 4096";

  struct Case {
    std::string arguments;
    std::vector<std::string> says;
    int code;
  };

  const std::vector<Case> cases = {
      {"quantize --out out --model nowhere", {"nowhere", "config.json"}, 3},
      {quantize + " --calibration nowhere.txt", {"calibration", "nowhere.txt"}, 3},
      {quantize + " --calibration short.txt", {"short.txt", "tokens", "longer text"}, 2},
      {quantize + " --calibration binary.txt", {"binary.txt", "UTF-8"}, 2},
      {quantize + " --group-size 96", {"group size 96", "256 inputs", "another group size"}, 2},
      {quantize + " --group-size 0", {"group_size is 0", "expected 8"}, 2},
      {quantize + " --format gguf", {"gguf", "expected one of"}, 2},
      {quantize + " --keep-float '('", {"--keep-float '('", "parenthesis"}, 2},
      {quantize + " --device cuda:99", {"cuda:99"}, 4},
      {compile + " --dies 17", {"dies is 17", "expected 1 to 16"}, 2},
      {compile + " --dies 0", {"dies is 0", "expected 1 to 16"}, 2},
      {compile + " --seq-lens 8,1", {"1 after 8", "rising"}, 2},
      {compile + " --lm-die-remap 0,1", {"2 numbers", "exactly 16"}, 2},
      {compile + " --max-kv 100000000", {"100000000", "4096 positions"}, 2},
      {"convert --dst out --quant-type awq --src " + model, {"quantized one", "quantize"}, 7},
      {"evaluate --out out --model " + model + " --perplexity nowhere.txt",
       {"nowhere.txt", "UTF-8 text"},
       3},
      {"evaluate --out out --model " + model + " --perplexity short.txt", {"short.txt", "513"}, 2},
      {"evaluate --out out --model " + model + " --questions short.txt", {"short.txt line 1"}, 2},
      {"evaluate --out out --model " + model + " --questions nowhere", {"nowhere", "CSV"}, 3},
      {"evaluate --out out --model " + model, {"nothing to evaluate", "--perplexity"}, 2},
      {"evaluate --model " + model + " --perplexity binary.txt", {"binary.txt", "UTF-8"}, 2},
      {"evaluate --model " + model + " --prompt Hi --video-fps 2", {"--video-fps", "--video"}, 2},
      {"evaluate --model " + model + " --prompt Hi --threads 4294967297", {threads}, 2},
      {quantize + " --threads 4294967297", {threads}, 2},
      {quantize + " --threads -1", {"--threads is -1"}, 2},
      {"run " + model + " --prompt Hi --threads 4097", {"--threads is 4097"}, 2},
      {"bench " + model + " --threads 4294967297", {threads}, 2},
      {compile + " --jobs 4294967297", {"--jobs is 4294967297", "0 (all CPUs) to 4096"}, 2},
      {compile + " --board die-4gb", {"--board", "--dry-run"}, 2},
      {compile + " --boards nowhere.json", {"--boards", "--dry-run"}, 2},
      {compile + " --image 640x480", {"--image", "model of text", "leave it out"}, 2},
      {compile + " --frames 4", {"--frames", "model of text", "leave it out"}, 2},
      {compile + " --vendor-command python3", {"--vendor-command", "--target tytvm"}, 2},
      {compile + " --activations int8", {"--activations int8", "quantized"}, 2},
      {vendor + " --vendor-command \"python3 'a b\"", {"python3 'a b", "is not closed"}, 2},
      {vendor, {"no command for the vendor's toolchain", "--vendor-command"}, 4},
      {vendor + " --vendor-command x --cache y", {"--cache", "not cached"}, 2},
      {vendor + " --vendor-command x --compiler g++", {"--compiler is g++", "brings its own"}, 2},
      {vendor + " --vendor-command x --head int8", {"head was asked for", "target sim"}, 2},
      {vendor + " --vendor-command x --dry-run --board die-4gb", {"--board", "--target sim"}, 2},
      {compile + " --dry-run --board nosuch --dies 17 --seq-lens 8,1",
       {"3 problems", "nosuch", "dies is 17", "1 after 8"},
       3},
      {"compile --model " + model + " --jobs -1", {"2 problems", "--out is missing", "--jobs"}, 2},
      {"run " + model + " --prompt Hi --top-p 0.5", {"--top-p", "--temperature is 0"}, 2},
      {"run " + model + " --prompt Hi --top-k 5", {"--top-k", "--temperature is 0"}, 2},
      {"run " + model + " --prompt Hi --seed 5", {"--seed", "--temperature is 0"}, 2},
      {"run " + model + " --prompt Hi --engine interpreter", {"--engine", "compiled"}, 2},
      {"run " + model + " --prompt Hi --exact-image-size", {"--exact-image-size", "compiled"}, 2},
      {"run " + model + " --prompt Hi --video-fps 2", {"--video-fps", "--video"}, 2},
      {"verify nowhere", {"nowhere"}, 3},
      {"verify nowhere --tolerance -1", {"--tolerance is -1", "0 (as the options"}, 2},
      {"quantize --method rtn --out . --model " + model, {"not empty", "another name"}, 7},
      {"inspect --synthesize Qwen2.5-0.5B --layers 1 --out .", {"not empty"}, 7},
  };
  for (const Case& c : cases) {
    ExpectRefused(c.arguments, c.says, c.code);
  }
}

TEST_F(BadInput, EveryErrorIsOneLineOfJsonWhereThatIsAskedFor) {
  const std::string model = kDemo.string();
  for (const std::string& arguments :
       {std::string("inspekt x --json"), "inspect --json --no-such-option " + model,
        "quantize --json --model " + model,
        std::string("quantize --json --out out --model m --group-size x"),
        std::string("inspect --json nowhere\xff"), std::string("models --json extra")}) {
    const CommandOutcome outcome = Tyllm(arguments);
    EXPECT_NE(outcome.exit.code, 0) << arguments;
    EXPECT_EQ(std::count(outcome.output.begin(), outcome.output.end(), '\n'), 1) << outcome.output;
    const auto json = format::ParseJson(outcome.output, arguments);
    ASSERT_TRUE(json.ok()) << outcome.output;
    EXPECT_TRUE(json->at("error").contains("message")) << outcome.output;
  }
}

TEST_F(BadInput, ALinkToWeightsThatAreGoneIsNamed) {
  const Path model = directory_ / "model";
  std::filesystem::copy(kDemo, model);
  std::filesystem::remove(model / "model.safetensors");
  std::filesystem::create_symlink("../blobs/gone", model / "model.safetensors");
  ExpectRefused("quantize --model model --out out",
                {"model/model.safetensors is a link to ../blobs/gone", "mend the link"}, 3);
}

TEST_F(BadInput, APipeInAModelIsNoFileToWaitFor) {
  const Path model = directory_ / "model";
  std::filesystem::copy(kDemo, model);
  std::filesystem::remove(model / "model.safetensors");
  ASSERT_EQ(::mkfifo((model / "model.safetensors").c_str(), 0600), 0);
  ExpectRefused("inspect model", {"model.safetensors", "pipe", "regular file"}, 7);
}

TEST_F(BadInput, AFullDiskIsToldAndLeavesNothing) {
  // 400 blocks of 512 bytes: writes fail as on a full disk, and the signal ends nothing.
  const std::string limit = "sh -c \"ulimit -f 400; exec " + kTyllm + " ";
  for (const std::string& arguments :
       {"quantize --method rtn --group-size 64 --out out --model " + kDemo.string(),
        std::string("inspect --synthesize Qwen2.5-0.5B --layers 1 --out out")}) {
    std::filesystem::remove_all(directory_ / "out.partial");
    const std::string line =
        "cd '" + directory_.path().string() + "' && " + limit + arguments + "\" 2>&1";
    const auto outcome = RunCommand({{"sh", "-c", line}, {}, {}, {}}, std::chrono::seconds(60));
    ASSERT_TRUE(outcome.ok()) << outcome.status().ToString();
    EXPECT_EQ(outcome->exit.code, 8) << outcome->output;
    EXPECT_NE(outcome->output.find("error: writing "), std::string::npos) << outcome->output;
    EXPECT_NE(outcome->output.find("/out.partial/"), std::string::npos) << outcome->output;
    EXPECT_NE(outcome->output.find("allow larger files"), std::string::npos) << outcome->output;
    EXPECT_FALSE(std::filesystem::exists(directory_ / "out"));
  }
}

}  // namespace
}  // namespace tyllm::app
