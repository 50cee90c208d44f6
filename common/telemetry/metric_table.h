// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "common/base/enum_table.h"

namespace tyllm::telemetry {

/// Every metric that a program of this project exports, in the order of kMetrics.
enum class Metric : std::uint8_t {
  kJobs,
  kTasks,
  kQueueOldestAge,
  kQueueWait,
  kJobsSubmitted,
  kJobsEnded,
  kAttemptsStarted,
  kAttemptsEnded,
  kAttemptsLost,
  kStageSeconds,
  kLeases,
  kFencedCalls,
  kCacheHits,
  kCacheMerged,
  kCacheMisses,
  kLogBytes,
  kWorkers,
  kWorkerHeartbeatAge,
  kProjectDeviceSeconds,
  kProjectShare,
  kProjectShareDue,
  kUnsatisfiableTasks,
  kRpcs,
  kRpcSeconds,
  kBlobBytes,
  kBlobResumes,
  kBlobStoreBytes,
  kStoreHealthy,
  kStoreCommitSeconds,
  kStoreOperationsPerCommit,
  kStoreWalBytes,
  kStoreDatabaseBytes,
  kInvariantViolations,
  kDataFreeBytes,
  kBackupAge,
  kCertificateRemaining,
  kStartTime,
  kBuildInfo,
};

enum class MetricType : std::uint8_t { kCounter, kGauge, kHistogram };

inline constexpr EnumTable<MetricType, 3> kMetricTypeNames(
    "metric type", {{{MetricType::kCounter, "counter"},
                     {MetricType::kGauge, "gauge"},
                     {MetricType::kHistogram, "histogram"}}});

constexpr const auto& NamesOf(MetricType) {
  return kMetricTypeNames;
}

/// A label and, where they are few and known, its values.
struct MetricLabel {
  constexpr MetricLabel() = default;

  // NOLINTNEXTLINE(google-explicit-constructor): a row says {"state"}
  constexpr MetricLabel(const char* name_of_it, std::span<const std::string_view> all = {})
      : name(name_of_it), values(all) {}

  std::string_view name;                     ///< empty: none
  std::span<const std::string_view> values;  ///< in the order of appearance; empty: any
};

/// Upper limits of a histogram's buckets.
inline constexpr std::array kShortSeconds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                          0.25,  0.5,    1.0,   2.5,  5.0,   10.0, 30.0};
inline constexpr std::array kLongSeconds{0.1,   1.0,    5.0,     15.0,    60.0,   300.0,
                                         900.0, 3600.0, 14400.0, 43200.0, 86400.0};
inline constexpr std::array kSmallCounts{1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0};

inline constexpr std::array<std::string_view, 2> kAttemptOutcomes{"succeeded", "failed"};
inline constexpr std::array<std::string_view, 3> kLossReasons{"lease_lost", "stalled", "late"};
inline constexpr std::array<std::string_view, 2> kFencingMethods{"WorkerService.Sync",
                                                                 "WorkerService.AppendLog"};
inline constexpr std::array<std::string_view, 2> kDirections{"in", "out"};
inline constexpr std::array<std::string_view, 2> kClasses{"batch", "interactive"};
inline constexpr std::array<std::string_view, 5> kKinds{"quantize", "convert", "evaluate",
                                                        "compile_die", "assemble"};

struct MetricRow {
  Metric metric;
  MetricType type;
  std::string_view name;
  std::string_view help;
  std::array<MetricLabel, 3> labels{};
  std::span<const double> buckets = kShortSeconds;  ///< of a histogram
};

