// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include "common/base/enum_table.h"
#include "common/domain/visual_options.h"
#include "common/format/json.h"

// What each kind of task can be asked to do, as plain data: the same structs are filled by `tyllm`,
// sent by `tyllm-client`, stored by the server and read by a worker's job. Inputs (models, texts)
// and devices are not options. Check(...) says what is wrong with values, without looking at any
// file.
namespace tyllm::domain {

enum class QuantizeMethod : std::uint8_t {
  kAwq,      ///< scales and ranges by output errors, each weight to the nearest
  kRtn,      ///< round to nearest: looks at no text
  kAwqGptq,  ///< awq's scales, then each weight makes good the errors of those before it
};

inline constexpr EnumTable<QuantizeMethod, 3> kQuantizeMethodNames(
    "quantization method", {{{QuantizeMethod::kAwq, "awq"},
                             {QuantizeMethod::kRtn, "rtn"},
                             {QuantizeMethod::kAwqGptq, "awq+gptq"}}});

constexpr const auto& NamesOf(QuantizeMethod) {
  return kQuantizeMethodNames;
}

/// Layout of a quantized checkpoint that is written.
enum class QuantizedFormat : std::uint8_t { kAmtc, kAwq, kCompressedTensors };

inline constexpr EnumTable<QuantizedFormat, 3> kQuantizedFormatNames(
    "checkpoint format", {{{QuantizedFormat::kAmtc, "amtc"},
                           {QuantizedFormat::kAwq, "awq"},
                           {QuantizedFormat::kCompressedTensors, "compressed-tensors"}}});

constexpr const auto& NamesOf(QuantizedFormat) {
  return kQuantizedFormatNames;
}

/// Texts that came with the program.
enum class CalibrationSet : std::uint8_t {
  kWikitext2,  ///< encyclopedia articles in English
  kBuiltin,    ///< this project's own: English, Chinese, code and chat
};

inline constexpr EnumTable<CalibrationSet, 2> kCalibrationSetNames(
    "calibration set",
    {{{CalibrationSet::kWikitext2, "wikitext-2"}, {CalibrationSet::kBuiltin, "builtin"}}});

constexpr const auto& NamesOf(CalibrationSet) {
  return kCalibrationSetNames;
}

/// How documents become calibration samples.
struct CalibrationOptions {
  CalibrationSet set = CalibrationSet::kWikitext2;  ///< where no text is given
  std::string column;              ///< of JSON lines; empty: the first known one that is there
  bool concat = true;              ///< documents follow one another, cut every seq_len tokens
  bool pad = false;                ///< without concat: a sample holds one piece of one document
  bool isolate_documents = false;  ///< attention does not cross documents
  bool chat_template = false;      ///< documents are conversations in the model's chat format
  std::int64_t seed = 0;           ///< 0: documents as they come; else the shuffle to take
  double image_weight = 1.0;       ///< of a token of an image, where one of text has 1

  bool operator==(const CalibrationOptions&) const = default;
};

struct QuantizeOptions {
  QuantizeMethod method = QuantizeMethod::kAwqGptq;
  std::int64_t group_size = 128;
  std::int64_t samples = 128;  ///< calibration sequences
  std::int64_t seq_len = 512;  ///< tokens of each
  bool clip = true;
  bool propagate = true;                ///< later layers make good what earlier ones lost
  std::vector<std::string> keep_float;  ///< regular expressions of module names
  QuantizedFormat format = QuantizedFormat::kAmtc;
  CalibrationOptions calibration;

  /// Whether some of the calibration text is followed through the quantized model.
  bool follows_quantized() const { return propagate && method == QuantizeMethod::kAwqGptq; }

  bool operator==(const QuantizeOptions&) const = default;
};

struct ConvertOptions {
  QuantizedFormat quant_type = QuantizedFormat::kAwq;

