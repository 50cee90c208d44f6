// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "common/base/digest.h"
#include "common/wire/jobs.h"
#include "common/wire/workers.h"

// Messages of the farm with something in every field.
namespace tyllm::wire {

BlobId Blob(const std::string& content);
domain::QuantizeOptions Quantize();
domain::CompileOptions Compile();
domain::EvaluateOptions Evaluation();
domain::TaskSpec Spec();
domain::Progress SomeProgress();
domain::Failure SomeFailure();
domain::Requirement SomeRequirement();
domain::Checkpoint SomeCheckpoint();
domain::Pending SomePending();
domain::JobSpec FullJobSpec();
domain::TaskView FullTask();
domain::JobView FullJob();
domain::Capabilities FullCapabilities();
domain::HeldAttempt Held(domain::Outcome outcome);

}  // namespace tyllm::wire
