// SPDX-License-Identifier: Apache-2.0
#include "worker/quant/layer_quantizer.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <ranges>

#include "worker/quant/fold.h"
#include "worker/quant/scale_choice.h"
#include "worker/quant/weight_correction.h"

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

/// Saturation, and the groups that hold most of the error.
void Describe(const CodedLinear& coded, LinearReport& report) {
  constexpr std::size_t kWorst = 3;
  const std::vector<double>& errors = coded.facts.group_errors;
  const double sum = std::accumulate(errors.begin(), errors.end(), 0.0);
  if (!(sum > 0.0)) {
    return;
  }
  report.saturated_share = static_cast<double>(coded.facts.saturated) /
                           static_cast<double>(coded.matrix.rows * coded.matrix.columns);
  for (std::size_t g = 0; g < errors.size(); ++g) {
    report.worst_groups.push_back({static_cast<std::int64_t>(g), errors[g] / sum});
  }
  std::ranges::stable_sort(report.worst_groups, std::greater<>(), &GroupShare::share);
  report.worst_groups.resize(std::min(kWorst, report.worst_groups.size()));
}

double SecondsSince(Clock::Steady start, const Clock& clock) {
  return std::chrono::duration<double>(clock.Now() - start).count();
}

/// The same weights in the host's memory.
forward::BlockWeights Fetched(forward::BlockWeights weights, tensor::Backend& backend) {
  for (auto& [name, matrix] : weights) {
    if (matrix.on_device()) {
      matrix = backend.Fetch(matrix.view());
    }
  }
  return weights;
}

