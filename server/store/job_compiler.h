// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "server/store/ground.h"

// What makes the programs of a job (docs/adr/0153-one-compiler-a-job.md). Operations of Queue.
namespace tyllm::server::store {

Result<bool> SetCompiler(const Ground& ground, JobId job, const std::string& compiler,
                         std::int64_t now);

Status FailQueued(const Ground& ground, TaskId task, const domain::Failure& failure,
                  std::int64_t now);

}  // namespace tyllm::server::store
