// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "common/base/enum_table.h"

namespace tyllm::telemetry {

/// Every metric that a program of this project exports, in the order of kMetrics.
enum class Metric : std::uint8_t {
  kJobs,
  kTasks,
  kQueueOldestAge,
  kJobsSubmitted,
  kAttemptsStarted,
  kAttemptsEnded,
  kAttemptsLost,
  kLeases,
  kFencedCalls,
  kCacheHits,
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
  kDataFreeBytes,
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

struct MetricRow {
  Metric metric;
  MetricType type;
  std::string_view name;
  std::string_view help;
  std::array<std::string_view, 2> labels{};  ///< empty: none
};

/// The one table: names are made nowhere else. Base units; few label values.
inline constexpr std::array kMetrics{
    MetricRow{Metric::kJobs, MetricType::kGauge, "tyllm_jobs", "Jobs by state.", {"state"}},
    MetricRow{Metric::kTasks,
              MetricType::kGauge,
              "tyllm_tasks",
              "Tasks of jobs that have not ended, by state.",
              {"state"}},
    MetricRow{Metric::kQueueOldestAge, MetricType::kGauge, "tyllm_queue_oldest_age_seconds",
              "How long the oldest queued task has been due; 0 without one."},
    MetricRow{Metric::kJobsSubmitted, MetricType::kCounter, "tyllm_jobs_submitted_total",
              "Jobs accepted."},
    MetricRow{Metric::kAttemptsStarted, MetricType::kCounter, "tyllm_attempts_started_total",
              "Attempts leased to workers."},
    MetricRow{Metric::kAttemptsEnded,
              MetricType::kCounter,
              "tyllm_attempts_ended_total",
              "Attempts whose worker reported the end, by outcome: succeeded, failed.",
              {"outcome"}},
    MetricRow{Metric::kAttemptsLost,
              MetricType::kCounter,
              "tyllm_attempts_lost_total",
              "Attempts that the server ended, by reason: lease_lost (the worker is gone), stalled "
              "(no progress), late (attempt deadline).",
              {"reason"}},
    MetricRow{Metric::kLeases, MetricType::kGauge, "tyllm_leases",
              "Attempts that workers hold now."},
    MetricRow{Metric::kFencedCalls, MetricType::kCounter, "tyllm_fenced_calls_total",
              "Calls about attempts that are not their task's current one, refused."},
    MetricRow{Metric::kCacheHits, MetricType::kCounter, "tyllm_cache_hits_total",
              "Tasks whose output was there already."},
    MetricRow{Metric::kLogBytes, MetricType::kCounter, "tyllm_log_bytes_total",
              "Log bytes of attempts, stored."},
    MetricRow{Metric::kWorkers,
              MetricType::kGauge,
              "tyllm_workers",
              "Workers by state: online, drained (online, gets nothing new), offline.",
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
              {"direction"}},
    MetricRow{Metric::kBlobResumes, MetricType::kCounter, "tyllm_blob_resumes_total",
              "Uploads that went on where an earlier one had stopped."},
    MetricRow{Metric::kBlobStoreBytes, MetricType::kGauge, "tyllm_blob_store_bytes",
              "Bytes of complete blobs."},
    MetricRow{Metric::kStoreHealthy, MetricType::kGauge, "tyllm_store_healthy",
              "1 while the queue's file accepts changes, else 0."},
    MetricRow{Metric::kStoreCommitSeconds, MetricType::kHistogram, "tyllm_store_commit_seconds",
              "Time of a transaction of the queue, its disk sync included."},
    MetricRow{Metric::kStoreOperationsPerCommit, MetricType::kHistogram,
              "tyllm_store_operations_per_commit", "Operations that shared a transaction."},
    MetricRow{Metric::kStoreWalBytes, MetricType::kGauge, "tyllm_store_wal_bytes",
              "Bytes of the queue's write-ahead log, the part that is free to be written over "
              "included."},
    MetricRow{Metric::kDataFreeBytes, MetricType::kGauge, "tyllm_data_free_bytes",
              "Free bytes of the file system that holds the data folder."},
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