  bool operator==(const ConvertOptions&) const = default;
};

/// How a model answers a multiple-choice question.
enum class AnswerMode : std::uint8_t {
  kLikelihood,  ///< the letter that it gives the highest probability
  kGenerated,   ///< the letter in the text that it writes
  kBoth,
};

inline constexpr EnumTable<AnswerMode, 3> kAnswerModeNames(
    "way of answering", {{{AnswerMode::kLikelihood, "likelihood"},
                          {AnswerMode::kGenerated, "generated"},
                          {AnswerMode::kBoth, "both"}}});

constexpr const auto& NamesOf(AnswerMode) {
  return kAnswerModeNames;
}

/// Whether prompts, and questions that are answered in text, are messages of a conversation.
struct ChatOptions {
  bool enabled = false;               ///< in the model's chat format
  std::optional<std::string> system;  ///< message before it
  bool thinking = true;               ///< let a model that thinks do so before it answers

  bool operator==(const ChatOptions&) const = default;
};

struct EvaluateOptions {
  std::int64_t window = 512;     ///< tokens
  std::int64_t max_windows = 0;  ///< 0: the whole text
  // Of multiple-choice questions:
  std::int64_t shots = 0;          ///< answered examples before each question
  std::int64_t max_questions = 0;  ///< of each subject; 0: all
  AnswerMode answers = AnswerMode::kLikelihood;
  std::int64_t answer_tokens = 16;  ///< at most, of a generated answer
  // Texts to continue, greedily:
  std::vector<std::string> prompts;
  std::int64_t max_tokens = 64;      ///< at most, of each continuation
  std::vector<std::string> fail_if;  ///< conditions on figures of the report
  ChatOptions chat;
  bool stop = true;                 ///< texts end at the model's end tokens
  std::optional<double> video_fps;  ///< of videos that prompts are about; absent: all frames

  bool operator==(const EvaluateOptions&) const = default;
};

/// Who makes the programs.
enum class CompileTarget : std::uint8_t {
  kSim,    ///< this project's compiler: programs for its die simulator
  kTytvm,  ///< the vendor's toolchain, where a worker has it: programs for the silicon
};

inline constexpr EnumTable<CompileTarget, 2> kCompileTargetNames(
    "target", {{{CompileTarget::kSim, "sim"}, {CompileTarget::kTytvm, "tytvm"}}});

constexpr const auto& NamesOf(CompileTarget) {
  return kCompileTargetNames;
}

/// Numbers that a head is stored in which the checkpoint did not quantize.
enum class HeadNumbers : std::uint8_t { kFloat16, kInt8 };

inline constexpr EnumTable<HeadNumbers, 2> kHeadNumbersNames("head",
                                                             {{{HeadNumbers::kFloat16, "float16"},
                                                               {HeadNumbers::kInt8, "int8"}}});

constexpr const auto& NamesOf(HeadNumbers) {
  return kHeadNumbersNames;
}

/// Numbers that quantized weights are multiplied with, a scale a group.
enum class ActivationNumbers : std::uint8_t { kInt16, kInt8 };

inline constexpr EnumTable<ActivationNumbers, 2> kActivationNumbersNames(
    "activations", {{{ActivationNumbers::kInt16, "int16"}, {ActivationNumbers::kInt8, "int8"}}});

constexpr const auto& NamesOf(ActivationNumbers) {
  return kActivationNumbersNames;
}

/// Dies of the largest card.
inline constexpr std::int64_t kMostDies = 16;

struct CompileOptions {
  std::int64_t dies = 1;
  std::vector<std::int64_t> seq_lens = {1, 8};
  std::int64_t max_kv = 4096;
  bool embedding_as_input = false;
  std::vector<std::int64_t> lm_die_remap;  ///< empty, or exactly 16 numbers
  bool keep_source = false;
  std::string target_cpu = "x86-64-v3";
  std::int64_t attention_dies = 0;  ///< that have heads, of each reduce group; 0: chosen
  std::int64_t reduce_group = 0;    ///< dies that sum an attention among themselves; 0: all
  CompileTarget target = CompileTarget::kSim;
  HeadNumbers head = HeadNumbers::kFloat16;
  ActivationNumbers activations = ActivationNumbers::kInt16;
  VisualOptions visual;       ///< of a visual language model
  bool no_tokenizer = false;  ///< the model has none: it is run with token ids alone