/// The one table: names are made nowhere else. Base units; few label values.
inline constexpr std::array kMetrics{
    MetricRow{Metric::kJobs, MetricType::kGauge, "tyllm_jobs", "Jobs by state.", {"state"}},
    MetricRow{Metric::kTasks,
              MetricType::kGauge,
              "tyllm_tasks",
              "Tasks of jobs that have not ended, by state.",
              {"state"}},
    MetricRow{Metric::kQueueOldestAge,
              MetricType::kGauge,
              "tyllm_queue_oldest_age_seconds",
              "How long the oldest queued task of a class of jobs has been due; 0 without one.",
              {MetricLabel{"class", kClasses}}},
    MetricRow{
        Metric::kQueueWait,
        MetricType::kHistogram,
        "tyllm_queue_wait_seconds",
        "How long tasks had been due when a worker got them, by kind; a pause after a failure "
        "is no waiting.",
        {"kind"},
        kLongSeconds},
    MetricRow{Metric::kJobsSubmitted, MetricType::kCounter, "tyllm_jobs_submitted_total",
              "Jobs accepted."},
    MetricRow{Metric::kJobsEnded,
              MetricType::kCounter,
              "tyllm_jobs_ended_total",
              "Jobs that have ended, by kind, state and, of those that failed, whose turn it is "
              "(else none).",
              {"kind", "state", "blame"}},
    MetricRow{Metric::kAttemptsStarted, MetricType::kCounter, "tyllm_attempts_started_total",
              "Attempts leased to workers."},
    MetricRow{Metric::kAttemptsEnded,
              MetricType::kCounter,
              "tyllm_attempts_ended_total",
              "Attempts whose worker reported the end, by outcome: succeeded, failed.",
              {MetricLabel{"outcome", kAttemptOutcomes}}},
    MetricRow{Metric::kAttemptsLost,
              MetricType::kCounter,
              "tyllm_attempts_lost_total",
              "Attempts that the server ended, by reason: lease_lost (the worker is gone), stalled "
              "(no progress), late (attempt deadline).",
              {MetricLabel{"reason", kLossReasons}}},
    MetricRow{Metric::kStageSeconds,
              MetricType::kHistogram,
              "tyllm_stage_seconds",
              "Time that attempts which succeeded were in a stage, by kind of task and stage.",
              {"kind", "stage"},
              kLongSeconds},
    MetricRow{Metric::kLeases, MetricType::kGauge, "tyllm_leases",
              "Attempts that workers hold now."},
    MetricRow{
        Metric::kFencedCalls,
        MetricType::kCounter,
        "tyllm_fenced_calls_total",
        "What was said of attempts that are not their task's current one, refused, by method.",
        {MetricLabel{"method", kFencingMethods}}},
    MetricRow{Metric::kCacheHits,
              MetricType::kCounter,
              "tyllm_cache_hits_total",
              "Tasks whose output was there when they were queued, by kind.",
              {MetricLabel{"kind", kKinds}}},
    MetricRow{Metric::kCacheMerged,
              MetricType::kCounter,
              "tyllm_cache_merged_total",
              "Tasks that waited for another one's run of the same action and got its output, by "
              "kind.",
              {MetricLabel{"kind", kKinds}}},
    MetricRow{Metric::kCacheMisses,
              MetricType::kCounter,
              "tyllm_cache_misses_total",
              "Tasks that might have used a result and had to run, by kind.",
              {MetricLabel{"kind", kKinds}}},
    MetricRow{Metric::kLogBytes, MetricType::kCounter, "tyllm_log_bytes_total",
              "Log bytes of attempts, stored."},
    MetricRow{Metric::kWorkers,
              MetricType::kGauge,
              "tyllm_workers",
              "Workers by state: online, drained (online, gets nothing new), benched (online, its "
              "machine "
              "fails what it gets), offline.",
              {"state"}},
    MetricRow{Metric::kWorkerHeartbeatAge, MetricType::kGauge, "tyllm_worker_heartbeat_age_seconds",
              "How long ago the worker called that has been silent longest, of those that are "
              "online; 0 without one."},
    MetricRow{
        Metric::kProjectDeviceSeconds,
        MetricType::kCounter,
        "tyllm_project_device_seconds_total",
        "Device-seconds of a project's attempts that have ended (a second of a worker without "
        "GPU counts less).",
        {"project"}},
    MetricRow{Metric::kProjectShare,
              MetricType::kGauge,
              "tyllm_project_share",
              "Part of what was used of late that a project got, 0 to 1.",
              {"project"}},
    MetricRow{Metric::kProjectShareDue,
              MetricType::kGauge,
              "tyllm_project_share_due",
              "Part that is due to it by weight, among the projects with jobs that have not ended.",
              {"project"}},
    MetricRow{Metric::kUnsatisfiableTasks, MetricType::kGauge, "tyllm_unsatisfiable_tasks",
              "Queued tasks that no worker that is online could take."},
    MetricRow{Metric::kRpcs,
              MetricType::kCounter,
              "tyllm_rpcs_total",
              "Calls answered, by method and gRPC code.",
              {"method", "code"}},
    MetricRow{Metric::kRpcSeconds,
              MetricType::kHistogram,
              "tyllm_rpc_seconds",
              "Time from a call's start to its answer, by method. Long polls and streams wait.",
              {"method"}},
    MetricRow{Metric::kBlobBytes,
              MetricType::kCounter,
              "tyllm_blob_bytes_total",
              "Bytes of blobs, by direction: in (uploads), out (downloads).",
              {MetricLabel{"direction", kDirections}}},
    MetricRow{Metric::kBlobResumes, MetricType::kCounter, "tyllm_blob_resumes_total",
              "Uploads that went on where an earlier one had stopped."},
    MetricRow{Metric::kBlobStoreBytes, MetricType::kGauge, "tyllm_blob_store_bytes",
              "Bytes of complete blobs."},
    MetricRow{Metric::kStoreHealthy, MetricType::kGauge, "tyllm_store_healthy",
              "1 while the queue's file accepts changes, else 0."},
    MetricRow{Metric::kStoreCommitSeconds, MetricType::kHistogram, "tyllm_store_commit_seconds",
              "Time of a transaction of the queue, its disk sync included."},
    MetricRow{Metric::kStoreOperationsPerCommit,
              MetricType::kHistogram,
              "tyllm_store_operations_per_commit",
              "Operations that shared a transaction.",
              {},
              kSmallCounts},
    MetricRow{Metric::kStoreWalBytes, MetricType::kGauge, "tyllm_store_wal_bytes",
              "Bytes of the queue's write-ahead log, the part that is free to be written over "
              "included."},
    MetricRow{Metric::kStoreDatabaseBytes, MetricType::kGauge, "tyllm_store_database_bytes",
              "Bytes of the queue's file, without its write-ahead log."},
    MetricRow{Metric::kInvariantViolations, MetricType::kGauge, "tyllm_invariant_violations",
              "Rows of running and waiting tasks that break a rule of the queue; to be 0 always."},
    MetricRow{Metric::kDataFreeBytes, MetricType::kGauge, "tyllm_data_free_bytes",
              "Free bytes of the file system that holds the data folder."},
    MetricRow{Metric::kBackupAge, MetricType::kGauge, "tyllm_backup_age_seconds",
              "How old the newest complete backup of the data folder is, counted from the copy of "
              "the queue in it; +Inf without one."},
    MetricRow{
        Metric::kCertificateRemaining, MetricType::kGauge, "tyllm_certificate_remaining_seconds",
        "Time until the first certificate of the server's chain expires, below 0 when it has; "
        "+Inf without TLS."},
    MetricRow{Metric::kStartTime, MetricType::kGauge, "tyllm_start_time_seconds",
              "When the server started, in seconds since 1970."},
    MetricRow{Metric::kBuildInfo,
              MetricType::kGauge,
              "tyllm_build_info",
              "1, with the version as a label.",
              {"version"}},
};

constexpr const MetricRow& RowOf(Metric metric) {
  return kMetrics[static_cast<std::size_t>(metric)];
}

}  // namespace tyllm::telemetry
