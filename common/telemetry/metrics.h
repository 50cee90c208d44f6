// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "common/telemetry/metric_table.h"

namespace tyllm::telemetry {

/// The values of the metrics of kMetrics. Every metric without labels, and one whose label has
/// known values, is there from the start, at 0; others appear with their first value. Threads: any.
/// Calling a method that does not fit the metric's type, or with another number of label values
/// than it has, aborts.
class Metrics {
 public:
  using Labels = std::initializer_list<std::string_view>;  ///< values, in the row's order

  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// Adds to a counter.
  void Count(Metric metric, Labels labels, double by = 1);

  void Count(Metric metric) { Count(metric, {}); }

  /// Raises a counter to what its owner has counted so far.
  void SetTotal(Metric metric, Labels labels, double total);

  /// Sets a gauge.
  void Set(Metric metric, Labels labels, double value);

  /// Adds a sample to a histogram.
  void Observe(Metric metric, Labels labels, double value);

  /// The Prometheus text format, version 0.0.4.
  std::string Text() const;

 private:
  struct Families;

  /// Makes it appear.
  void Show(const MetricRow& row, Labels labels);

  std::unique_ptr<Families> families_;
};

}  // namespace tyllm::telemetry
