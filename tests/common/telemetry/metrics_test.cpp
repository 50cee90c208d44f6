// SPDX-License-Identifier: Apache-2.0
#include "common/telemetry/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "common/domain/job.h"

namespace tyllm::telemetry {
namespace {

bool Has(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(MetricTable, NamesFollowPrometheusConventions) {
  std::set<std::string_view> names;
  for (const MetricRow& row : kMetrics) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name << " is there twice";
    EXPECT_TRUE(row.name.starts_with("tyllm_")) << row.name;
    EXPECT_EQ(row.name.ends_with("_total"), row.type == MetricType::kCounter) << row.name;
    EXPECT_TRUE(row.help.ends_with(".")) << row.name;
  }
}

TEST(Metrics, EveryMetricCanMove) {
  Metrics metrics;
  for (const MetricRow& row : kMetrics) {
    const auto move = [&](Metrics::Labels labels) {
      switch (row.type) {
        case MetricType::kCounter:
          return metrics.Count(row.metric, labels, 7);
        case MetricType::kGauge:
          return metrics.Set(row.metric, labels, 7);
        case MetricType::kHistogram:
          return metrics.Observe(row.metric, labels, 7);
      }
    };
    std::string series(row.name);
    series += row.type == MetricType::kHistogram ? "_sum" : "";
    std::set<std::string> labels;  // prometheus-cpp sorts them by name
    for (const MetricLabel& label : row.labels) {
      if (!label.name.empty()) {
        labels.insert(std::string(label.name) + "=\"x\"");
      }
    }
    switch (labels.size()) {
      case 0:
        move({});
        break;
      case 1:
        move({"x"});
        break;
      case 2:
        move({"x", "x"});
        break;
      default:
        move({"x", "x", "x"});
    }
    for (const std::string& label : labels) {
      series += (series.find('{') == std::string::npos ? "{" : ",") + label;
    }
    series += labels.empty() ? "" : "}";
    EXPECT_TRUE(Has(metrics.Text(), series + " 7")) << series << "\n" << metrics.Text();
  }
}

TEST(Metrics, UnlabelledMetricsAreThereFromTheStart) {
  const Metrics metrics;
  EXPECT_TRUE(Has(metrics.Text(), "tyllm_jobs_submitted_total 0"));
  EXPECT_TRUE(Has(metrics.Text(), "tyllm_store_commit_seconds_count 0"));
  EXPECT_TRUE(Has(metrics.Text(), "# TYPE tyllm_leases gauge"));
}

TEST(Metrics, KnownValuesOfALabelAreThereFromTheStart) {
  const Metrics metrics;
  EXPECT_TRUE(Has(metrics.Text(), "tyllm_fenced_calls_total{method=\"WorkerService.Sync\"} 0"));
  EXPECT_TRUE(Has(metrics.Text(), "tyllm_attempts_lost_total{reason=\"late\"} 0"));
  EXPECT_FALSE(Has(metrics.Text(), "tyllm_jobs{state=\"\"} 0"));
}

template <typename Names, typename Values>
void ExpectSame(const Names& names, const Values& values) {
  ASSERT_EQ(names.rows().size(), values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(names.rows()[i].second, values[i]);
  }
}

TEST(MetricTable, ValuesOfLabelsAreTheNamesThatEverythingElseUses) {
  ExpectSame(domain::kTaskKindNames, kKinds);
  ExpectSame(domain::kJobClassNames, kClasses);
}

TEST(Metrics, AHistogramHasTheBucketsOfItsRow) {
  Metrics metrics;
  metrics.Observe(Metric::kQueueWait, {"convert"}, 7200);
  metrics.Observe(Metric::kStoreOperationsPerCommit, {}, 3);
  const std::string text = metrics.Text();
  EXPECT_TRUE(Has(text, "tyllm_queue_wait_seconds_bucket{kind=\"convert\",le=\"3600\"} 0")) << text;
  EXPECT_TRUE(Has(text, "tyllm_queue_wait_seconds_bucket{kind=\"convert\",le=\"14400\"} 1"))
      << text;
  EXPECT_TRUE(Has(text, "tyllm_store_operations_per_commit_bucket{le=\"2\"} 0")) << text;
  EXPECT_TRUE(Has(text, "tyllm_store_operations_per_commit_bucket{le=\"4\"} 1")) << text;
}

TEST(MetricTable, BucketsRise) {
  for (const MetricRow& row : kMetrics) {
    EXPECT_FALSE(row.buckets.empty()) << row.name;
    EXPECT_EQ(std::adjacent_find(row.buckets.begin(), row.buckets.end(), std::greater_equal<>()),
              row.buckets.end())
        << row.name;
  }
}

TEST(Metrics, TotalsRiseToWhatTheirOwnerCounted) {
  Metrics metrics;
  metrics.SetTotal(Metric::kLogBytes, {}, 10);
  metrics.SetTotal(Metric::kLogBytes, {}, 25);
  EXPECT_TRUE(Has(metrics.Text(), "tyllm_log_bytes_total 25"));
}

TEST(Metrics, LabelValuesAreEscaped) {
  Metrics metrics;
  metrics.Set(Metric::kBuildInfo, {"a\"b\n"}, 1);
  EXPECT_TRUE(Has(metrics.Text(), "tyllm_build_info{version=\"a\\\"b\\n\"} 1")) << metrics.Text();
}

using MetricsDeathTest = ::testing::Test;

TEST_F(MetricsDeathTest, AWrongUseIsLoud) {
  Metrics metrics;
  EXPECT_DEATH(metrics.Count(Metric::kLeases), "broken invariant");
  EXPECT_DEATH(metrics.Count(Metric::kRpcs, {"only one"}), "broken invariant");
}

}  // namespace
}  // namespace tyllm::telemetry
