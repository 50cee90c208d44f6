// SPDX-License-Identifier: Apache-2.0
#include "common/telemetry/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <vector>

#include "common/base/status.h"

namespace tyllm::telemetry {

namespace {

consteval bool InOrder() {
  for (std::size_t i = 0; i < kMetrics.size(); ++i) {
    if (static_cast<std::size_t>(kMetrics[i].metric) != i) {
      return false;
    }
  }
  return kMetrics.size() == static_cast<std::size_t>(Metric::kBuildInfo) + 1;
}

static_assert(InOrder(), "a metric has no row, or rows are not in the enum's order");

prometheus::Histogram::BucketBoundaries BucketsOf(const MetricRow& row) {
  return {row.buckets.begin(), row.buckets.end()};
}

std::size_t LabelCount(const MetricRow& row) {
  return static_cast<std::size_t>(std::ranges::count_if(
      row.labels, [](const MetricLabel& label) { return !label.name.empty(); }));
}

prometheus::Labels LabelsOf(const MetricRow& row, Metrics::Labels values) {
  TYLLM_CHECK(values.size() == LabelCount(row));
  prometheus::Labels labels;
  std::size_t i = 0;
  for (const std::string_view value : values) {
    labels.emplace(row.labels[i++].name, value);
  }
  return labels;
}

template <typename Builder>
auto* Register(Builder builder, const MetricRow& row, prometheus::Registry& registry) {
  return &builder.Name(std::string(row.name)).Help(std::string(row.help)).Register(registry);
}

}  // namespace

struct Metrics::Families {
  // One of the three, by the row's type.
  struct Family {
    prometheus::Family<prometheus::Counter>* counters = nullptr;
    prometheus::Family<prometheus::Gauge>* gauges = nullptr;
    prometheus::Family<prometheus::Histogram>* histograms = nullptr;
    // The one without labels, found without looking; null where there are labels.
    prometheus::Counter* counter = nullptr;
    prometheus::Histogram* histogram = nullptr;
  };

  explicit Families() {
    for (const MetricRow& row : kMetrics) {
      families.push_back(MakeFamily(row));
    }
  }

  Family MakeFamily(const MetricRow& row) {
    Family family;
    switch (row.type) {
      case MetricType::kCounter:
        family.counters = Register(prometheus::BuildCounter(), row, registry);
        break;
      case MetricType::kGauge:
        family.gauges = Register(prometheus::BuildGauge(), row, registry);
        break;
      case MetricType::kHistogram:
        family.histograms = Register(prometheus::BuildHistogram(), row, registry);
        break;
    }
    return family;
  }

  const Family& At(Metric metric) const { return families[static_cast<std::size_t>(metric)]; }

  prometheus::Counter& CounterAt(Metric metric, Labels labels) const {
    TYLLM_CHECK(At(metric).counters != nullptr);
    if (labels.size() == 0 && At(metric).counter != nullptr) {
      return *At(metric).counter;
    }
    return At(metric).counters->Add(LabelsOf(RowOf(metric), labels));
  }

  prometheus::Gauge& GaugeAt(Metric metric, Labels labels) const {
    TYLLM_CHECK(At(metric).gauges != nullptr);
    return At(metric).gauges->Add(LabelsOf(RowOf(metric), labels));
  }

  prometheus::Histogram& HistogramAt(Metric metric, Labels labels) const {
    TYLLM_CHECK(At(metric).histograms != nullptr);
    if (labels.size() == 0 && At(metric).histogram != nullptr) {
      return *At(metric).histogram;
    }
    return At(metric).histograms->Add(LabelsOf(RowOf(metric), labels), BucketsOf(RowOf(metric)));
  }

  prometheus::Registry registry;
  std::vector<Family> families;
};

Metrics::Metrics() : families_(std::make_unique<Families>()) {
  for (const MetricRow& row : kMetrics) {
    if (LabelCount(row) == 0) {
      Show(row, {});
    }
    if (LabelCount(row) == 1) {
      for (const std::string_view value : row.labels[0].values) {
        Show(row, {value});
      }
    }
  }
}

void Metrics::Show(const MetricRow& row, Labels labels) {
  Families::Family& family = families_->families[static_cast<std::size_t>(row.metric)];
  switch (row.type) {
    case MetricType::kCounter: {
      prometheus::Counter& counter = families_->CounterAt(row.metric, labels);
      family.counter = labels.size() == 0 ? &counter : nullptr;
      break;
    }
    case MetricType::kGauge:
      families_->GaugeAt(row.metric, labels);
      break;
    case MetricType::kHistogram: {
      prometheus::Histogram& histogram = families_->HistogramAt(row.metric, labels);
      family.histogram = labels.size() == 0 ? &histogram : nullptr;
      break;
    }
  }
}

Metrics::~Metrics() = default;

void Metrics::Count(Metric metric, Labels labels, double by) {
  families_->CounterAt(metric, labels).Increment(by);
}

void Metrics::SetTotal(Metric metric, Labels labels, double total) {
  prometheus::Counter& counter = families_->CounterAt(metric, labels);
  counter.Increment(total - counter.Value());
}

void Metrics::Set(Metric metric, Labels labels, double value) {
  families_->GaugeAt(metric, labels).Set(value);
}

void Metrics::Observe(Metric metric, Labels labels, double value) {
  families_->HistogramAt(metric, labels).Observe(value);
}

std::string Metrics::Text() const {
  return prometheus::TextSerializer().Serialize(families_->registry.Collect());
}

}  // namespace tyllm::telemetry
