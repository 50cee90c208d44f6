// SPDX-License-Identifier: Apache-2.0
// Layers of published visual towers at 960 x 540, and nothing but their products by the BLAS with
// its own threads: both in GFLOP/s of those products.
#include <benchmark/benchmark.h>
#include <cblas.h>

#include <algorithm>
#include <array>

#include "worker/forward/tower_runner.h"
#include "worker/graph/tower_layout.h"

namespace tyllm::forward {
namespace {

struct Case {
  const char* name;
  model::VisionShape shape;
  model::VisualGrid grid;
  std::int64_t layer;
};

model::VisionShape Qwen25() {
  model::VisionShape shape;
  shape.depth = 32;
  shape.width = 1280;
  shape.heads = 16;
  shape.intermediate = 3420;
  shape.patch = 14;
  shape.out_width = 2048;
  shape.activation = model::VisionActivation::kSilu;
  shape.rms_norm = true;
  shape.window = 4;
  shape.full_blocks = {7, 15, 23, 31};
  shape.names.up = "mlp.up_proj";
  return shape;
}

model::VisionShape Qwen3() {
  model::VisionShape shape;
  shape.depth = 24;
  shape.width = 1024;
  shape.heads = 16;
  shape.intermediate = 4096;
  shape.patch = 16;
  shape.out_width = 2560;
  shape.activation = model::VisionActivation::kGeluTanh;
  shape.grid_side = 48;
  return shape;
}

const std::array<Case, 3>& Cases() {
  static const std::array<Case, 3> cases{Case{"Qwen2.5-VL-3B windowed", Qwen25(), {1, 38, 68}, 0},
                                         Case{"Qwen2.5-VL-3B full", Qwen25(), {1, 38, 68}, 7},
                                         Case{"Qwen3-VL-4B", Qwen3(), {1, 34, 60}, 0}};
  return cases;
}

tensor::Matrix Filled(std::int64_t rows, std::int64_t columns) {
  tensor::Matrix m(rows, columns);
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    m.data()[i] = (static_cast<float>(i * 7919 % 1009) / 1009.0F - 0.5F) * 0.1F;
  }
  return m;
}

BlockWeights WeightsOf(const graph::Block& block) {
  BlockWeights weights;
  for (const graph::Node& node : block.nodes) {
    const auto columns = [&](graph::ValueId id) {
      return block.values[static_cast<std::size_t>(id)].columns;
    };
    const std::int64_t out = columns(node.output) * node.parts;
    if (!node.weight.empty()) {
      weights[node.weight] =
          node.op == graph::Op::kLinear ? Filled(out, columns(node.inputs[0])) : Filled(1, out);
    }
    if (!node.bias.empty()) {
      weights[node.bias] = Filled(1, out);
    }
  }
  return weights;
}

/// A product out [rows, columns] = x [rows, depth] times something.
struct Product {
  std::int64_t rows, columns, depth, times;
};

std::vector<Product> ProductsOf(const Case& c, const graph::TowerLayout& layout) {
  const std::int64_t n = c.grid.patches();
  const std::int64_t w = c.shape.width;
  const std::int64_t ins = c.shape.names.up.empty() ? 1 : 2;
  std::vector<Product> products{{n, 3 * w, w, 1},
                                {n, w, w, 1},
                                {n, c.shape.intermediate, w, ins},
                                {n, w, c.shape.intermediate, 1}};
  std::int64_t begin = 0;
  for (const std::int64_t end :
       c.shape.IsWindowed(c.layer) ? layout.window_ends : layout.frame_ends) {
    const std::int64_t run = end - begin;
    products.push_back({run, run, c.shape.head_size(), c.shape.heads});
    products.push_back({run, c.shape.head_size(), run, c.shape.heads});
    begin = end;
  }
  return products;
}

void SetGflops(benchmark::State& state, const std::vector<Product>& products) {
  double flops = 0;
  for (const Product& p : products) {
    flops += 2.0 * static_cast<double>(p.rows * p.columns * p.depth * p.times);
  }
  state.counters["GFLOP/s"] = benchmark::Counter(
      flops * static_cast<double>(state.iterations()) * 1e-9, benchmark::Counter::kIsRate);
}

void Layer(benchmark::State& state) {
  const Case& c = Cases()[static_cast<std::size_t>(state.range(0))];
  const auto backend = *tensor::MakeBackend("cpu");
  const graph::Tower tower = graph::BuildTower(c.shape, "visual");
  const graph::Block& block = tower.layers[static_cast<std::size_t>(c.layer)];
  const BlockWeights weights = WeightsOf(block);
  const graph::TowerLayout layout = graph::LayOut(c.shape, c.grid);
  const tensor::Matrix hidden = Filled(c.grid.patches(), c.shape.width);
  TowerRunner runner = *TowerRunner::Make(*backend, c.shape);
  for (auto _ : state) {
    const auto out = runner.Run(block, weights, hidden, layout);
    benchmark::DoNotOptimize(out->data());
  }
  state.SetLabel(c.name);
  SetGflops(state, ProductsOf(c, layout));
}

void OpenBlas(benchmark::State& state) {
  const Case& c = Cases()[static_cast<std::size_t>(state.range(0))];
  const graph::TowerLayout layout = graph::LayOut(c.shape, c.grid);
  const std::vector<Product> products = ProductsOf(c, layout);
  std::int64_t largest = 0;
  for (const Product& p : products) {
    largest = std::max({largest, p.rows * p.depth, p.columns * p.depth, p.rows * p.columns});
  }
  const tensor::Matrix a = Filled(1, largest);
  const tensor::Matrix b = Filled(1, largest);
  tensor::Matrix out(1, largest);
  openblas_set_num_threads(2);
  for (auto _ : state) {
    for (const Product& p : products) {
      for (std::int64_t i = 0; i < p.times; ++i) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(p.rows),
                    static_cast<int>(p.columns), static_cast<int>(p.depth), 1.0F, a.data(),
                    static_cast<int>(p.depth), b.data(), static_cast<int>(p.depth), 0.0F,
                    out.data(), static_cast<int>(p.columns));
      }
    }
    benchmark::DoNotOptimize(out.data());
  }
  state.SetLabel(c.name);
  SetGflops(state, products);
}

BENCHMARK(Layer)->DenseRange(0, 2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(OpenBlas)->DenseRange(0, 2)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace tyllm::forward
