// SPDX-License-Identifier: Apache-2.0
#include "worker/jobs/inspect.h"

#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>

#include "worker/app/commands/commands.h"
#include "worker/app/commands/compare_models.h"
#include "worker/app/commands/human_bytes.h"
#include "worker/app/commands/lint_model.h"
#include "worker/app/commands/synthesize_model.h"
#include "worker/compile/onnx/export.h"
#include "worker/compile/system_compiler.h"

namespace tyllm::app {

namespace {

using jobs::ArtifactInspection;
using jobs::ModelInspection;

void Row(const char* label, const std::string& text) {
  std::printf("%-14s %s\n", label, text.c_str());
}

std::string Number(std::int64_t value) {
  return std::to_string(value);
}

std::string Joined(const std::vector<std::string>& texts, std::size_t most = 8) {
  std::string out;
  for (std::size_t i = 0; i < texts.size() && i < most; ++i) {
    out += (i == 0 ? "" : ", ") + texts[i];
  }
  return texts.size() > most ? out + ", and " + std::to_string(texts.size() - most) + " more" : out;
}

std::string Joined(const std::vector<std::int64_t>& numbers) {
  std::string out;
  for (const std::int64_t number : numbers) {
    out += (out.empty() ? "" : ", ") + std::to_string(number);
  }
  return out;
}

std::string Title(const ModelInspection& m) {
  switch (m.format) {
    case model::CheckpointFormat::kFloat:
      return "a model in floating point";
    case model::CheckpointFormat::kAmtc:
      return "a quantized model, AMTC layout (tyllm convert makes of it what vLLM loads)";
    case model::CheckpointFormat::kAwqGemm:
      return "a quantized model, AWQ GEMM layout";
    case model::CheckpointFormat::kCompressedTensors:
      return "a quantized model, compressed-tensors layout";
    case model::CheckpointFormat::kGptq:
      return "a quantized model, GPTQ layout";
  }
  return {};
}

void PrintQuantization(const ModelInspection& m) {
  if (m.bits == 0) {
    return;
  }
  Row("quantized", Number(m.quantized_linears) + " linear layers, " + Number(m.bits) +
                       " bits, group " + Number(m.group_size));
  Row("in float", m.float_linears.empty() ? "no linear layer" : Joined(m.float_linears));
}

void Print(const ModelInspection& m) {
  std::printf("%s\n", Title(m).c_str());
  Row("family", m.family + " (" + m.architecture + ")");
  Row("parameters", HumanCount(m.parameters) + " (" + Number(m.parameters) + ")");
  Row("shape", Number(m.layers) + " layers, width " + Number(m.width) + ", " + Number(m.heads) +
                   ":" + Number(m.kv_heads) + " heads of " + Number(m.head_size) + ", MLP " +
                   Number(m.intermediate) + ", vocabulary " + Number(m.vocabulary) +
                   (m.tied_head ? ", tied head" : ""));
  Row("positions",
      Number(m.max_positions) +
          (m.sliding_window > 0 ? ", limited by the sliding window of " + Number(m.sliding_window)
                                : ""));
  PrintQuantization(m);
  for (const jobs::DTypeShare& share : m.dtypes) {
    Row(&share == m.dtypes.data() ? "tensors" : "",
        Number(share.tensors) + " " + share.dtype + ", " + HumanBytes(share.bytes));
  }
  Row("weight files",
      Number(static_cast<std::int64_t>(m.weight_files.size())) + ", " + HumanBytes(m.weight_bytes));
  Row("other files", Joined(m.other_files, 20));
  if (m.visual_tensors > 0) {
    Row("visual tower", Number(m.visual_tensors) + " tensors, " + HumanBytes(m.visual_bytes) +
                            ", passed on as they are; the parameters above are the language "
                            "model's");
  }
  if (!m.unused_tensors.empty()) {
    Row("not used", Joined(m.unused_tensors));
  }
}

// "Native programs for the simulator" must never be taken for programs of the chip.
std::string BackendText(const std::string& backend, bool compiled) {
  if (backend == "tytvm") {
    return "tytvm: made by the vendor's toolchain for the silicon, not for the die simulator";
  }
  if (backend != "sim") {
    return backend;
  }
  return compiled ? "sim: native programs for the die simulator, not for the silicon"
                  : "sim: no programs; the die simulator interprets it in float32, the silicon "
                    "cannot run it";
}

void PrintDies(const ArtifactInspection& a) {
  for (const jobs::DieSummary& die : a.die_list) {
    Row(&die == a.die_list.data() ? "dies" : "",
        "die " + Number(die.die) + " on physical die " + Number(die.physical_die) + ": " +
            Number(die.heads) + ":" + Number(die.kv_heads) + " heads, weights " +
            HumanBytes(die.weight_bytes) + ", KV cache " + HumanBytes(die.kv_bytes) + ", arena " +
            HumanBytes(die.arena_bytes));
  }
  if (a.reduce_group > 0 && a.reduce_group < a.dies) {
    Row("", "attention is summed among " + Number(a.reduce_group) + " neighbouring dies");
  }
}

void PrintProvenance(const ArtifactInspection& a) {
  Row("target CPU", a.toolchain.target_cpu.empty() ? "the vendor's" : a.toolchain.target_cpu);
  Row("made by", "tyllm " + a.toolchain.version + ", " + a.toolchain.compiler);
  Row("from", "model " + a.model.digest);
  if (a.measured) {
    char text[160];
    std::snprintf(
        text, sizeof(text),
        "against float32: KL %.3g, best token %.2f %%, largest difference of a logit %.3g",
        a.measured->kl_divergence, 100 * a.measured->top1_agreement,
        a.measured->max_logit_difference);
    Row("measured", text);
  }
}

/// What the programs compute with.
std::string NumbersText(const ArtifactInspection& a) {
  return "head in " + std::string(domain::kHeadNumbersNames.Name(a.head)) + ", activations in " +
         std::string(domain::kActivationNumbersNames.Name(a.activations)) +
         (a.embedding_as_input ? ", embeddings as input" : ", token ids as input");
}

void Print(const ArtifactInspection& a) {
  std::printf("a compiled model for %s %s\n", Number(a.dies).c_str(), a.dies == 1 ? "die" : "dies");
  Row("directory", a.directory);
  Row("back end", BackendText(a.backend, a.toolchain.compiler != compile::kNoCompiler));
  Row("model", a.model.family + " (" + a.model.architecture + "), " + a.model.format +
                   (a.group_size == 0 ? "" : ", group " + Number(a.group_size)));
  Row("buckets", Joined(a.seq_lens) + " tokens, KV cache of " + Number(a.max_kv) + " tokens" +
                     (a.embedding_as_input ? ", takes embeddings" : ""));
  Row("numbers", NumbersText(a));
  for (const jobs::ProgramSummary& program : a.programs) {
    Row(&program == a.programs.data() ? "programs" : "",
        std::string(plan::kProgramKindNames.Name(program.kind)) + ", bucket " +
            Number(program.bucket) + ", arena " + HumanBytes(program.arena_bytes));
  }
  PrintDies(a);
  for (const auto& [module, exceptions] : a.in_12_bits) {
    Row("16 bit in 12", module + ", room for " + Number(exceptions) + " exceptions in 16 rows");
  }
  PrintProvenance(a);
  for (const jobs::FileShare& share : a.files) {
    Row(&share == a.files.data() ? "files" : "",
        Number(share.files) + " " + share.kind + ", " + HumanBytes(share.bytes));
  }
  Row("", HumanBytes(a.total_bytes) + " together");
}

}  // namespace

namespace {

struct Arguments {
  std::optional<Path> directory;
  std::optional<Path> diff;
  std::optional<Path> onnx;
  std::optional<std::string> lint;
  SynthesizeArguments synthesize;
  bool json = false;
};

cli::ExitCode InspectDirectory(const Path& directory, bool json) {
  const auto found = jobs::Inspect(directory);
  if (!found.ok()) {
    return cli::ReportError(found.status(), json);
  }
  if (json) {
    std::visit([](const auto& it) { std::cout << format::PrettyJson(format::ToJson(it)); }, *found);
  } else {
    std::visit([](const auto& it) { Print(it); }, *found);
  }
  return cli::ExitCode::kOk;
}

cli::ExitCode WriteOnnx(const Path& directory, const Path& out, bool json, Invocation& invocation) {
  const auto paths =
      compile::ExportOnnx(LocalFileSystem(), directory, out, *invocation.OpenProgress());
  if (!paths.ok()) {
    return cli::ReportError(paths.status(), json);
  }
  format::Json written = format::Json::array();
  for (const Path& path : *paths) {
    written.push_back(path.string());
    if (!json) {
      std::printf("%s\n", path.c_str());
    }
  }
  if (json) {
    std::cout << format::PrettyJson({{"written", written}});
  }
  return cli::ExitCode::kOk;
}

/// One thing at a time.
Status Check(const Arguments& arguments) {
  if (arguments.directory.has_value() == arguments.synthesize.shape.has_value()) {
    return InvalidArgument(arguments.directory
                               ? "--synthesize writes a model and DIR names one to look at, "
                                 "expected one of the two"
                               : "nothing to look at; give a directory, or --synthesize SHAPE "
                                 "--out DIR to write one");
  }
  if (arguments.lint && arguments.synthesize.shape) {
    return InvalidArgument(
        "--lint looks at a directory, --synthesize writes one; do one after "
        "the other");
  }
  const int others = (arguments.lint ? 1 : 0) + (arguments.diff ? 1 : 0) + (arguments.onnx ? 1 : 0);
  if (others > 1 || (others == 1 && arguments.synthesize.shape)) {
    return InvalidArgument(
        "--lint, --diff, --onnx and --synthesize do different things; name one of them");
  }
  return Check(arguments.synthesize);
}

cli::ExitCode Run(const Arguments& arguments, Invocation& invocation) {
  if (const Status status = Check(arguments); !status.ok()) {
    return cli::ReportError(status, arguments.json);
  }
  if (arguments.synthesize.shape) {
    return SynthesizeModel(arguments.synthesize, arguments.json, invocation);
  }
  if (arguments.diff) {
    return CompareModels(*arguments.diff, *arguments.directory, arguments.json);
  }
  if (arguments.onnx) {
    return WriteOnnx(*arguments.directory, *arguments.onnx, arguments.json, invocation);
  }
  return arguments.lint ? LintModel(*arguments.directory, *arguments.lint, arguments.json)
                        : InspectDirectory(*arguments.directory, arguments.json);
}

}  // namespace

void DeclareInspect(cli::CommandSpec& spec, Invocation& invocation) {
  auto arguments = std::make_shared<Arguments>();
  SynthesizeArguments& synthesize = arguments->synthesize;
  spec.options = {
      {"DIR", "DIR", "a model directory, or a compiled model", &arguments->directory},
      {"--lint", "READER", "say what a program will make of a model: vllm", &arguments->lint},
      {"--diff", "DIR", "compare two compiled models: --diff A B", &arguments->diff},
      {"--onnx", "OUT", "write the text model of a compiled one as ONNX into folder OUT",
       &arguments->onnx},
      {"--synthesize", "SHAPE", "write a random model of a published shape (tyllm models)",
       &synthesize.shape},
      {"--out", "DIR", "where --synthesize writes; must not exist", &synthesize.out},
      {"--layers", "N", "decoder layers of --synthesize; default: all", &synthesize.layers},
      {"--quantized", "", "layout of the 4-bit layers of --synthesize; default: float16",
       synthesize.QuantizedChoice()},
      {"--json", "", "print one JSON document", &arguments->json},
  };
  spec.description =
      "Says what a directory is: a model in floating point, a quantized one, or a compiled one. "
      "Headers and small files are read and checked, weights are not. With --lint: whether another "
      "program will load it. With --synthesize: writes a model with random weights.";
  spec.examples = {"tyllm inspect Qwen3-1.7B",
                   "tyllm inspect Qwen3-1.7B-AOT_96_4096/4die --json",
                   "tyllm inspect Qwen3-1.7B-AWQ --lint vllm",
                   "tyllm inspect --diff Qwen3-1.7B-AOT_96_4096 Qwen3-1.7B-AOT_96_8192",
                   "tyllm inspect Qwen3-1.7B-AOT_96_4096 --onnx graphs",
                   "tyllm inspect --synthesize Qwen3-8B --out random-8b --quantized awq"};
  spec.run = [arguments, &invocation] { return Run(*arguments, invocation); };
}

}  // namespace tyllm::app
