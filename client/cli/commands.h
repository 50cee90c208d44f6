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
void DeclareWait(cli::CommandSpec& spec, Session& session);
void DeclareExplain(cli::CommandSpec& spec, Session& session);
void DeclareReproduce(cli::CommandSpec& spec, Session& session);
void DeclareRetry(cli::CommandSpec& spec, Session& session);
void DeclareUpdate(cli::CommandSpec& spec, Session& session);
void DeclareDelete(cli::CommandSpec& spec, Session& session);
void DeclareInfo(cli::CommandSpec& spec, Session& session);
void DeclareWorkers(cli::CommandSpec& spec, Session& session);
void DeclareWorkerCordon(cli::CommandSpec& spec, Session& session);
void DeclareWorkerDrain(cli::CommandSpec& spec, Session& session);
void DeclareWorkerKill(cli::CommandSpec& spec, Session& session);
void DeclareWorkerActivate(cli::CommandSpec& spec, Session& session);
void DeclareWorkerForget(cli::CommandSpec& spec, Session& session);
void DeclareResultsForget(cli::CommandSpec& spec, Session& session);
void DeclareProjects(cli::CommandSpec& spec, Session& session);
void DeclareSetProject(cli::CommandSpec& spec, Session& session);

/// In the order of --help.
inline constexpr cli::CommandRow<Session> kCommands[] = {
    {"submit pipeline", "Jobs", "quantize, convert, evaluate and compile a model",
     DeclareSubmitPipeline},
    {"submit quantize", "Jobs", "quantize a model", DeclareSubmitQuantize},
    {"submit convert", "Jobs", "convert a quantized checkpoint to what vLLM loads",
     DeclareSubmitConvert},
    {"submit evaluate", "Jobs", "measure a model's perplexity", DeclareSubmitEvaluate},
    {"submit compile", "Jobs", "compile a model for 1 to 16 dies", DeclareSubmitCompile},
    {"list", "Jobs", "list jobs, by what is asked for", DeclareList},
    {"status", "Jobs", "show one job with its tasks", DeclareStatus},
    {"watch", "Jobs", "follow a job to its end", DeclareWatch},
    {"wait", "Jobs", "wait for a job's end without a stream", DeclareWait},
    {"explain", "Jobs", "why a job waits or failed", DeclareExplain},
    {"logs", "Jobs", "print the log of a task", DeclareLogs},
    {"cancel", "Jobs", "end a job", DeclareCancel},
    {"retry", "Jobs", "do what is left of a job that failed or was cancelled", DeclareRetry},
    {"update", "Jobs", "change a job's priority or labels", DeclareUpdate},
    {"delete", "Jobs", "remove a job that has ended", DeclareDelete},
    {"fetch", "Jobs", "fetch a job's outputs, verified; goes on where it stopped", DeclareFetch},
    {"reproduce", "Jobs", "write what a task needs to run again here", DeclareReproduce},
    {"info", "Farm", "the server's version, jobs and quotas", DeclareInfo},
    {"workers", "Farm", "list the workers", DeclareWorkers},
    {"worker cordon", "Farm", "give a worker nothing new", DeclareWorkerCordon},
    {"worker drain", "Farm", "give a worker nothing new and let it end", DeclareWorkerDrain},
    {"worker kill", "Farm", "end a worker and hand its tasks back", DeclareWorkerKill},
    {"worker activate", "Farm", "take cordoning back", DeclareWorkerActivate},
    {"worker forget", "Farm", "remove a worker that is gone from the list", DeclareWorkerForget},
    {"results forget", "Farm", "use results of a wrong machine or toolchain no more",
     DeclareResultsForget},
    {"projects", "Farm", "who shares the farm, and what each gets", DeclareProjects},
    {"project", "Farm", "make or change a project", DeclareSetProject},
};

}  // namespace tyllm::client
