// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/layer_quantizer.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <ranges>

#include "worker/quant/fold.h"
#include "worker/quant/scale_search.h"

namespace tyllm::quant {

namespace {

using tensor::Matrix;
using tensor::MatrixView;
using RowNumbers = std::map<std::string, std::vector<double>, std::less<>>;

double WeighedSum(std::span<const double> weights, std::span<const double> numbers) {
  double sum = 0.0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    sum += weights[i] * numbers[i];
  }
  return sum;
}

double Relative(double error, double energy) {
  return energy > 0.0 ? std::sqrt(std::max(error, 0.0) / energy) : 0.0;
}

double ClippedShare(const CodedLinear& coded) {
  const double groups = static_cast<double>(coded.matrix.rows * coded.matrix.groups());
  return static_cast<double>(coded.clipped_groups) / groups;
}

std::vector<double> ColumnSquares(const Matrix& matrix) {
  std::vector<double> squares(static_cast<std::size_t>(matrix.columns()));
  for (std::int64_t r = 0; r < matrix.rows(); ++r) {
    const std::span<const float> row = matrix.row(r);
    for (std::size_t c = 0; c < row.size(); ++c) {
      squares[c] += static_cast<double>(row[c]) * row[c];
    }
  }
  return squares;
}

/// weights * scales, column by column.
Matrix Scaled(const Matrix& weights, std::span<const float> scales) {
  Matrix scaled = weights;
  for (std::int64_t r = 0; r < scaled.rows(); ++r) {
    const std::span<float> row = scaled.row(r);
    for (std::size_t c = 0; c < row.size(); ++c) {
      row[c] *= scales[c];
    }
  }
  return scaled;
}

/// The Gram matrix of inputs that were divided by `scales`.
Matrix Unscaled(const Matrix& gram, std::span<const float> scales) {
  Matrix result = gram;
  for (std::int64_t r = 0; r < result.rows(); ++r) {
    const float row_scale = scales[static_cast<std::size_t>(r)];
    const std::span<float> row = result.row(r);
    for (std::size_t c = 0; c < row.size(); ++c) {
      row[c] /= row_scale * scales[c];
    }
  }
  return result;
}

/// One decoder layer on its way to integers.
class LayerQuantizer {
 public:
  LayerQuantizer(const LayerTask& task, const LayerStatistics& statistics,
                 forward::BlockWeights weights, tensor::TaskLanes& lanes)
      : task_(task), statistics_(statistics), weights_(std::move(weights)), lanes_(lanes) {}

  QuantizedLayer Run() && {
    const std::vector<ScalingGroup> groups = FindScalingGroups(*task_.block, *task_.shape);
    for (const ScalingGroup& group : groups) {
      for (const std::string& linear : group.linears) {
        const auto rows = static_cast<std::size_t>(weights_.find(linear)->second.rows());
        units_[linear].assign(rows, 1.0);
        importance_[linear].assign(rows, 1.0);
      }
    }
    WeighGates();
    for (const ScalingGroup& group : std::views::reverse(groups)) {
      QuantizeGroup(group);
    }
    layer_.floats = std::move(weights_);
    SortReports();
    return std::move(layer_);
  }

 private:
  /// What the weighed errors of a group's linears are under some scales.
  struct Trial {
    FoldPlan fold;
    std::vector<CodedLinear> coded;  ///< one for each of `linears`
    double error = 0.0;
  };

  /// An error of gate or up counts by what it does to the output of the linears that read
  /// silu(gate) * up, to first order.
  void WeighGates() {
    for (const graph::Node& node : task_.block->nodes) {
      const auto gate = statistics_.gates.find(node.output);
      if (node.op != graph::Op::kSiluMul || gate == statistics_.gates.end()) {
        continue;
      }
      std::vector<double> squares(gate->second.up.size());
      for (const graph::Node* reader : graph::Consumers(*task_.block, node.output)) {
        if (reader->op != graph::Op::kLinear) {
          return;
        }
        const auto more = ColumnSquares(weights_.find(reader->weight)->second);
        std::ranges::transform(squares, more, squares.begin(), std::plus<>());
      }
      WeighRows(node.inputs[0], gate->second.gate, squares);
      WeighRows(node.inputs[1], gate->second.up, squares);
    }
  }

