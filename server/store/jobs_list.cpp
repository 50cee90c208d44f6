// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "server/store/jobs.h"
#include "server/store/rows_json.h"

namespace tyllm::server::store::jobs {

namespace {

using domain::JobOrder;

#define TYLLM_CALLER "(SELECT callers.id FROM callers WHERE name = ?12)"
// ?1 and ?2 are the place to go on after (id and key), ?11 the state of statements that are for
// one. A filter that is not given is NULL and costs nothing.
#define TYLLM_JOB_FILTER                                                                 \
  "(?3 IS NULL OR project = ?3) AND (?4 IS NULL OR instr(?4, ',' || state || ',') > 0) " \
  "AND (?5 IS NULL OR instr(?5, ',' || kind || ',') > 0) "                               \
  "AND (?6 IS NULL OR substr(json_extract(spec, '$.name'), 1, length(?6)) = ?6) "        \
  "AND (?7 IS NULL OR NOT EXISTS(SELECT 1 FROM json_each(?7) AS want WHERE NOT EXISTS("  \
  "SELECT 1 FROM json_each(coalesce(labels, json_extract(spec, '$.labels'))) AS has "    \
  "WHERE has.key = want.key AND (want.value = '' OR has.value = want.value)))) "         \
  "AND created_ms >= ?8 AND (?9 = 0 OR created_ms < ?9) "                                \
  "AND (?12 IS NULL OR submitted_by = " TYLLM_CALLER ") "

// A state's, a project's or somebody's jobs come in order from an index of their own.
constexpr Sql kNewest{TYLLM_JOB_COLUMNS "WHERE id < ?1 AND " TYLLM_JOB_FILTER
                                        "ORDER BY id DESC LIMIT ?10"};
constexpr Sql kNewestOfState{TYLLM_JOB_COLUMNS "WHERE state = ?11 AND id < ?1 AND " TYLLM_JOB_FILTER
                                               "ORDER BY id DESC LIMIT ?10"};
constexpr Sql kNewestOfProject{TYLLM_JOB_COLUMNS
                               "WHERE project = ?3 AND id < ?1 AND " TYLLM_JOB_FILTER
                               "ORDER BY id DESC LIMIT ?10"};
constexpr Sql kNewestOfCaller{TYLLM_JOB_COLUMNS "WHERE submitted_by = " TYLLM_CALLER
                                                " AND id < ?1 AND " TYLLM_JOB_FILTER
                                                "ORDER BY id DESC LIMIT ?10"};
constexpr Sql kOldest{TYLLM_JOB_COLUMNS "WHERE id > ?1 AND " TYLLM_JOB_FILTER
                                        "ORDER BY id LIMIT ?10"};
constexpr Sql kOldestOfState{TYLLM_JOB_COLUMNS "WHERE state = ?11 AND id > ?1 AND " TYLLM_JOB_FILTER
                                               "ORDER BY id LIMIT ?10"};
constexpr Sql kOldestOfProject{TYLLM_JOB_COLUMNS
                               "WHERE project = ?3 AND id > ?1 AND " TYLLM_JOB_FILTER
                               "ORDER BY id LIMIT ?10"};
constexpr Sql kOldestOfCaller{TYLLM_JOB_COLUMNS "WHERE submitted_by = " TYLLM_CALLER
                                                " AND id > ?1 AND " TYLLM_JOB_FILTER
                                                "ORDER BY id LIMIT ?10"};
constexpr Sql kEnded{TYLLM_JOB_COLUMNS
                     "WHERE ended_ms IS NOT NULL AND (ended_ms, id) < (?2, ?1) "
                     "AND " TYLLM_JOB_FILTER "ORDER BY ended_ms DESC, id DESC LIMIT ?10"};
// Most jobs have priority 0: an index leads to the others, and these are in order of their ids.
#define TYLLM_AFTER_PRIORITY \
  "AND priority <= ?2 AND (priority < ?2 OR id > ?1) AND " TYLLM_JOB_FILTER
constexpr Sql kHighPriority{TYLLM_JOB_COLUMNS
                            "WHERE priority > 0 AND priority <> 0 " TYLLM_AFTER_PRIORITY
                            "ORDER BY priority DESC, id LIMIT ?10"};
constexpr Sql kUsualPriority{
    TYLLM_JOB_COLUMNS
    "WHERE priority = 0 AND ?2 >= 0 AND id > iif(?2 = 0, ?1, 0) AND " TYLLM_JOB_FILTER
    "ORDER BY id LIMIT ?10"};
constexpr Sql kLowPriority{TYLLM_JOB_COLUMNS
                           "WHERE priority < 0 AND priority <> 0 " TYLLM_AFTER_PRIORITY
                           "ORDER BY priority DESC, id LIMIT ?10"};
#undef TYLLM_AFTER_PRIORITY

// ",a,b,": what instr looks for a name in.
template <typename E, typename Text>
std::optional<std::string> Listed(const std::vector<E>& values, const Text& text) {
  if (values.empty()) {
    return std::nullopt;
  }
  std::string all = ",";
  for (const E value : values) {
    all += std::string(text(value)) + ",";
  }
  return all;
}

std::optional<std::string> Given(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

JobPosition FirstOf(JobOrder order) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const bool rises = order == JobOrder::kOldest || order == JobOrder::kPriority;
  return {.key = kMost, .id = JobId{rises ? 0 : kMost}};
}

std::vector<Row> FirstOf(std::vector<Row> rows, std::int64_t limit) {
  if (std::ssize(rows) > limit) {
    rows.erase(rows.begin() + limit, rows.end());
  }
  return rows;
}

/// One listing: its parameters are bound the same way to every statement.
class Listing {
 public:
  Listing(Database& db, const JobFilter& filter)
      : db_(db),
        filter_(filter),
        after_(filter.after.value_or(FirstOf(filter.order))),
        project_(Given(filter.project)),
        kinds_(Listed(filter.kinds,
                      [](domain::JobKind kind) { return std::to_string(static_cast<int>(kind)); })),
        name_(Given(filter.name_prefix)),
        caller_(Given(filter.submitted_by)) {
    if (!filter.labels.empty()) {
      labels_ = ToColumn(filter.labels);
    }
  }

