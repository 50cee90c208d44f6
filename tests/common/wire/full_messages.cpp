// SPDX-License-Identifier: Apache-2.0
#include "tests/common/wire/full_messages.h"

#include <utility>

namespace tyllm::wire {

BlobId Blob(const std::string& content) {
  return {DigestOf(content), content.size()};
}

domain::QuantizeOptions Quantize() {
  return {domain::QuantizeMethod::kRtn,
          64,
          12,
          256,
          true,
          false,
          {".*visual", "lm_head"},
          domain::QuantizedFormat::kAwq,
          {domain::CalibrationSet::kBuiltin, "body", false, true, true, true, 7}};
}

domain::CompileOptions Compile() {
  domain::CompileOptions options{3,    {1, 8, 96}, 1024, true, {},
                                 true, "native",   2,    3,    domain::CompileTarget::kTytvm};
  options.head = domain::HeadNumbers::kInt8;
  options.activations = domain::ActivationNumbers::kInt8;
  options.visual = {"640x360",
                    domain::Modality::kVideo,
                    6,
                    {2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
                    true};
  options.no_tokenizer = true;
  options.lm_die_remap = {0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  return options;
}

domain::EvaluateOptions Evaluation() {
  return {.window = 256,
          .max_windows = 9,
          .shots = 5,
          .max_questions = 12,
          .answers = domain::AnswerMode::kBoth,
          .answer_tokens = 3,
          .prompts = {"The river", "and"},
          .max_tokens = 7,
          .fail_if = {"perplexity_increase>0.05", "choice.model.accuracy<0.3"},
          .chat = {true, "You are terse.", false},
          .stop = false,
          .video_fps = 2.5};
}

domain::TaskSpec Spec() {
  return {domain::TaskKind::kCompileDie,
          "demo",
          Quantize(),
          {domain::QuantizedFormat::kAwq},
          Evaluation(),
          Compile(),
          2,
          "cc 1"};
}

domain::Progress SomeProgress() {
  return {"calibrate", 3, 12, "layers", "layer 3 of 12"};
}

domain::Failure SomeFailure() {
  domain::Failure failure{
      domain::Blame::kModel, "NAN_WEIGHTS", "layer 3 has NaN", "quantize", 1, 9, true, "tail"};
  failure.out_of_memory = domain::MemoryKind::kGpu;
  failure.action = "take a smaller model";
  failure.worker = "gpu1";
  failure.attempt = 2;
  failure.log_bytes = 4096;
  return failure;
}

domain::Requirement SomeRequirement() {
  return {"gpu_memory_bytes", domain::MatchRule::kMinimum, "80000000000"};
}

domain::Checkpoint SomeCheckpoint() {
  return {Blob("checkpoint"), "quantize", 7, 28, 1234};
}

domain::Pending SomePending() {
  domain::Pending pending;
  pending.reason = domain::PendingReason::kNoWorker;
  pending.message = "no worker has 80 GB";
  pending.position = 3;
  pending.eligible_workers = 2;
  pending.free_workers = 1;
  pending.shortfalls = {{SomeRequirement(), "24000000000"}};
  pending.joined = domain::TaskId{8};
  pending.not_before_unix_ms = 99;
  pending.expected_wait_ms = 5000;
  return pending;
}

domain::JobSpec FullJobSpec() {
  domain::JobSpec spec;
  spec.kind = domain::JobKind::kEvaluate;
  spec.name = "demo";
  spec.labels = {{"team", "npu"}, {"ci", "yes"}};
  spec.model = Blob("model");
  spec.calibration = Blob("calibration");
  spec.text = Blob("text");
  spec.reference = Blob("reference");
  spec.quantize = Quantize();
  spec.convert = {domain::QuantizedFormat::kAmtc};
  spec.questions = Blob("questions");
  spec.visual_questions = Blob("visual questions");
  spec.images = {Blob("one"), Blob("two")};
  spec.videos = {Blob("film")};
  spec.tokenizer = Blob("tokenizer");
  spec.evaluate = Evaluation();
  spec.compile = Compile();
  spec.no_cache = true;
  spec.project = "vision";
  spec.priority = -3;
  spec.job_class = domain::JobClass::kInteractive;
  spec.requirements = {SomeRequirement()};
  spec.start_within_ms = 600'000;
  return spec;
}

domain::TaskView FullTask() {
  domain::TaskView task;
  task.id = {7};
  task.label = "compile.die2";
  task.kind = domain::TaskKind::kCompileDie;
  task.state = domain::TaskState::kFailed;
  task.attempt = 3;
  task.worker = "gpu1";
  task.progress = SomeProgress();
  task.output = Blob("output");
  task.failure = SomeFailure();
  task.cached = true;
  task.queued_unix_ms = 1;
  task.started_unix_ms = 2;
  task.ended_unix_ms = 3;
  task.pending = SomePending();
  task.checkpoint = SomeCheckpoint();
  task.device_seconds = 1.5;
  return task;
}

domain::JobView FullJob() {
  domain::JobView job;
  job.id = {42};
  job.spec = FullJobSpec();
  job.state = domain::JobState::kFailed;
  job.tasks = {FullTask(), FullTask()};
  job.outputs = {{"model", Blob("m")}, {"artifact", Blob("a")}};
  job.failure = SomeFailure();
  job.created_unix_ms = 5;
  job.ended_unix_ms = 6;
  job.last_event = 7;
  job.etag = "7-abc";
  job.project = "vision";
  job.priority = 5;
  job.labels = {{"team", "npu"}};
  job.retry_of = domain::JobId{41};
  job.expected_end_unix_ms = 8;
  job.submitted_by = "ada";
  job.start_by_unix_ms = 9;
  return job;
}

domain::Capabilities FullCapabilities() {
  domain::Capabilities capabilities{"cuda", 80, 90, 16, 2, "0.1.0", {{"zone", "a"}}};
  capabilities.gpu_memory_bytes = 70;
  capabilities.gpus = 2;
  capabilities.gpu = "H100";
  capabilities.dies = 4;
  capabilities.kinds = {domain::TaskKind::kQuantize, domain::TaskKind::kAssemble};
  capabilities.cache_bytes = 60;
  capabilities.tools = {{"sim-x86_64", "cc 1"}};
  return capabilities;
}

domain::HeldAttempt Held(domain::Outcome outcome) {
  return {{{7}, 2},
          SomeProgress(),
          1234,
          std::move(outcome),
          SomeCheckpoint(),
          {1, 2, 3, 4},
          {{"fetch", 1500}, {"upload", 20}},
          true};
}

}  // namespace tyllm::wire
