// SPDX-License-Identifier: Apache-2.0
#include "common/cli/task_option_rows.h"

#include <vector>

namespace tyllm::cli {

namespace {

void Append(CommandSpec& spec, std::vector<Option> rows) {
  for (Option& row : rows) {
    spec.options.push_back(std::move(row));
  }
}

}  // namespace

void AddOptions(CommandSpec& spec, domain::QuantizeOptions& options) {
  Append(
      spec,
      {
          {"--method", "", "how weights are rounded",
           OneOf(domain::kQuantizeMethodNames, &options.method)},
          {"--group-size", "N", "inputs that share a scale and a zero point", &options.group_size},
          {"--samples", "N", "calibration sequences", &options.samples},
          {"--seq-len", "N", "tokens of each calibration sequence", &options.seq_len},
          {"--calibration-column", "NAME",
           "member of JSON lines that holds the text or the messages; default: the first of text, "
           "messages, conversations, content",
           &options.calibration.column},
          {"--concat,!--no-concat", "",
           "documents follow one another and are cut every --seq-len tokens; otherwise each one "
           "begins anew and sees no other",
           &options.calibration.concat},
          {"--pad", "", "with --no-concat: each sample holds a piece of one document only",
           &options.calibration.pad},
          {"--isolate-documents", "", "attention does not cross from one document into another",
           &options.calibration.isolate_documents},
          {"--chat-template", "", "write documents as conversations in the model's chat format",
           &options.calibration.chat_template},
          {"--seed", "N", "shuffle the documents by N; 0: take them in their order",
           &options.calibration.seed},
          {"--image-weight", "W",
           "what a token of an image counts for in calibration, where one of text counts for 1",
           &options.calibration.image_weight},
          {"--clip,!--no-clip", "", "search for clipped ranges of the weights", &options.clip},
          {"--propagate,!--no-propagate", "",
           "awq+gptq: let each layer make good what those before it lost", &options.propagate},
          {"--keep-float", "REGEX",
           "leave linear layers whose name matches in 16-bit float; repeatable",
           &options.keep_float},
          {"--format", "",
           "layout of the output: amtc is the vendor's, awq and compressed-tensors load in vLLM",
           OneOf(domain::kQuantizedFormatNames, &options.format)},
      });
}

void AddOptions(CommandSpec& spec, domain::ConvertOptions& options) {
  Append(spec, {{"--quant-type", "", "layout to convert to",
                 OneOf(domain::kQuantizedFormatNames, &options.quant_type)}});
}

void AddMedia(CommandSpec& spec, const MediaNames& names, std::vector<std::string>& images,
              std::vector<std::string>& videos) {
  Append(spec, {{names.image, "FILE",
                 "PNG, JPEG or WebP that the prompts are about; may be repeated", &images},
                {names.video, "PATH",
                 "a video file, or a folder with one image a frame; may be repeated", &videos}});
}

Option VideoRate(std::optional<double>& frames_per_second) {
  return {"--video-fps", "N",
          "frames a second of videos, of which some are chosen; without it all are used",
          &frames_per_second};
}

void AddOptions(CommandSpec& spec, domain::ChatOptions& options) {
  Append(spec, {{"--chat", "", "take the prompt as a message, in the model's chat format",
                 &options.enabled},
                {"--system", "TEXT", "system message before it, with --chat", &options.system},
                {"--thinking,!--no-thinking", "", "let a model that thinks do so before it answers",
                 &options.thinking}});
}

void AddOptions(CommandSpec& spec, domain::EvaluateOptions& options) {
  AddOptions(spec, options.chat);
  Append(spec,
         {
             {"--window", "N", "tokens of each window of the text", &options.window},
             {"--max-windows", "N", "use only the first N windows; 0 is the whole text",
              &options.max_windows},
             {"--shots", "N", "answered examples before each question, 0 to 5", &options.shots},
             {"--max-questions", "N", "only the first N questions of each subject; 0 is all",
              &options.max_questions},
             {"--answers", "", "how a question is answered: by the likeliest letter, in text",
              OneOf(domain::kAnswerModeNames, &options.answers)},
             {"--answer-tokens", "N", "tokens of an answer in text", &options.answer_tokens},
             {"--prompt", "TEXT", "text to continue, greedily; repeatable", &options.prompts},
             {"--max-tokens", "N", "tokens to generate after each prompt", &options.max_tokens},
             {"--stop,!--no-stop", "", "end texts at the model's end tokens", &options.stop},
             VideoRate(options.video_fps),
             {"--fail-if", "CONDITION",
              "fail when it holds of the report, e.g. 'perplexity_increase>0.05'; repeatable",
              &options.fail_if},
         });
}

void AddOptions(CommandSpec& spec, domain::CompileOptions& options) {
  Append(
      spec,
      {
          {"--dies", "N", "dies that compute together, 1 to 16", &options.dies},
          {"--seq-lens", "LIST",
           "token counts to make programs for: 1 decodes, the largest prefills", &options.seq_lens},
          {"--max-kv", "N", "tokens that the KV cache holds", &options.max_kv},
          {"--embedding-as-input", "", "the host looks embeddings up; the programs take them",
           &options.embedding_as_input},
          {"--lm-die-remap", "LIST16", "physical die of each logical one, exactly 16 numbers",
           &options.lm_die_remap},
          {"--keep-source", "", "keep the generated C++ beside the programs", &options.keep_source},
          {"--target-cpu", "NAME", "instruction set of the programs", &options.target_cpu},
          {"--attention-dies", "N", "dies that share the heads; 0: chosen",
           &options.attention_dies},
          {"--reduce-group", "N",
           "neighbouring dies that sum attention among themselves; 0: all of them",
           &options.reduce_group},
          {"--target", "",
           "sim: programs for the die simulator; tytvm: the vendor's toolchain, for the silicon",
           OneOf(domain::kCompileTargetNames, &options.target)},
          {"--head", "", "numbers of a head that is not quantized: smaller and faster, or exact",
           OneOf(domain::kHeadNumbersNames, &options.head)},
          {"--activations", "", "numbers that quantized weights are multiplied with",
           OneOf(domain::kActivationNumbersNames, &options.activations)},
          {"--image", "WxH", "of a model that sees: size of the images that it is compiled for",
           &options.visual.image},
          {"--modality", "", "of a model that sees: what it looks at",
           OneOf(domain::kModalityNames, &options.visual.modality)},
          {"--frames", "N", "of a video", &options.visual.frames},
          {"--vm-die-remap", "LIST16", "physical die of each logical one for the visual tower",
           &options.visual.vm_die_remap},
          {"--text-only", "", "of a model that sees: only its language model",
           &options.visual.text_only},
          {"--no-tokenizer", "", "the model has no tokenizer.json", &options.no_tokenizer},
      });
}

}  // namespace tyllm::cli