  Status Run(const Sql& sql, std::optional<domain::JobState> state, std::vector<Row>& found) {
    std::optional<std::string> states;
    if (!state) {
      states = Listed(filter_.states,
                      [](domain::JobState one) { return std::to_string(static_cast<int>(one)); });
    }
    TYLLM_ASSIGN(Rows rows, db_.Query(sql, after_.id.value, after_.key, project_, states, kinds_,
                                      name_, labels_, filter_.created_from_ms,
                                      filter_.created_before_ms, filter_.limit, state, caller_));
    while (true) {
      TYLLM_ASSIGN(const bool more, rows.Next());
      if (!more) {
        return OkStatus();
      }
      TYLLM_ASSIGN(Row row, Read(rows));
      found.push_back(std::move(row));
    }
  }

  /// Orders by id: of several states, the first of each are merged.
  struct ById {
    const Sql& all;
    const Sql& of_state;
    const Sql& of_project;
    const Sql& of_caller;
  };

  Result<std::vector<Row>> RunById(const ById& order) {
    std::vector<Row> found;
    if (filter_.states.empty()) {
      TYLLM_TRY(Run(caller_    ? order.of_caller
                    : project_ ? order.of_project
                               : order.all,
                    std::nullopt, found));
      return found;
    }
    for (const auto& [state, name] : domain::kJobStateNames.rows()) {
      if (std::find(filter_.states.begin(), filter_.states.end(), state) != filter_.states.end()) {
        TYLLM_TRY(Run(order.of_state, state, found));
      }
    }
    const bool rises = filter_.order == JobOrder::kOldest;
    std::sort(found.begin(), found.end(),
              [&](const Row& a, const Row& b) { return rises ? a.id < b.id : b.id < a.id; });
    return FirstOf(std::move(found), filter_.limit);
  }

 private:
  Database& db_;
  const JobFilter& filter_;
  const JobPosition after_;
  const std::optional<std::string> project_;
  const std::optional<std::string> kinds_;
  const std::optional<std::string> name_;
  const std::optional<std::string> caller_;
  std::optional<std::string> labels_;
};

Result<std::vector<Row>> Find(Database& db, const JobFilter& filter) {
  Listing listing(db, filter);
  std::vector<Row> found;
  switch (filter.order) {
    case JobOrder::kNewest:
      return listing.RunById({kNewest, kNewestOfState, kNewestOfProject, kNewestOfCaller});
    case JobOrder::kOldest:
      return listing.RunById({kOldest, kOldestOfState, kOldestOfProject, kOldestOfCaller});
    case JobOrder::kEnded:
      TYLLM_TRY(listing.Run(kEnded, std::nullopt, found));
      return found;
    case JobOrder::kPriority:
      for (const Sql* const part : {&kHighPriority, &kUsualPriority, &kLowPriority}) {
        if (std::ssize(found) < filter.limit) {
          TYLLM_TRY(listing.Run(*part, std::nullopt, found));
        }
      }
      return FirstOf(std::move(found), filter.limit);
  }
  return Internal("an order of jobs without a statement");
}

}  // namespace

Result<std::vector<domain::JobView>> List(Database& db, const JobFilter& filter) {
  TYLLM_ASSIGN(const std::vector<Row> rows, Find(db, filter));
  std::vector<domain::JobView> views;
  for (const Row& row : rows) {
    TYLLM_ASSIGN(domain::JobView view, ToView(row));
    views.push_back(std::move(view));
  }
  return views;
}

}  // namespace tyllm::server::store::jobs
