// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tuple>

#include "common/domain/views.h"
#include "common/domain/worker_sync.h"
#include "common/format/json.h"

// JSON of what the server shows: `tyllm-client --json` and the server's pages.

template <>
struct tyllm::format::Members<tyllm::domain::TaskView> {
  using V = tyllm::domain::TaskView;
  static constexpr auto kTable = std::tuple{
      Member{"id", &V::id},
      Member{"label", &V::label},
      Member{"kind", &V::kind},
      Member{"state", &V::state},
      Member{"attempt", &V::attempt},
      Member{"worker", &V::worker},
      Member{"progress", &V::progress},
      Member{"output", &V::output},
      Member{"failure", &V::failure},
      Member{"cached", &V::cached},
      Member{"queued_unix_ms", &V::queued_unix_ms},
      Member{"started_unix_ms", &V::started_unix_ms},
      Member{"ended_unix_ms", &V::ended_unix_ms},
      Member{"pending", &V::pending},
      Member{"checkpoint", &V::checkpoint},
      Member{"device_seconds", &V::device_seconds},
  };
};

template <>
struct tyllm::format::Members<tyllm::domain::JobView> {
  using V = tyllm::domain::JobView;
  static constexpr auto kTable = std::tuple{
      Member{"id", &V::id},
      Member{"spec", &V::spec},
      Member{"state", &V::state},
      Member{"tasks", &V::tasks},
      Member{"outputs", &V::outputs},
      Member{"failure", &V::failure},
      Member{"created_unix_ms", &V::created_unix_ms},
      Member{"ended_unix_ms", &V::ended_unix_ms},
      Member{"last_event", &V::last_event},
      Member{"etag", &V::etag},
      Member{"project", &V::project},
      Member{"priority", &V::priority},
      Member{"labels", &V::labels},
      Member{"retry_of", &V::retry_of},
      Member{"expected_end_unix_ms", &V::expected_end_unix_ms},
      Member{"submitted_by", &V::submitted_by},
      Member{"start_by_unix_ms", &V::start_by_unix_ms},
  };
};

template <>
struct tyllm::format::Members<tyllm::domain::JobEvent> {
  using V = tyllm::domain::JobEvent;
  static constexpr auto kTable = std::tuple{
      Member{"number", &V::number},       Member{"unix_ms", &V::unix_ms}, Member{"text", &V::text},
      Member{"job_state", &V::job_state}, Member{"task", &V::task},       Member{"by", &V::by},
  };
};

template <>
struct tyllm::format::Members<tyllm::domain::Bench> {
  using B = tyllm::domain::Bench;
  static constexpr auto kTable = std::tuple{
      Member{"failures", &B::failures},
      Member{"reason", &B::reason},
      Member{"until_unix_ms", &B::until_unix_ms},
  };
};

template <>
struct tyllm::format::Members<tyllm::domain::WorkerView> {
  using V = tyllm::domain::WorkerView;
  static constexpr auto kTable = std::tuple{
      Member{"name", &V::name},
      Member{"capabilities", &V::capabilities},
      Member{"online", &V::online},
      Member{"order", &V::order},
      Member{"last_seen_unix_ms", &V::last_seen_unix_ms},
      Member{"session", &V::session},
      Member{"bench", &V::bench},
      Member{"tasks", &V::tasks},
  };
};