  void WeighRows(graph::ValueId value, std::span<const double> a, std::span<const double> b) {
    const graph::Node* linear = graph::Producer(*task_.block, value);
    if (linear != nullptr && linear->op == graph::Op::kLinear) {
      std::ranges::transform(a, b, importance_[linear->weight].begin(), std::multiplies<>());
    }
  }

  std::vector<std::string> ToQuantize(const ScalingGroup& group) const {
    std::vector<std::string> linears;
    std::ranges::copy_if(group.linears, std::back_inserter(linears),
                         [&](const std::string& name) { return !task_.keeps_float(name); });
    return linears;
  }

  /// A producer that stays in float would have to be rounded after the division.
  bool CanFold(const ScalingGroup& group) const {
    return group.producer == Producer::kNorm ||
           (group.producer == Producer::kLinear && !task_.keeps_float(group.producer_weight));
  }

  const Matrix& Weights(const std::string& linear) const { return weights_.find(linear)->second; }

  std::vector<double> Weighing(const std::string& linear) const {
    std::vector<double> weighing = units_.find(linear)->second;
    std::ranges::transform(weighing, importance_.find(linear)->second, weighing.begin(),
                           std::multiplies<>());
    return weighing;
  }

  double WeighedError(const std::vector<std::string>& linears,
                      std::span<const CodedLinear> coded) const {
    double error = 0.0;
    for (std::size_t i = 0; i < linears.size(); ++i) {
      error += WeighedSum(Weighing(linears[i]), coded[i].row_errors);
    }
    return error;
  }

  ScaleCandidate ChooseScales(const ScalingGroup& group, const std::vector<std::string>& linears,
                              const InputStatistics& input) const {
    const std::int64_t size = task_.options->group_size;
    std::vector<MatrixView> views;
    std::vector<std::vector<double>> weighing;
    for (const std::string& linear : linears) {
      views.push_back(Weights(linear).view());
      weighing.push_back(Weighing(linear));
    }
    std::vector<ScaleCandidate> candidates = MakeScaleCandidates(
        input.mean_abs, MeanRelativeWeight(views, size), group.channel, group.channels);
    if (!CanFold(group)) {
      candidates.resize(1);  // the identity
    }
    std::vector<WeighedLinear> weighed;
    for (std::size_t i = 0; i < linears.size(); ++i) {
      weighed.push_back({views[i], weighing[i]});
    }
    return BestScales(candidates, weighed, input.gram.view(), size, lanes_);
  }

  using Coder = std::function<CodedLinear(MatrixView)>;

  /// Makes integers of weights whose input was divided by `scales`.
  Coder MakeCoder(const InputStatistics& input, std::span<const float> scales) const {
    const std::int64_t size = task_.options->group_size;
    const bool clip = task_.options->clip;
    if (task_.options->method == domain::QuantizeMethod::kAwqGptq) {
      const auto metric =
          std::make_shared<InputMetric>(MakeInputMetric(input.gram, scales, size, lanes_));
      const GridChoice choice = clip ? GridChoice::kSearched : GridChoice::kMinMax;
      return [=, this](MatrixView weights) {
        return CompensateErrors(weights, *metric, choice, lanes_);
      };
    }
    const auto gram = std::make_shared<Matrix>(Unscaled(input.gram, scales));
    const auto code = clip ? SearchRanges : RoundToNearest;
    return [=, this](MatrixView weights) { return code(weights, gram->view(), size, lanes_); };
  }

  Trial Try(const ScalingGroup& group, const std::vector<std::string>& linears,
            const InputStatistics& input, std::span<const float> scales) const {
    Trial trial;
    trial.fold = PlanFold(group, weights_, scales);
    const Coder code = MakeCoder(input, trial.fold.scales);
    for (const std::string& linear : linears) {
      trial.coded.push_back(code(Scaled(Weights(linear), trial.fold.scales).view()));
    }
    trial.error = WeighedError(linears, trial.coded);
    return trial;
  }

