// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/cli/command.h"
#include "worker/app/invocation.h"

/// The commands of `tyllm`: one file and one row each (docs/howto/add-command.md).
namespace tyllm::app {

void DeclareBench(cli::CommandSpec& spec, Invocation& invocation);
void DeclareCompile(cli::CommandSpec& spec, Invocation& invocation);
void DeclareConvert(cli::CommandSpec& spec, Invocation& invocation);
void DeclareDevices(cli::CommandSpec& spec, Invocation& invocation);
void DeclareEvaluate(cli::CommandSpec& spec, Invocation& invocation);
void DeclareInspect(cli::CommandSpec& spec, Invocation& invocation);
void DeclareModels(cli::CommandSpec& spec, Invocation& invocation);
void DeclareQuantize(cli::CommandSpec& spec, Invocation& invocation);
void DeclareRun(cli::CommandSpec& spec, Invocation& invocation);
void DeclareTask(cli::CommandSpec& spec, Invocation& invocation);
void DeclareVerify(cli::CommandSpec& spec, Invocation& invocation);

/// In the order of --help. Headings: "Making" for what writes models, "Trying" for what runs them,
/// "Looking" for the rest.
inline constexpr cli::CommandRow<Invocation> kCommands[] = {
    {"quantize", "Making", "turn a float model into a 4-bit one (AWQ)", DeclareQuantize},
    {"convert", "Making", "turn an AMTC model into the layout that vLLM loads", DeclareConvert},
    {"compile", "Making", "compile a model to programs for 1 to 16 dies", DeclareCompile},
    {"evaluate", "Trying", "measure a model: perplexity, comparison, states, greedy text",
     DeclareEvaluate},
    {"run", "Trying", "greedy text of a compiled model, or of a model in float32", DeclareRun},
    {"verify", "Trying", "prove a compiled model: files, logits, chunks", DeclareVerify},
    {"bench", "Trying", "measure a compiled model: tokens a second, and where the time goes",
     DeclareBench},
    {"inspect", "Looking", "say what a model directory or a compiled model is", DeclareInspect},
    {"models", "Looking", "list the model families and published models that are supported",
     DeclareModels},
    {"devices", "Looking", "list what this machine has to compute with", DeclareDevices},
    {"task", "Farm", "carry out one order of a farm's server", DeclareTask},
};

}  // namespace tyllm::app
