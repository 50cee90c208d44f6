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
      << task.queued_unix_ms << " " << task.started_unix_ms << " " << task.ended_unix_ms
      << " device seconds " << task.device_seconds << "\n";
  return out;
}

void DumpJob(Queue& queue, const domain::JobView& job, std::ostream& out) {
  out << job.id.ToString() << " " << job.spec.name << " " << domain::kJobStateNames.Name(job.state)
      << " failure " << (job.failure ? job.failure->reason : "-") << " times "
      << job.created_unix_ms << " " << job.ended_unix_ms << " start by " << job.start_by_unix_ms
      << " last " << job.last_event << " of '" << job.submitted_by << "'\n";
  for (const domain::TaskView& task : job.tasks) {
    out << task;
    const auto decisions = queue.Decisions(task.id);
    for (const domain::Decision& decision : *decisions) {
      out << "  decision " << decision.unix_ms << " " << decision.text << "\n";
    }
  }
  for (const auto& [name, tree] : job.outputs) {
    out << "  output " << name << " " << tree.ToString() << "\n";
  }
  const auto events = queue.EventsAfter(job.id, 0, 1000);
  for (const domain::JobEvent& event : *events) {
    out << "  event " << event.number << " " << event.unix_ms << " "
        << domain::kJobStateNames.Name(event.job_state) << " '" << event.by << "'";
    if (event.task) {
      out << " " << event.task->id.ToString() << " "
          << domain::kTaskStateNames.Name(event.task->state) << " " << event.task->attempt;
    }
    out << "\n";
  }
}

void DumpLane(Queue& queue, const sched::Lane& lane, std::int64_t now, std::ostream& out) {
  out << "lane " << lane.id << " " << lane.key.project << " "
      << domain::kJobClassNames.Name(lane.key.job_class) << " " << lane.key.priority << " "
      << domain::kTaskKindNames.Name(lane.key.needs.kind);
  for (const domain::Requirement& one : lane.key.needs.requirements) {
    out << " " << one.property << " " << one.value;
  }
  out << " oldest " << lane.oldest_job.ToString() << " since " << lane.oldest_queued_ms
      << " before j3 " << *queue.CountBefore(lane.id, JobId{3}, 2) << "\n";
  const auto candidates = queue.Candidates(lane.id, now, 1000);
  for (const sched::Candidate& candidate : *candidates) {
    out << "  candidate " << candidate.id.ToString() << " due " << candidate.due_ms << " "
        << (candidate.shared_key ? candidate.shared_key->Hex() : "-");
    for (const std::string& worker : candidate.lost_by) {
      out << " lost by " << worker;
    }
    for (const std::string& worker : candidate.failed_on) {
      out << " failed on " << worker;
    }
    for (const BlobId& tree : candidate.inputs) {
      out << " " << tree.ToString();
    }
    out << "\n";
  }
}

void DumpProjects(Queue& queue, std::int64_t now, std::ostream& out) {
  const auto projects = queue.ListProjects();
  for (const ProjectRecord& one : *projects) {
    out << "project " << one.project.name << " " << one.project.weight << " limit "
        << one.project.max_running_tasks.value_or(-1) << " used " << one.used_seconds << " at "
        << one.used_at_ms << " of " << one.total_seconds << " stored " << one.stored_bytes
        << " jobs " << one.queued_jobs << "\n";
  }
  const auto shares = queue.Shares(now);
  out << "interactive " << shares->interactive_tasks << "\n";
  for (const auto& [name, share] : shares->projects) {
    out << "share " << name << " " << share.weight << " used " << share.used_seconds << " running "
        << share.running_tasks << " " << share.running_seconds << " " << share.running_rate << "\n";
  }
}

void DumpPending(Queue& queue, JobId job, std::ostream& out) {
  const auto tasks = queue.Pending(job);
  for (const PendingRecord& task : *tasks) {
    out << "  pending " << task.id.ToString() << " lane " << task.lane << " not before "
        << task.not_before_ms << " joined " << (task.joined ? task.joined->ToString() : "-");
    for (const std::string& label : task.waits_for) {
      out << " needs " << label;
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
  const auto lanes = queue.Lanes(now);
  for (const sched::Lane& lane : *lanes) {
    DumpLane(queue, lane, now, out);
  }
  const auto hits = queue.CacheHits({.limit = 1000});
  for (const CacheHit& hit : *hits) {
    out << "hit " << hit.task.ToString() << " " << hit.output.ToString() << "\n";
  }
}

}  // namespace

std::string Dump(Queue& queue, std::int64_t now) {
  std::ostringstream out;
  const auto jobs = queue.ListJobs({.after = {}, .states = {}, .limit = 1'000'000});
  for (const domain::JobView& job : *jobs) {
    DumpJob(queue, *queue.GetJob(job.id), out);
    if (!IsFinal(job.state)) {
      DumpPending(queue, job.id, out);
    }
  }
  DumpTasks(queue, now, out);
  DumpProjects(queue, now, out);
  const auto workers = queue.ListWorkers();
  for (const WorkerRecord& worker : *workers) {
    out << "worker " << worker.name << " " << worker.session << " "
        << domain::kWorkerModeNames.Name(worker.order.mode) << worker.order.reason << " by '"
        << worker.order.by << "' slots " << worker.capabilities.slots << " seen "
        << worker.last_seen_unix_ms << "\n";
  }
  out << "not begun in time:";
  const auto unstarted = queue.Unstarted(now, 0, 1000);
  for (const JobId job : *unstarted) {
    out << " " << job.ToString();
  }
  out << "\n";
  const auto counts = queue.CountJobs();
  for (const auto& [state, count] : *counts) {
    out << domain::kJobStateNames.Name(state) << " " << count << "\n";
  }
  return out.str();
}

}  // namespace tyllm::server::store
