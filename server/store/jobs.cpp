// SPDX-License-Identifier: Apache-2.0
#include "server/store/jobs.h"

#include "common/domain/validation.h"
#include "server/store/rows_json.h"
#include "server/store/spec_text.h"

namespace tyllm::server::store::jobs {

namespace {

using domain::JobState;

constexpr Sql kInsert{
    "INSERT INTO jobs(state, kind, created_ms, project, priority, job_class, retry_of, "
    "last_event, submitted_by, start_by_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"};
constexpr Sql kInsertTexts{"INSERT INTO job_texts(job, spec, outputs) VALUES(?1, ?2, ?3)"};
constexpr Sql kSetLabels{"UPDATE jobs SET labels = ?2 WHERE id = ?1"};
constexpr Sql kGet{TYLLM_JOB_COLUMNS "WHERE id = ?1"};
constexpr Sql kStanding{
    "SELECT state, cancel_asked, last_event, kind, "
    "CASE WHEN ?2 THEN json_extract(failure, '$.blame') END, start_by_ms IS NOT NULL "
    "FROM jobs WHERE id = ?1"};
constexpr Sql kCount{"SELECT state, count(*) FROM jobs GROUP BY state"};
constexpr Sql kAskCancel{"UPDATE jobs SET cancel_asked = 1 WHERE id = ?1"};
constexpr Sql kSetPriority{"UPDATE jobs SET priority = ?2 WHERE id = ?1"};
constexpr Sql kEndedBefore{
    "SELECT id FROM jobs CROSS JOIN job_texts ON job = id WHERE ended_ms < ?1 AND NOT EXISTS("
    "SELECT 1 FROM json_each(coalesce(labels, json_extract(spec, '$.labels'))) WHERE key = ?3) "
    "ORDER BY ended_ms, id LIMIT ?2"};
constexpr Sql kDelete[] = {
    {"DELETE FROM job_events WHERE job = ?1"},
    {"DELETE FROM decisions WHERE task IN (SELECT id FROM tasks WHERE job = ?1)"},
    {"DELETE FROM attempts WHERE task IN (SELECT id FROM tasks WHERE job = ?1)"},
    {"DELETE FROM tasks WHERE job = ?1"},
    {"DELETE FROM job_texts WHERE job = ?1"},
    // Trees go one by one, so that what the project stores is counted down.
    {"DELETE FROM job_trees WHERE job = ?1"},
    {"DELETE FROM jobs WHERE id = ?1"},
};
constexpr Sql kSetFailure{"UPDATE jobs SET failure = coalesce(failure, ?2) WHERE id = ?1"};
constexpr Sql kLiftStartLimit{"UPDATE jobs SET start_by_ms = NULL WHERE id = ?1"};
constexpr Sql kAdvance{
    "UPDATE jobs SET state = ?2, last_event = ?3, ended_ms = CASE WHEN ?2 >= 3 THEN ?4 END "
    "WHERE id = ?1"};

Status NoJob(JobId id) {
  return NotFound("there is no job " + id.ToString() +
                  "; `tyllm-client list` shows those that are");
}

}  // namespace

Result<Row> Read(const Rows& rows) {
  Row row;
  row.id = JobId{rows.Integer(0)};
  TYLLM_ASSIGN(row.state, EnumColumn<JobState>(rows.Integer(1)));
  row.cancel_asked = rows.Integer(2) != 0;
  row.spec = rows.Text(3);
  row.outputs = rows.Text(4);
  if (!rows.IsNull(5)) {
    row.failure = rows.Text(5);
  }
  row.created_ms = rows.Integer(6);
  row.ended_ms = rows.Integer(7);
  row.last_event = rows.Integer(8);
  row.project = rows.Text(9);
  row.priority = static_cast<std::int32_t>(rows.Integer(10));
  if (!rows.IsNull(11)) {
    row.retry_of = JobId{rows.Integer(11)};
  }
  if (!rows.IsNull(12)) {
    row.labels = rows.Text(12);
  }
  if (!rows.IsNull(13)) {
    row.submitted_by = rows.Text(13);
  }
  if (!rows.IsNull(14)) {
    row.start_by_ms = rows.Integer(14);
  }
  return row;
}

Result<JobId> Insert(Database& db, const NewJob& job, const Beginning& beginning,
                     std::int64_t now) {
  const domain::JobSpec& spec = job.spec;
  std::optional<std::int64_t> retry_of;
  if (job.retry_of) {
    retry_of = job.retry_of->value;
  }
  TYLLM_TRY(db.Change(kInsert, beginning.state, spec.kind, now, spec.project, spec.priority,
                      spec.job_class, retry_of, beginning.last_event, beginning.submitted_by,
                      beginning.start_by_ms)
                .status());
  const JobId id{db.last_insert_id()};
  TYLLM_TRY(db.Change(kInsertTexts, id.value, SpecText(spec), ToColumn(job.plan.outputs)).status());
  return id;
}

Result<Row> Get(Database& db, JobId id) {
  TYLLM_ASSIGN(Rows rows, db.Query(kGet, id.value));
  TYLLM_ASSIGN(const bool found, rows.Next());
  return found ? Read(rows) : NoJob(id);
}

Result<Standing> StandingOf(Database& db, JobId id, bool ends) {
  TYLLM_ASSIGN(Rows rows, db.Query(kStanding, id.value, ends));
  TYLLM_ASSIGN(const bool found, rows.Next());
  if (!found) {
    return NoJob(id);
  }
  Standing standing;
  TYLLM_ASSIGN(standing.state, EnumColumn<JobState>(rows.Integer(0)));
  standing.cancel_asked = rows.Integer(1) != 0;
  standing.last_event = rows.Integer(2);
  TYLLM_ASSIGN(standing.kind, EnumColumn<domain::JobKind>(rows.Integer(3)));
  if (!rows.IsNull(4)) {
    TYLLM_ASSIGN(standing.blame, domain::kBlameNames.Parse(rows.Text(4)));
  }
  standing.has_start_limit = rows.Integer(5) != 0;
  return standing;
}

Result<std::map<JobState, std::int64_t>> Count(Database& db) {
  std::map<JobState, std::int64_t> counts;
  for (const auto& [state, name] : domain::kJobStateNames.rows()) {
    counts[state] = 0;
  }
  TYLLM_ASSIGN(Rows rows, db.Query(kCount));
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return counts;
    }
    TYLLM_ASSIGN(const JobState state, EnumColumn<JobState>(rows.Integer(0)));
    counts[state] = rows.Integer(1);
  }
}

