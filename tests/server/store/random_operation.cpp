// SPDX-License-Identifier: Apache-2.0
#include "tests/server/store/random_operation.h"

#include "tests/server/store/samples.h"

namespace tyllm::server::store {

namespace {

// Of a tree that tasks make, whichever way and how often it is made.
std::int64_t BytesOf(const BlobId& tree) {
  return static_cast<std::int64_t>(DigestOf(tree.ToString()).Hex()[0]);
}

}  // namespace

std::int64_t RandomOperations::Below(std::int64_t limit) {
  return std::uniform_int_distribution<std::int64_t>(0, limit - 1)(random_);
}

AttemptId RandomOperations::AnyAttempt(Queue& queue) {
  const auto held = queue.AllHeld();
  if (held->empty() || Below(10) == 0) {
    return {TaskId{Below(20) + 1}, static_cast<domain::Attempt>(Below(3) + 1)};
  }
  return (*held)[static_cast<std::size_t>(Below(static_cast<std::int64_t>(held->size())))].id;
}

TaskId RandomOperations::AnyTask(Queue& queue, std::int64_t now) {
  const auto candidates = AllCandidates(queue, now);
  if (candidates.empty() || Below(10) == 0) {
    return TaskId{Below(20) + 1};
  }
  const auto last = std::min<std::int64_t>(5, static_cast<std::int64_t>(candidates.size()));
  return candidates[static_cast<std::size_t>(Below(last))].id;
}

WorkerSession RandomOperations::AnyWorker() {
  return {"w" + std::to_string(Below(3)), "s" + std::to_string(Below(3))};
}

NewJob RandomOperations::AnyJob(const std::string& request_id) {
  constexpr domain::JobKind kKinds[] = {domain::JobKind::kQuantize, domain::JobKind::kConvert,
                                        domain::JobKind::kEvaluate, domain::JobKind::kCompile,
                                        domain::JobKind::kPipeline};
  if (variety_ == Variety::kCrowded) {
    NewJob job = SampleJob(request_id, domain::JobKind::kQuantize, 1);
    job.spec.no_cache = Below(6) == 0;
    job.spec.model = SampleTree("model" + std::to_string(Below(2)));
    job.spec.project = "p" + std::to_string(Below(2));
    job.spec.priority = static_cast<std::int32_t>(Below(2));
    job.plan = domain::PlanJob(job.spec);
    return job;
  }
  NewJob job = SampleJob(request_id, kKinds[Below(5)], Below(2) + 1);
  job.spec.no_cache = Below(2) == 0;
  job.spec.model = SampleTree("model" + std::to_string(Below(3)));
  job.spec.project = "p" + std::to_string(Below(3));
  job.spec.priority = static_cast<std::int32_t>(Below(2));
  job.spec.job_class = static_cast<domain::JobClass>(Below(2));
  if (Below(3) == 0) {
    job.spec.requirements = {{"cpus", domain::MatchRule::kMinimum, std::to_string(Below(2))}};
  }
  job.plan = domain::PlanJob(job.spec);
  return job;
}

std::string RandomOperations::AnyCaller() {
  const std::int64_t number = Below(3);
  return number == 0 ? "" : "caller" + std::to_string(number);
}

NewJob RandomOperations::Anybodys(NewJob job) {
  job.submitted_by = AnyCaller();
  job.by = AnyCaller();
  if (Below(3) == 0) {
    job.spec.start_within_ms = 10 + Below(400);
  }
  return job;
}

Operation RandomOperations::Submit(std::int64_t now) {
  const std::int64_t number = Below(10) == 0 && requests_ > 0 ? Below(requests_) : requests_++;
  const NewJob job = Anybodys(AnyJob("r" + std::to_string(number)));
  return {"submit r" + std::to_string(number), [job, now](Queue& queue) -> Status {
            const auto known = queue.FindRequest(job.request_id);
            TYLLM_TRY(known.status());
            if (*known) {
              return OkStatus();
            }
            TYLLM_ASSIGN(const domain::JobView made, queue.EnqueueAndShow(job, now));
            TYLLM_ASSIGN(const domain::JobView read, queue.GetJob(made.id));
            if (made != read) {
              return Internal("the new job was shown otherwise than it is read");
            }
            return queue.AddTree(made.id, job.spec.model, 100);
          }};
}

Operation RandomOperations::Start(Queue& queue, std::int64_t now) {
  const TaskId task = AnyTask(queue, now);
  const WorkerSession worker = AnyWorker();
  const auto lanes = queue.Lanes(now);
  const sched::Reasons why{.lane = lanes.ok() && !lanes->empty() ? lanes->back().id : 0,
                           .charge = Below(100),
                           .waited_ms = Below(100'000),
                           .inputs = 2,
                           .inputs_there = Below(3),
                           .others = Below(5)};
  return {"start " + task.ToString() + " on " + worker.worker,
          [=](Queue& any) { return any.StartAttempt(task, worker, now, why).status(); }};
}

Operation RandomOperations::Succeed(Queue& queue, std::int64_t now) {
  const AttemptId id = AnyAttempt(queue);
  const std::int64_t number = Below(1000);
  const BlobId output = SampleTree("output" + std::to_string(number));
  const std::int64_t bytes = BytesOf(output);
  if (Below(2) == 0) {
    Completed made{output, bytes, Below(4) == 0 ? "0.9" : "1.0"};
    const bool knows_key = Below(2) == 0;
    return {"complete " + id.ToString(), [=](Queue& any) mutable -> Status {
              if (const auto lease = any.GetLease(id); knows_key && lease.ok()) {
                made.key = domain::ActionKey(lease->spec, lease->inputs, made.toolchain_version);
              }
              TYLLM_ASSIGN(const bool current, any.Complete(id, made, now));
              return current ? OkStatus() : Aborted(id.ToString() + " is not current");
            }};
  }
  return {"succeed " + id.ToString(), [=](Queue& any) -> Status {
            TYLLM_ASSIGN(const Lease lease, any.GetLease(id));
            const Sha256 key = domain::ActionKey(lease.spec, lease.inputs, "1.0");
            TYLLM_ASSIGN(const std::optional<HeldTask> held, any.FindHeld(id));
            if (held && held->state == domain::TaskState::kLeased) {
              TYLLM_TRY(any.AddTree(lease.job, output, bytes));
            }
            return any.Succeed(id, output, key, now);
          }};
}

Operation RandomOperations::End(Queue& queue, std::int64_t now) {
  constexpr sched::Ending kEndings[] = {sched::Ending::kFailed, sched::Ending::kLeaseLost,
                                        sched::Ending::kStalled, sched::Ending::kDeadline,
                                        sched::Ending::kReturned};
  const AttemptId id = AnyAttempt(queue);
  const sched::Ending ending = kEndings[Below(5)];
  sched::Verdict verdict = Below(4) == 0 ? GivenUp() : Again(Below(50));
  verdict.needs_gpu_memory = Below(4) == 0 ? Below(1000) : 0;
  return {"end " + id.ToString(),
          [=](Queue& any) { return any.EndAttempt(id, ending, verdict, now); }};
}

Operation RandomOperations::Checkpoint(Queue& queue, std::int64_t now) {
  if (Below(8) == 0) {
    const std::int64_t earlier = now - Below(100);
    return {"correct the times of what is queued",
            [=](Queue& any) { return any.CorrectTimes(earlier); }};
  }
  if (Below(8) == 0) {
    const std::int64_t before = now - Below(500);
    return {"forget old checkpoints",
            [=](Queue& any) { return any.ForgetCheckpoints(before).status(); }};
  }
  const AttemptId id = AnyAttempt(queue);
  if (Below(8) == 0) {
    return {"forget the checkpoint of " + id.task.ToString(),
            [=](Queue& any) { return any.ForgetCheckpoint(id.task); }};
  }
  const domain::Checkpoint checkpoint{.tree = SampleTree("part" + std::to_string(Below(1000))),
                                      .stage = "pack"};
  return {"checkpoint of " + id.ToString(),
          [=](Queue& any) { return any.KeepCheckpoint(id, checkpoint, now); }};
}

Operation RandomOperations::OfResults(Queue& queue, std::int64_t now) {
  if (Below(6) == 0) {
    const domain::ResultSelection which{
        .worker = Below(2) == 0 ? AnyWorker().worker : std::string(),
        .made_before_unix_ms = Below(2) == 0 ? now - Below(1000) : 0,
        .unknown_maker = Below(2) == 0};
    return {"forget results of '" + which.worker + "'", [=](Queue& any) -> Status {
              TYLLM_TRY(any.LookAtResults(which, 0, 1'000'000, true).status());
              return any.LookAtUnfinished(which, true).status();
            }};
  }
  const auto hits = queue.CacheHits({.limit = 1});
  if (Below(4) > 0 || hits->empty()) {
    return {"use the cache", [=](Queue& any) -> Status {
              TYLLM_ASSIGN(const std::vector<CacheHit> found, any.CacheHits({.limit = 1}));
              if (found.empty()) {
                return OkStatus();
              }
              TYLLM_TRY(any.SucceedFromCache(found[0], now));
              return any.AddTree(found[0].job, found[0].output, BytesOf(found[0].output));
            }};
  }
  const Sha256 key = hits->front().key;
  return {"forget a result", [=](Queue& any) { return any.ForgetAction(key); }};
}

Operation RandomOperations::Compiler(Queue& queue, std::int64_t now) {
  if (Below(3) == 0) {
    const TaskId task = AnyTask(queue, now);
    return {"fail " + task.ToString(),
            [=](Queue& any) { return any.FailQueued(task, SampleFailure("COMPILER_GONE"), now); }};
  }
  const JobId job{Below(std::max<std::int64_t>(1, requests_)) + 1};
  const std::string compiler = "cc " + std::to_string(Below(2));
  return {"compiler of " + job.ToString(),
          [=](Queue& any) { return any.SetCompiler(job, compiler, now).status(); }};
}

// What is asked of a job by its number: cancelling it, another priority; or it is given up.
Operation RandomOperations::Change(std::int64_t now) {
  const JobId job{Below(std::max<std::int64_t>(1, requests_)) + 1};
  const std::string by = AnyCaller();
  switch (Below(6)) {
    case 0: {
      const auto priority = static_cast<std::int32_t>(Below(3));
      return {"priority of " + job.ToString(), [=](Queue& any) -> Status {
                TYLLM_TRY(any.SetPriority(job, priority));
                return any.NoteChange(job, "another priority", by, now);
              }};
    }
    case 1:
    case 2:
    case 3:
      return {"give up what has not begun", [=](Queue& any) -> Status {
                TYLLM_ASSIGN(const std::vector<JobId> late, any.Unstarted(now, 0, 2));
                for (const JobId one : late) {
                  TYLLM_TRY(any.GiveUp(one, SampleFailure("NOT_STARTED"), now).status());
                }
                return OkStatus();
              }};
    default:
      return {"cancel " + job.ToString(),
              [=](Queue& any) { return any.CancelJob(job, by, now).status(); }};
  }
}

Operation RandomOperations::Next(Queue& queue, std::int64_t now) {
  switch (Below(20)) {
    case 0:
    case 1:
      return Submit(now);
    case 2:
    case 3:
    case 4:
    case 5:
      return Start(queue, now);
    case 6:
    case 7:
    case 8:
      return Succeed(queue, now);
    case 9:
    case 10:
      return End(queue, now);
    case 11:
      return Change(now);
    case 12: {
      const AttemptId id = AnyAttempt(queue);
      return {"stopped " + id.ToString(), [=](Queue& any) { return any.EndCancelled(id, now); }};
    }
    case 13: {
      const AttemptId id = AnyAttempt(queue);
      const std::string session = AnyWorker().session;
      return {"adopt " + id.ToString(), [=](Queue& any) { return any.Adopt(id, session); }};
    }
    case 14:
    case 15:
      return Checkpoint(queue, now);
    case 16:
      return OfResults(queue, now);
    case 17: {
      const JobId job{Below(std::max<std::int64_t>(1, requests_)) + 1};
      return {"delete " + job.ToString(), [=](Queue& any) { return any.DeleteJob(job).status(); }};
    }
    case 18:
      return Compiler(queue, now);
    default: {
      const WorkerSession worker = AnyWorker();
      domain::Capabilities capabilities;
      capabilities.slots = static_cast<std::int32_t>(Below(4));
      capabilities.gpus = static_cast<std::int32_t>(Below(2));
      const domain::Project project{.name = "p" + std::to_string(Below(4)),
                                    .weight = static_cast<double>(Below(5) + 1),
                                    .max_running_tasks = Below(9)};
      const domain::ModeOrder order{static_cast<domain::WorkerMode>(Below(4)), "r", AnyCaller()};
      return {"session " + worker.session + " of " + worker.worker, [=](Queue& any) -> Status {
                TYLLM_TRY(any.StartSession(worker, capabilities, now));
                TYLLM_TRY(any.SetProject(project));
                return any.SetWorkerMode(worker.worker, order);
              }};
    }
  }
}

}  // namespace tyllm::server::store