  void QuantizeGroup(const ScalingGroup& found) {
    const std::vector<std::string> linears = ToQuantize(found);
    for (const std::string& linear : found.linears) {
      if (task_.keeps_float(linear)) {
        layer_.reports.push_back({.name = linear, .quantized = false});
      }
    }
    if (linears.empty()) {
      return;
    }
    ScalingGroup group = found;
    if (!CanFold(group)) {
      group.producer = Producer::kNone;
    }
    const InputStatistics& input = statistics_.inputs.find(group.input)->second;
    std::vector<CodedLinear> nearest;
    for (const std::string& linear : linears) {
      nearest.push_back(RoundToNearest(Weights(linear).view(), input.gram.view(),
                                       task_.options->group_size, lanes_));
    }
    ScaleCandidate scales = ChooseScales(group, linears, input);
    Trial trial = Try(group, linears, input, scales.scales);
    if (scales.formula != ScaleFormula::kIdentity &&
        !(trial.error < WeighedError(linears, nearest))) {
      scales = {ScaleFormula::kIdentity, 0.0, std::vector<float>(scales.scales.size(), 1.0F)};
      trial = Try(group, linears, input, scales.scales);
    }
    Report(group, linears, input, scales, nearest, trial);
    Accept(group, linears, std::move(trial));
  }

  void Report(const ScalingGroup& group, const std::vector<std::string>& linears,
              const InputStatistics& input, const ScaleCandidate& scales,
              std::span<const CodedLinear> nearest, const Trial& trial) {
    for (std::size_t i = 0; i < linears.size(); ++i) {
      const std::vector<double>& units = units_.find(linears[i])->second;
      const double energy =
          WeighedSum(units, RowErrors(Weights(linears[i]).view(), input.gram.view(), lanes_));
      LinearReport report{.name = linears[i]};
      report.rtn_error = Relative(WeighedSum(units, nearest[i].row_errors), energy);
      report.error = Relative(WeighedSum(units, trial.coded[i].row_errors), energy);
      report.scale_formula = scales.formula;
      report.scale_ratio = scales.ratio;
      report.folded_into =
          scales.formula == ScaleFormula::kIdentity ? Producer::kNone : group.producer;
      report.clipped_share = ClippedShare(trial.coded[i]);
      layer_.reports.push_back(std::move(report));
    }
  }

  void Accept(const ScalingGroup& group, const std::vector<std::string>& linears, Trial trial) {
    ApplyFold(group, trial.fold, weights_);
    if (group.producer == Producer::kLinear) {
      // The producer's rows got smaller by the scales: their errors count for more.
      std::vector<double>& units = units_[group.producer_weight];
      std::ranges::transform(units, trial.fold.channel, units.begin(),
                             [](double unit, double s) { return unit * s * s; });
    }
    for (std::size_t i = 0; i < linears.size(); ++i) {
      layer_.linears[linears[i]] = std::move(trial.coded[i].matrix);
      weights_.erase(linears[i]);
    }
  }

  /// The order of the block, whatever the order of the work.
  void SortReports() {
    const auto place = [this](const LinearReport& report) {
      return std::ranges::find(task_.block->nodes, report.name, &graph::Node::weight);
    };
    std::ranges::stable_sort(layer_.reports, {}, place);
  }

  const LayerTask& task_;
  const LayerStatistics& statistics_;
  forward::BlockWeights weights_;
  tensor::TaskLanes& lanes_;
  RowNumbers units_;       ///< squares of what the rows of each linear were divided by
  RowNumbers importance_;  ///< how much an error of each output counts
  QuantizedLayer layer_;
};

}  // namespace

QuantizedLayer QuantizeLayer(const LayerTask& task, const LayerStatistics& statistics,
                             forward::BlockWeights weights, tensor::TaskLanes& lanes) {
  return LayerQuantizer(task, statistics, std::move(weights), lanes).Run();
}

QuantizedLayer RoundLayer(const LayerTask& task, forward::BlockWeights weights,
                          tensor::TaskLanes& lanes) {
  QuantizedLayer layer;
  for (const graph::Node& node : task.block->nodes) {
    if (node.op != graph::Op::kLinear) {
      continue;
    }
    if (task.keeps_float(node.weight)) {
      layer.reports.push_back({.name = node.weight, .quantized = false});
      continue;
    }
    const Matrix& matrix = weights.find(node.weight)->second;
    const MatrixView no_gram{nullptr, 0, matrix.columns()};
    CodedLinear coded = RoundToNearest(matrix.view(), no_gram, task.options->group_size, lanes);
    const std::vector<double> squares = RowErrors(matrix.view(), no_gram, lanes);
    const double energy = std::accumulate(squares.begin(), squares.end(), 0.0);
    const double error = Relative(coded.error(), energy);
    layer.reports.push_back({.name = node.weight, .rtn_error = error, .error = error});
    layer.linears[node.weight] = std::move(coded.matrix);
    weights.erase(node.weight);
  }
  layer.floats = std::move(weights);
  return layer;
}

}  // namespace tyllm::quant
