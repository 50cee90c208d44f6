// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "client/cli/session.h"
#include "common/cli/command.h"

/// The commands of `tyllm-client`: one function and one row each (docs/howto/add-command.md).
namespace tyllm::client {

void DeclareSubmitQuantize(cli::CommandSpec& spec, Session& session);
void DeclareSubmitConvert(cli::CommandSpec& spec, Session& session);
void DeclareSubmitEvaluate(cli::CommandSpec& spec, Session& session);
void DeclareSubmitCompile(cli::CommandSpec& spec, Session& session);
void DeclareSubmitPipeline(cli::CommandSpec& spec, Session& session);
void DeclareList(cli::CommandSpec& spec, Session& session);
void DeclareStatus(cli::CommandSpec& spec, Session& session);
void DeclareWatch(cli::CommandSpec& spec, Session& session);
void DeclareLogs(cli::CommandSpec& spec, Session& session);
void DeclareCancel(cli::CommandSpec& spec, Session& session);
void DeclareFetch(cli::CommandSpec& spec, Session& session);
void DeclareWorkers(cli::CommandSpec& spec, Session& session);

/// In the order of --help.
inline constexpr cli::CommandRow<Session> kCommands[] = {
    {"submit pipeline", "Jobs", "quantize, convert, evaluate and compile a model",
     DeclareSubmitPipeline},
    {"submit quantize", "Jobs", "quantize a model", DeclareSubmitQuantize},
    {"submit convert", "Jobs", "convert a quantized checkpoint to what vLLM loads",
     DeclareSubmitConvert},
    {"submit evaluate", "Jobs", "measure a model's perplexity", DeclareSubmitEvaluate},
    {"submit compile", "Jobs", "compile a model for 1 to 4 dies", DeclareSubmitCompile},
    {"list", "Jobs", "list jobs, newest first", DeclareList},
    {"status", "Jobs", "show one job with its tasks", DeclareStatus},
    {"watch", "Jobs", "follow a job to its end", DeclareWatch},
    {"logs", "Jobs", "print the log of a task", DeclareLogs},
    {"cancel", "Jobs", "end a job", DeclareCancel},
    {"fetch", "Jobs", "fetch a job's outputs, verified; goes on where it stopped", DeclareFetch},
    {"workers", "Farm", "list the workers", DeclareWorkers},
};

}  // namespace tyllm::client
