// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/format/float_arrays.h"
#include "common/format/safetensors.h"
#include "tests/support/naive_packing.h"
#include "worker/model/families.h"
#include "worker/model/tensor_inventory.h"

namespace tyllm::testing {

/// A model directory in memory: change config and tensors as a test needs, then write it.
struct ModelDirectory {
  format::Json config;
  std::map<std::string, MadeTensor> tensors;

  /// Qwen3: two layers, width 64, 4:2 heads of 16, MLP of 96, vocabulary 40, untied.
  static format::Json SmallQwen3Config();
  /// Every tensor that `config` needs, in float16, with small varied values.
  static ModelDirectory Float(format::Json config);

  /// The same with all linear layers but the head as 4-bit ones in this format.
  static ModelDirectory Quantized(format::Json config, model::CheckpointFormat storage,
                                  std::int64_t group) {
    return Quantized(std::move(config), StorageVariant{storage}, group);
  }

  static ModelDirectory Quantized(format::Json config, const StorageVariant& variant,
                                  std::int64_t group);

  /// model.safetensors and config.json.
  void Write(const Path& directory) const;
  /// `shards` files with an index; tensors are dealt out in turn.
  void WriteSharded(const Path& directory, int shards) const;
};

/// Deterministic numbers in [-1, 1), different for every name.
inline std::vector<float> MadeFloats(const std::string& name, std::int64_t count) {
  std::uint64_t state = std::hash<std::string>()(name) | 1U;
  std::vector<float> floats;
  for (std::int64_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    floats.push_back(static_cast<float>(state >> 40U) / 8388608.0F - 1.0F);
  }
  return floats;
}

inline MadeTensor MadeHalves(const std::string& name, const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t dimension : shape) {
    count *= dimension;
  }
  std::vector<std::uint16_t> halves(static_cast<std::size_t>(count));
  format::FloatsToHalves(MadeFloats(name, count), halves);
  return {format::DType::kF16, shape, BytesOf(halves)};
}

/// A 4-bit layer with every number its fields can hold.
inline model::QuantizedMatrix MadeQuantized(const std::string& name, std::int64_t rows,
                                            std::int64_t columns, std::int64_t group) {
  model::QuantizedMatrix matrix{rows, columns, group, {}, {}, {}};
  for (const float x : MadeFloats(name, rows * columns)) {
    matrix.q.push_back(static_cast<std::uint8_t>((x + 1.0F) * 8.0F));
  }
  for (const float x : MadeFloats(name + ".zero", rows * matrix.groups())) {
    matrix.zero.push_back(static_cast<std::uint8_t>((x + 1.0F) * 8.0F));
  }
  std::vector<float> scales = MadeFloats(name + ".scale", rows * matrix.groups());
  for (float& scale : scales) {
    scale = std::abs(scale) * 0.1F + 0.001F;
  }
  matrix.scale.resize(scales.size());
  format::FloatsToHalves(scales, matrix.scale);
  return matrix;
}

inline format::Json ModelDirectory::SmallQwen3Config() {
  return format::Json{{"architectures", {"Qwen3ForCausalLM"}},
                      {"model_type", "qwen3"},
                      {"hidden_size", 64},
                      {"num_hidden_layers", 2},
                      {"num_attention_heads", 4},
                      {"num_key_value_heads", 2},
                      {"head_dim", 16},
                      {"intermediate_size", 96},
                      {"vocab_size", 40},
                      {"max_position_embeddings", 128},
                      {"rms_norm_eps", 1e-6},
                      {"rope_theta", 10000.0},
                      {"hidden_act", "silu"},
                      {"tie_word_embeddings", false},
                      {"torch_dtype", "float16"}};
}

inline ModelDirectory ModelDirectory::Float(format::Json config) {
  ModelDirectory model{std::move(config), {}};
  const auto shape = model::ParseShape(model.config, "config.json");
  EXPECT_TRUE(shape.ok()) << shape.status().ToString();
  for (const model::NeededTensor& needed : model::NeededTensors(*shape)) {
    const std::string name = needed.is_linear ? needed.name + ".weight" : needed.name;
    model.tensors[name] = MadeHalves(name, needed.shape);
  }
  return model;
}

inline ModelDirectory ModelDirectory::Quantized(format::Json config, const StorageVariant& variant,
                                                std::int64_t group) {
  ModelDirectory made = Float(std::move(config));
  const auto shape = model::ParseShape(made.config, "config.json");
  made.config["quantization_config"] = NaiveConfig(variant, group);
  for (const model::NeededTensor& needed : model::NeededTensors(*shape)) {
    if (!needed.is_linear || needed.name == shape->names.head) {
      continue;
    }
    model::QuantizedMatrix matrix =
        MadeQuantized(needed.name, needed.shape[0], needed.shape[1], group);
    if (variant.symmetric) {
      matrix.zero.assign(matrix.zero.size(), 8);
    }
    made.tensors.erase(needed.name + ".weight");
    for (auto& [key, tensor] : NaiveTensors(variant, matrix)) {
      made.tensors[needed.name + key] = std::move(tensor);
    }
  }
  return made;
}

namespace internal {

inline void WriteTensors(const Path& path, const std::map<std::string, MadeTensor>& tensors) {
  std::vector<format::TensorSpec> specs;
  for (const auto& [name, tensor] : tensors) {
    specs.push_back({name, tensor.dtype, tensor.shape});
  }
  auto writer = format::SafetensorsWriter::Create(LocalFileSystem(), path, specs);
  ASSERT_TRUE(writer.ok()) << writer.status().ToString();
  for (const auto& [name, tensor] : tensors) {
    const Status status = writer->Write(name, tensor.bytes);
    ASSERT_TRUE(status.ok()) << status.ToString();
  }
  ASSERT_TRUE(writer->Finish().ok());
}

inline void WriteText(const Path& path, const std::string& text) {
  const Status status = WriteFileAtomically(LocalFileSystem(), path, text);
  ASSERT_TRUE(status.ok()) << status.ToString();
}

}  // namespace internal

inline void ModelDirectory::Write(const Path& directory) const {
  ASSERT_TRUE(LocalFileSystem().CreateDirectories(directory).ok());
  internal::WriteText(directory / "config.json", format::PrettyJson(config));
  internal::WriteTensors(directory / "model.safetensors", tensors);
}

inline void ModelDirectory::WriteSharded(const Path& directory, int shards) const {
  ASSERT_TRUE(LocalFileSystem().CreateDirectories(directory).ok());
  internal::WriteText(directory / "config.json", format::PrettyJson(config));
  std::map<std::string, std::map<std::string, MadeTensor>> files;
  format::Json index{{"metadata", {{"total_size", 0}}}, {"weight_map", format::Json::object()}};
  int next = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::string file = "model-0000" + std::to_string(next++ % shards + 1) + "-of-0000" +
                             std::to_string(shards) + ".safetensors";
    files[file][name] = tensor;
    index["weight_map"][name] = file;
  }
  for (const auto& [file, content] : files) {
    internal::WriteTensors(directory / file, content);
  }
  internal::WriteText(directory / "model.safetensors.index.json", format::PrettyJson(index));
}

}  // namespace tyllm::testing