/// One decoder layer on its way to integers.
class LayerQuantizer {
 public:
  LayerQuantizer(const LayerTask& task, const LayerStatistics& statistics,
                 forward::BlockWeights weights, const LayerMachine& machine)
      : task_(task),
        statistics_(statistics),
        weights_(std::move(weights)),
        backend_(machine.backend),
        kernels_(machine.kernels) {}

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
    layer_.floats = Fetched(std::move(weights_), backend_);
    SortReports();
    return std::move(layer_);
  }

 private:
  /// What the weighed errors of a group's linears are under some scales.
  struct Trial {
    FoldPlan fold;
    std::vector<CodedLinear> coded;  ///< one for each of `linears`
    std::vector<double> seconds;     ///< of making it
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
        const auto more = kernels_.ColumnSquares(Weights(reader->weight).view());
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
        input.mean_abs, kernels_.MeanRelativeWeight(views, size), group.channel, group.channels);
    if (!CanFold(group)) {
      candidates.resize(1);  // the identity
    }
    std::vector<WeighedLinear> weighed;
    for (std::size_t i = 0; i < linears.size(); ++i) {
      weighed.push_back({views[i], weighing[i]});
    }
    return BestScales(candidates, weighed, input.gram.view(), size, {backend_, kernels_});
  }

  using Coder = std::function<CodedLinear(MatrixView)>;

  /// Makes integers of weights whose input was divided by `scales`.
  Coder MakeCoder(const InputStatistics& input, std::span<const float> scales) const {
    const std::int64_t size = task_.options->group_size;
    const bool clip = task_.options->clip;
    if (task_.options->method == domain::QuantizeMethod::kAwqGptq) {
      const auto metric =
          std::make_shared<InputMetric>(kernels_.MakeInputMetric(input.gram, scales, size));
      const GridChoice choice = clip ? GridChoice::kSearched : GridChoice::kMinMax;
      return [=, this](MatrixView weights) {
        return kernels_.CompensateErrors(weights, *metric, choice);
      };
    }
    const auto gram = std::make_shared<Matrix>(kernels_.DividedGram(input.gram, scales));
    const auto code = clip ? &LayerKernels::SearchRanges : &LayerKernels::RoundToNearest;
    return [=, this](MatrixView weights) { return (kernels_.*code)(weights, gram->view(), size); };
  }

  Trial Try(const ScalingGroup& group, const std::vector<std::string>& linears,
            const InputStatistics& input, std::span<const float> scales) const {
    Trial trial;
    trial.fold = PlanFold(group, weights_, scales, {backend_, kernels_});
    const Coder code = MakeCoder(input, trial.fold.scales);
    for (const std::string& linear : linears) {
      const Clock::Steady start = task_.clock->Now();
      Matrix scaled;
      backend_.Copy(Weights(linear).view(), scaled);
      kernels_.MultiplyColumns(trial.fold.scales, scaled);
      trial.coded.push_back(code(scaled.view()));
      trial.seconds.push_back(SecondsSince(start, *task_.clock));
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
    const Clock::Steady start = task_.clock->Now();
    ScalingGroup group = found;
    if (!CanFold(group)) {
      group.producer = Producer::kNone;
    }
    const InputStatistics& input = statistics_.inputs.find(group.input)->second;
    std::vector<std::vector<double>> nearest;  // row errors of each linear
    double nearest_error = 0.0;
    for (const std::string& linear : linears) {
      nearest.push_back(kernels_.NearestErrors(Weights(linear).view(), input.gram.view(),
                                               task_.options->group_size));
      nearest_error += WeighedSum(Weighing(linear), nearest.back());
    }
    ScaleCandidate scales = ChooseScales(group, linears, input);
    Trial trial = Try(group, linears, input, scales.scales);
    if (scales.formula != ScaleFormula::kIdentity && !(trial.error < nearest_error)) {
      scales = {ScaleFormula::kIdentity, 0.0, std::vector<float>(scales.scales.size(), 1.0F)};
      trial = Try(group, linears, input, scales.scales);
    }
    Report(group, linears, input, scales, nearest, trial);
    const std::vector<double> own = std::move(trial.seconds);
    Accept(group, linears, std::move(trial));
    CountSeconds(linears, own, SecondsSince(start, *task_.clock));
  }

  /// What belongs to no linear alone is divided among them.
  void CountSeconds(const std::vector<std::string>& linears, std::span<const double> own,
                    double all) {
    const double rest = all - std::accumulate(own.begin(), own.end(), 0.0);
    for (std::size_t i = 0; i < linears.size(); ++i) {
      layer_.seconds[linears[i]] = own[i] + rest / static_cast<double>(linears.size());
    }
  }

  void Report(const ScalingGroup& group, const std::vector<std::string>& linears,
              const InputStatistics& input, const ScaleCandidate& scales,
              std::span<const std::vector<double>> nearest, const Trial& trial) {
    for (std::size_t i = 0; i < linears.size(); ++i) {
      const std::vector<double>& units = units_.find(linears[i])->second;
      const double energy =
          WeighedSum(units, kernels_.RowErrors(Weights(linears[i]).view(), input.gram.view()));
      LinearReport report{.name = linears[i]};
      report.rtn_error = Relative(WeighedSum(units, nearest[i]), energy);
      report.error = Relative(WeighedSum(units, trial.coded[i].row_errors), energy);
      report.scale_formula = scales.formula;
      report.scale_ratio = scales.ratio;
      report.folded_into =
          scales.formula == ScaleFormula::kIdentity ? Producer::kNone : group.producer;
      report.clipped_share = ClippedShare(trial.coded[i]);
      report.image_share = input.image_share;
      Describe(trial.coded[i], report);
      layer_.reports.push_back(std::move(report));
    }
  }

  void Accept(const ScalingGroup& group, const std::vector<std::string>& linears, Trial trial) {
    ApplyFold(group, trial.fold, {backend_, kernels_}, weights_);
    if (group.producer == Producer::kLinear) {
      // The producer's rows got smaller by the scales: their errors count for more.
      std::vector<double>& units = units_[group.producer_weight];
      std::ranges::transform(units, trial.fold.channel, units.begin(),
                             [](double unit, double s) { return unit * s * s; });
    }
    for (std::size_t i = 0; i < linears.size(); ++i) {
      layer_.Take(linears[i], std::move(trial.coded[i]), task_.format, kernels_);
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
  tensor::Backend& backend_;
  LayerKernels& kernels_;
  RowNumbers units_;       ///< squares of what the rows of each linear were divided by
  RowNumbers importance_;  ///< how much an error of each output counts
  QuantizedLayer layer_;
};

}  // namespace

void QuantizedLayer::Take(const std::string& linear, CodedLinear coded,
                          const model::LinearFormat* format, LayerKernels& kernels) {
  if (format != nullptr) {
    if (auto of_linear = kernels.Pack(coded, *format)) {
      packed[linear] = *std::move(of_linear);
      return;
    }
  }
  kernels.FetchCodes(coded);
  linears[linear] = std::move(coded.matrix);
}

void QuantizedLayer::Add(QuantizedLayer later) {
  packed.merge(later.packed);
  linears.merge(later.linears);
  floats.merge(later.floats);
  seconds.merge(later.seconds);
  std::ranges::move(later.reports, std::back_inserter(reports));
}

QuantizedLayer QuantizeLayer(const LayerTask& task, LayerStatistics statistics,
                             forward::BlockWeights weights, const LayerMachine& machine) {
  const auto shares =
      CorrectWeights(task, statistics.inputs, std::move(statistics.drift), weights, machine);
  QuantizedLayer layer = LayerQuantizer(task, statistics, std::move(weights), machine).Run();
  for (LinearReport& report : layer.reports) {
    const auto share = shares.find(report.name);
    report.correction = share != shares.end() ? share->second : 0.0;
  }
  return layer;
}

QuantizedLayer RoundLayer(const LayerTask& task, forward::BlockWeights weights,
                          const LayerMachine& machine) {
  QuantizedLayer layer;
  for (const graph::Node& node : task.block->nodes) {
    if (node.op != graph::Op::kLinear) {
      continue;
    }
    if (task.keeps_float(node.weight)) {
      layer.reports.push_back({.name = node.weight, .quantized = false});
      continue;
    }
    const Clock::Steady start = task.clock->Now();
    const Matrix& matrix = weights.find(node.weight)->second;
    const MatrixView no_gram{nullptr, 0, matrix.columns()};
    CodedLinear coded =
        machine.kernels.RoundToNearest(matrix.view(), no_gram, task.options->group_size);
    const std::vector<double> squares = machine.kernels.RowErrors(matrix.view(), no_gram);
    const double energy = std::accumulate(squares.begin(), squares.end(), 0.0);
    const double error = Relative(coded.error(), energy);
    LinearReport report{.name = node.weight, .rtn_error = error, .error = error};
    Describe(coded, report);
    layer.reports.push_back(std::move(report));
    layer.Take(node.weight, std::move(coded), task.format, machine.kernels);
    weights.erase(node.weight);
    layer.seconds[node.weight] = SecondsSince(start, *task.clock);
  }
  layer.floats = Fetched(std::move(weights), machine.backend);
  return layer;
}

}  // namespace tyllm::quant
