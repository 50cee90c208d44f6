// SPDX-License-Identifier: Apache-2.0
#include "server/store/jobs.h"

#include <algorithm>
#include <limits>

#include "server/store/rows_json.h"

namespace tyllm::server::store::jobs {

namespace {

using domain::JobState;

constexpr Sql kInsert{
    "INSERT INTO jobs(state, spec, outputs, created_ms, project, priority, job_class) "
    "VALUES(0, ?1, ?2, ?3, ?4, ?5, ?6)"};
constexpr Sql kGet{
    "SELECT id, state, cancel_asked, spec, outputs, failure, created_ms, ended_ms, last_event "
    "FROM jobs WHERE id = ?1"};
constexpr Sql kList{
    "SELECT id, state, cancel_asked, spec, outputs, failure, created_ms, ended_ms, last_event "
    "FROM jobs WHERE id < ?1 ORDER BY id DESC LIMIT ?2"};
// A state's jobs come in order from its own index; the newest of several states are merged.
constexpr Sql kListByState{
    "SELECT id, state, cancel_asked, spec, outputs, failure, created_ms, ended_ms, last_event "
    "FROM jobs WHERE state = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"};
constexpr Sql kCount{"SELECT state, count(*) FROM jobs GROUP BY state"};
constexpr Sql kAskCancel{"UPDATE jobs SET cancel_asked = 1 WHERE id = ?1"};
constexpr Sql kSetFailure{"UPDATE jobs SET failure = coalesce(failure, ?2) WHERE id = ?1"};
constexpr Sql kAdvance{
    "UPDATE jobs SET state = ?2, last_event = ?3, ended_ms = CASE WHEN ?2 >= 3 THEN ?4 END "
    "WHERE id = ?1"};

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
  return row;
}

Status Collect(Rows& rows, std::vector<Row>& found) {
  while (true) {
    TYLLM_ASSIGN(const bool more, rows.Next());
    if (!more) {
      return OkStatus();
    }
    TYLLM_ASSIGN(Row row, Read(rows));
    found.push_back(std::move(row));
  }
}

}  // namespace

Result<JobId> Insert(Database& db, const domain::JobSpec& spec,
                     const std::map<std::string, std::string>& outputs, std::int64_t now) {
  TYLLM_TRY(db.Change(kInsert, ToColumn(spec), ToColumn(outputs), now, spec.project, spec.priority,
                      spec.job_class)
                .status());
  return JobId{db.last_insert_id()};
}

Result<Row> Get(Database& db, JobId id) {
  TYLLM_ASSIGN(Rows rows, db.Query(kGet, id.value));
  TYLLM_ASSIGN(const bool found, rows.Next());
  if (!found) {
    return NotFound("there is no job " + id.ToString() +
                    "; `tyllm-client list` shows those that are");
  }
  return Read(rows);
}

Result<std::vector<Row>> List(Database& db, const JobFilter& filter) {
  const std::int64_t before =
      filter.before ? filter.before->value : std::numeric_limits<std::int64_t>::max();
  std::vector<Row> found;
  if (filter.states.empty()) {
    TYLLM_ASSIGN(Rows rows, db.Query(kList, before, filter.limit));
    TYLLM_TRY(Collect(rows, found));
    return found;
  }
  for (const auto& [state, name] : domain::kJobStateNames.rows()) {
    if (std::find(filter.states.begin(), filter.states.end(), state) != filter.states.end()) {
      TYLLM_ASSIGN(Rows rows, db.Query(kListByState, state, before, filter.limit));
      TYLLM_TRY(Collect(rows, found));
    }
  }
  std::sort(found.begin(), found.end(), [](const Row& a, const Row& b) { return a.id > b.id; });
  found.resize(std::min(found.size(), static_cast<std::size_t>(filter.limit)));
  return found;
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

Status SetFailure(Database& db, JobId id, const domain::Failure& failure) {
  return db.ChangeOne(id.ToString(), kSetFailure, id.value, ToColumn(failure));
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
  return view;
}

}  // namespace tyllm::server::store::jobs