Status AskCancel(Database& db, JobId id) {
  return db.ChangeOne(id.ToString(), kAskCancel, id.value);
}

Status SetPriority(Database& db, JobId id, std::int32_t priority) {
  return db.ChangeOne(id.ToString(), kSetPriority, id.value, priority);
}

Status SetLabels(Database& db, JobId id, const std::map<std::string, std::string>& labels) {
  return db.ChangeOne(id.ToString(), kSetLabels, id.value, ToColumn(labels));
}

Result<std::vector<JobId>> EndedBefore(Database& db, std::int64_t before, std::int64_t limit) {
  TYLLM_ASSIGN(Rows rows, db.Query(kEndedBefore, before, limit, domain::kKeepLabel));
  std::vector<JobId> ids;
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return ids;
    }
    ids.push_back(JobId{rows.Integer(0)});
  }
}

Status Delete(Database& db, JobId id) {
  for (const Sql& sql : kDelete) {
    TYLLM_TRY(db.Change(sql, id.value).status());
  }
  return OkStatus();
}

Status SetFailure(Database& db, JobId id, const domain::Failure& failure) {
  return db.ChangeOne(id.ToString(), kSetFailure, id.value, ToColumn(failure));
}

Status LiftStartLimit(Database& db, JobId id) {
  return db.ChangeOne(id.ToString(), kLiftStartLimit, id.value);
}

Status Advance(Database& db, JobId id, JobState state, std::int64_t last_event, std::int64_t now) {
  return db.ChangeOne(id.ToString(), kAdvance, id.value, state, last_event, now);
}

Result<domain::JobView> ToView(const Row& row) {
  domain::JobView view;
  view.id = row.id;
  TYLLM_ASSIGN(view.spec, FromColumn<domain::JobSpec>(row.spec, "jobs.spec"));
  view.state = row.state;
  if (row.failure) {
    TYLLM_ASSIGN(view.failure, FromColumn<domain::Failure>(*row.failure, "jobs.failure"));
  }
  view.created_unix_ms = row.created_ms;
  view.ended_unix_ms = row.ended_ms;
  view.last_event = row.last_event;
  view.project = row.project;
  view.priority = row.priority;
  view.retry_of = row.retry_of;
  view.submitted_by = row.submitted_by;
  view.start_by_unix_ms = row.start_by_ms.value_or(0);
  view.labels = view.spec.labels;
  if (row.labels) {
    using Labels = std::map<std::string, std::string>;
    TYLLM_ASSIGN(view.labels, FromColumn<Labels>(*row.labels, "jobs.labels"));
  }
  return view;
}

}  // namespace tyllm::server::store::jobs