  bool operator==(const CompileOptions&) const = default;
};

/// Whether `text`, what was given for --calibration, is the name of a set; it is then taken.
bool TakeCalibrationSet(std::string_view text, QuantizeOptions& options);

Status Check(const QuantizeOptions& options);
Status Check(const ChatOptions& options);
Status Check(const EvaluateOptions& options);
Status Check(const CompileOptions& options);

/// What is wrong with each compile option by itself. One that depends on another is held against
/// that one only where that one is right.
struct CompileFaults {
  Status dies;
  Status max_kv;
  Status seq_lens;
  Status lm_die_remap;
  Status vm_die_remap;
  Status split;  ///< reduce_group and attention_dies
  Status image;
  Status frames;
  std::vector<Status> of_target;  ///< options that the target takes no notice of
};

CompileFaults FaultsOf(const CompileOptions& options);
/// All of them, rather than the first.
std::vector<Status> Problems(const CompileOptions& options);

}  // namespace tyllm::domain

template <>
struct tyllm::format::Members<tyllm::domain::CalibrationOptions> {
  using O = tyllm::domain::CalibrationOptions;
  static constexpr auto kTable = std::tuple{
      Member{"set", &O::set},
      Member{"column", &O::column},
      Member{"concat", &O::concat},
      Member{"pad", &O::pad},
      Member{"isolate_documents", &O::isolate_documents},
      Member{"chat_template", &O::chat_template},
      Member{"seed", &O::seed},
      Member{"image_weight", &O::image_weight},
  };
};

template <>
struct tyllm::format::Members<tyllm::domain::QuantizeOptions> {
  using O = tyllm::domain::QuantizeOptions;
  static constexpr auto kTable = std::tuple{
      Member{"method", &O::method},
      Member{"group_size", &O::group_size},
      Member{"samples", &O::samples},
      Member{"seq_len", &O::seq_len},
      Member{"clip", &O::clip},
      Member{"propagate", &O::propagate},
      Member{"keep_float", &O::keep_float},
      Member{"format", &O::format},
      Member{"calibration", &O::calibration},
  };
};

template <>
struct tyllm::format::Members<tyllm::domain::ConvertOptions> {
  using O = tyllm::domain::ConvertOptions;
  static constexpr auto kTable = std::tuple{Member{"quant_type", &O::quant_type}};
};

template <>
struct tyllm::format::Members<tyllm::domain::ChatOptions> {
  using O = tyllm::domain::ChatOptions;
  static constexpr auto kTable =
      std::tuple{Member{"enabled", &O::enabled}, Member{"system", &O::system},
                 Member{"thinking", &O::thinking}};
};

template <>
struct tyllm::format::Members<tyllm::domain::EvaluateOptions> {
  using O = tyllm::domain::EvaluateOptions;
  static constexpr auto kTable = std::tuple{
      Member{"window", &O::window},   Member{"max_windows", &O::max_windows},
      Member{"shots", &O::shots},     Member{"max_questions", &O::max_questions},
      Member{"answers", &O::answers}, Member{"answer_tokens", &O::answer_tokens},
      Member{"prompts", &O::prompts}, Member{"max_tokens", &O::max_tokens},
      Member{"fail_if", &O::fail_if}, Member{"chat", &O::chat},
      Member{"stop", &O::stop},       Member{"video_fps", &O::video_fps},
  };
};

template <>
struct tyllm::format::Members<tyllm::domain::CompileOptions> {
  using O = tyllm::domain::CompileOptions;
  static constexpr auto kTable = std::tuple{
      Member{"dies", &O::dies},
      Member{"seq_lens", &O::seq_lens},
      Member{"max_kv", &O::max_kv},
      Member{"embedding_as_input", &O::embedding_as_input},
      Member{"lm_die_remap", &O::lm_die_remap},
      Member{"keep_source", &O::keep_source},
      Member{"target_cpu", &O::target_cpu},
      Member{"attention_dies", &O::attention_dies},
      Member{"reduce_group", &O::reduce_group},
      Member{"target", &O::target},
      Member{"head", &O::head},
      Member{"activations", &O::activations},
      Member{"visual", &O::visual},
      Member{"no_tokenizer", &O::no_tokenizer},
  };
};
