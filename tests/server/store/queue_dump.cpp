// SPDX-License-Identifier: Apache-2.0
#include "tests/server/store/queue_dump.h"

#include <sstream>

namespace tyllm::server::store {

namespace {

std::ostream& operator<<(std::ostream& out, const domain::TaskView& task) {
  out << "  " << task.id.ToString() << " " << task.label << " "
      << domain::kTaskStateNames.Name(task.state) << " attempt " << task.attempt << " worker '"
      << task.worker << "' output " << (task.output ? task.output->ToString() : "-") << " failure "
      << (task.failure ? task.failure->reason : "-") << " cached " << task.cached << " times "
      << task.queued_unix_ms << " " << task.started_unix_ms << " " << task.ended_unix_ms << "\n";
  return out;
}

void DumpJob(Queue& queue, const domain::JobView& job, std::ostream& out) {
  out << job.id.ToString() << " " << job.spec.name << " " << domain::kJobStateNames.Name(job.state)
      << " failure " << (job.failure ? job.failure->reason : "-") << " times "
      << job.created_unix_ms << " " << job.ended_unix_ms << " last " << job.last_event << "\n";
  for (const domain::TaskView& task : job.tasks) {
    out << task;
  }
  for (const auto& [name, tree] : job.outputs) {
    out << "  output " << name << " " << tree.ToString() << "\n";
  }
  const auto events = queue.EventsAfter(job.id, 0, 1000);
  for (const domain::JobEvent& event : *events) {
    out << "  event " << event.number << " " << event.unix_ms << " "
        << domain::kJobStateNames.Name(event.job_state);
    if (event.task) {
      out << " " << event.task->id.ToString() << " "
          << domain::kTaskStateNames.Name(event.task->state) << " " << event.task->attempt;
    }
    out << "\n";
  }
}

void DumpTasks(Queue& queue, std::int64_t now, std::ostream& out) {
  const auto held = queue.AllHeld();
  for (const HeldTask& task : *held) {
    out << "held " << task.id.ToString() << " " << task.holder.worker << "/" << task.holder.session
        << " spent " << task.spent.failures << " " << task.spent.losses << " since "
        << task.started_unix_ms << "\n";
    if (task.state == domain::TaskState::kLeased) {
      const auto lease = queue.GetLease(task.id);
      if (lease->checkpoint) {
        out << "  checkpoint " << lease->checkpoint->tree.ToString() << "\n";
      }
      for (const auto& [name, tree] : lease->inputs) {
        out << "  input " << name << " " << tree.ToString() << "\n";
      }
    }
  }
  const auto candidates = queue.Candidates(now, 1000);
  for (const sched::Candidate& candidate : *candidates) {
    out << "candidate " << candidate.id.ToString() << " "
        << (candidate.shared_key ? candidate.shared_key->Hex() : "-");
    for (const std::string& worker : candidate.lost_by) {
      out << " lost by " << worker;
    }
    out << "\n";
  }
  const auto hits = queue.CacheHits(1000);
  for (const CacheHit& hit : *hits) {
    out << "hit " << hit.task.ToString() << " " << hit.output.ToString() << "\n";
  }
}

}  // namespace

std::string Dump(Queue& queue, std::int64_t now) {
  std::ostringstream out;
  const auto jobs = queue.ListJobs({.before = {}, .states = {}, .limit = 1'000'000});
  for (const domain::JobView& job : *jobs) {
    DumpJob(queue, *queue.GetJob(job.id), out);
  }
  DumpTasks(queue, now, out);
  const auto workers = queue.ListWorkers();
  for (const WorkerRecord& worker : *workers) {
    out << "worker " << worker.name << " " << worker.session << " "
        << domain::kWorkerModeNames.Name(worker.order.mode) << worker.order.reason << " slots "
        << worker.capabilities.slots << " seen " << worker.last_seen_unix_ms << "\n";
  }
  const auto counts = queue.CountJobs();
  for (const auto& [state, count] : *counts) {
    out << domain::kJobStateNames.Name(state) << " " << count << "\n";
  }
  return out.str();
}

}  // namespace tyllm::server::store
