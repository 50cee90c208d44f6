// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tuple>

#include "common/domain/explanation.h"
#include "common/domain/validation.h"
#include "common/domain/views_json.h"

// JSON of explanations and forecasts: `tyllm-client --json`.

template <>
struct tyllm::format::Members<tyllm::domain::AttemptRecord> {
  using V = tyllm::domain::AttemptRecord;
  static constexpr auto kTable = std::tuple{
      Member{"attempt", &V::attempt},
      Member{"worker", &V::worker},
      Member{"session", &V::session},
      Member{"started_unix_ms", &V::started_unix_ms},
      Member{"ended_unix_ms", &V::ended_unix_ms},
      Member{"ending", &V::ending},
      Member{"failure", &V::failure},
      Member{"log_bytes", &V::log_bytes},
      Member{"counted", &V::counted},
  };
};

template <>
struct tyllm::format::Members<tyllm::domain::Decision> {
  using V = tyllm::domain::Decision;
  static constexpr auto kTable =
      std::tuple{Member{"unix_ms", &V::unix_ms}, Member{"text", &V::text}};
};

template <>
struct tyllm::format::Members<tyllm::domain::TaskExplanation> {
  using V = tyllm::domain::TaskExplanation;
  static constexpr auto kTable = std::tuple{
      Member{"task", &V::task},
      Member{"needs", &V::needs},
      Member{"inputs", &V::inputs},
      Member{"action_key", &V::action_key},
      Member{"cache", &V::cache},
      Member{"cache_task", &V::cache_task},
      Member{"requirements", &V::requirements},
      Member{"attempts", &V::attempts},
      Member{"decisions", &V::decisions},
  };
};

template <>
struct tyllm::format::Members<tyllm::domain::JobExplanation> {
  using V = tyllm::domain::JobExplanation;
  static constexpr auto kTable = std::tuple{Member{"job", &V::job}, Member{"tasks", &V::tasks}};
};

template <>
struct tyllm::format::Members<tyllm::domain::TaskDetail> {
  using V = tyllm::domain::TaskDetail;
  static constexpr auto kTable = std::tuple{
      Member{"task", &V::task},
      Member{"job", &V::job},
      Member{"spec", &V::spec},
      Member{"inputs", &V::inputs},
      Member{"inputs_known", &V::inputs_known},
      Member{"action_key", &V::action_key},
      Member{"toolchain_version", &V::toolchain_version},
  };
};

template <>
struct tyllm::format::Members<tyllm::domain::Problem> {
  using V = tyllm::domain::Problem;
  static constexpr auto kTable =
      std::tuple{Member{"reason", &V::reason}, Member{"field", &V::field},
                 Member{"message", &V::message}, Member{"missing", &V::missing}};
};

template <>
struct tyllm::format::Members<tyllm::domain::TaskForecast> {
  using V = tyllm::domain::TaskForecast;
  static constexpr auto kTable = std::tuple{
      Member{"label", &V::label},
      Member{"kind", &V::kind},
      Member{"action_key", &V::action_key},
      Member{"cached", &V::cached},
      Member{"joins", &V::joins},
      Member{"eligible_workers", &V::eligible_workers},
      Member{"free_workers", &V::free_workers},
      Member{"shortfalls", &V::shortfalls},
      Member{"expected_run_ms", &V::expected_run_ms},
      Member{"expected_run_low_ms", &V::expected_run_low_ms},
      Member{"expected_run_high_ms", &V::expected_run_high_ms},
      Member{"expected", &V::expected},
  };
};

template <>
struct tyllm::format::Members<tyllm::domain::Validation> {
  using V = tyllm::domain::Validation;
  static constexpr auto kTable = std::tuple{
      Member{"problems", &V::problems},
      Member{"tasks", &V::tasks},
      Member{"expected_wait_ms", &V::expected_wait_ms},
      Member{"expected_run_ms", &V::expected_run_ms},
      Member{"expected_run_low_ms", &V::expected_run_low_ms},
      Member{"expected_run_high_ms", &V::expected_run_high_ms},
  };
};
