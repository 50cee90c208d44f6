// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "common/format/json.h"

namespace tyllm::domain {

/// Who shares the farm. Every job belongs to one; a name that nobody has set up counts as a project
/// of weight 1 without limits.
struct Project {
  std::string name;   ///< CheckProjectName (common/domain/job.h)
  double weight = 1;  ///< of its share of device seconds; more than 0
  // Limits at admission; absent: none.
  std::optional<std::int64_t> max_queued_jobs;  ///< that have not ended
  std::optional<std::int64_t> max_running_tasks;
  std::optional<std::int64_t> max_stored_bytes;  ///< of inputs and outputs, each blob once

  bool operator==(const Project&) const = default;
};

inline constexpr std::string_view kUnknownProjectEtag = "default";

/// Changes whenever something of the project does; kUnknownProjectEtag while it is as one that
/// nobody has set up.
std::string EtagOf(const Project& project);

/// A change of a project. Where it has another etag by now nothing is changed; empty: whatever it
/// is.
struct ProjectChange {
  std::string request_id;  ///< may be empty
  Project project;
  std::string etag;
  std::string by = {};  ///< who asks, as the connection tells; in no message
};

/// What a project gets of the farm.
struct ProjectUse {
  Project project;
  std::int64_t queued_jobs = 0;
  std::int64_t running_tasks = 0;
  std::int64_t stored_bytes = 0;
  double device_seconds = 0;  ///< decayed: what decides who is next
  double share = 0;           ///< of what was used of late, 0 to 1
  double due = 0;             ///< by weight, among the projects that want something
  std::string etag;           ///< of the project

  bool operator==(const ProjectUse&) const = default;
};

struct ProjectQuery {
  std::int64_t page_size = 0;  ///< at most 1000, which is also what 0 means
  std::string page_token;      ///< from the last page; empty: the first
};

struct ProjectPage {
  std::vector<ProjectUse> projects;
  std::string next_page_token;
};

}  // namespace tyllm::domain

template <>
struct tyllm::format::Members<tyllm::domain::Project> {
  using P = tyllm::domain::Project;
  static constexpr auto kTable = std::tuple{
      Member{"name", &P::name, true},
      Member{"weight", &P::weight},
      Member{"max_queued_jobs", &P::max_queued_jobs},
      Member{"max_running_tasks", &P::max_running_tasks},
      Member{"max_stored_bytes", &P::max_stored_bytes},
  };
};

template <>
struct tyllm::format::Members<tyllm::domain::ProjectUse> {
  using U = tyllm::domain::ProjectUse;
  static constexpr auto kTable = std::tuple{
      Member{"project", &U::project},
      Member{"queued_jobs", &U::queued_jobs},
      Member{"running_tasks", &U::running_tasks},
      Member{"stored_bytes", &U::stored_bytes},
      Member{"device_seconds", &U::device_seconds},
      Member{"share", &U::share},
      Member{"due", &U::due},
      Member{"etag", &U::etag},
  };
};
