// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "common/base/file_system.h"
#include "worker/artifact/manifest.h"
#include "worker/model/checkpoint_format.h"

namespace tyllm::jobs {

/// How much of a model is stored as one type of element.
struct DTypeShare {
  std::string dtype;  ///< "F16"
  std::int64_t tensors = 0;
  std::int64_t bytes = 0;
};

/// What a model directory is (docs/manual/tyllm-inspect.md gives every field's meaning).
struct ModelInspection {
  std::string kind = "model";
  model::CheckpointFormat format = model::CheckpointFormat::kFloat;
  std::string family;
  std::string architecture;
  std::int64_t parameters = 0;
  std::int64_t layers = 0;
  std::int64_t width = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_size = 0;
  std::int64_t intermediate = 0;
  std::int64_t vocabulary = 0;
  std::int64_t max_positions = 0;
  std::int64_t sliding_window = 0;  ///< tokens; 0 when attention sees everything before
  bool tied_head = false;
  std::int64_t bits = 0;        ///< of a quantized weight; 0 when nothing is quantized
  std::int64_t group_size = 0;  ///< columns that share a scale; 0 when nothing is quantized
  std::int64_t quantized_linears = 0;
  std::vector<std::string> float_linears;  ///< of a quantized model: those that are not
  std::vector<DTypeShare> dtypes;          ///< most bytes first
  std::vector<std::string> weight_files;
  std::int64_t weight_bytes = 0;
  std::vector<std::string> other_files;
  std::int64_t visual_tensors = 0;  ///< of the visual tower, which stays as it is
  std::int64_t visual_bytes = 0;
  std::vector<std::string> unused_tensors;
};

/// The files of one kind in an artifact directory.
struct FileShare {
  std::string kind;  ///< "programs", "parameters", ...
  std::int64_t files = 0;
  std::int64_t bytes = 0;
};

struct ProgramSummary {
  plan::ProgramKind kind = plan::ProgramKind::kDecode;
  std::int64_t bucket = 0;
  std::int64_t arena_bytes = 0;  ///< of the die that needs most
};

struct DieSummary {
  std::int64_t die = 0;
  std::int64_t physical_die = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t kv_bytes = 0;
  std::int64_t weight_bytes = 0;  ///< of common_die<d>.params
  std::int64_t arena_bytes = 0;   ///< of the program that needs most
};

/// What a compiled model's directory is.
struct ArtifactInspection {
  std::string kind = "artifact";
  std::string directory;  ///< the "<N>die" folder
  std::string backend;
  artifact::ModelEntry model;
  std::int64_t dies = 0;
  std::vector<std::int64_t> seq_lens;
  std::int64_t max_kv = 0;
  bool embedding_as_input = false;
  domain::HeadNumbers head = domain::HeadNumbers::kFloat16;
  domain::ActivationNumbers activations = domain::ActivationNumbers::kInt16;
  std::int64_t group_size = 0;
  std::int64_t reduce_group = 0;
  /// Matrices of 16-bit numbers that are stored in 12, and exceptions of a row block.
  std::map<std::string, std::int64_t> in_12_bits;
  artifact::Toolchain toolchain;
  std::optional<artifact::Measured> measured;
  std::vector<ProgramSummary> programs;
  std::vector<DieSummary> die_list;
  std::vector<FileShare> files;  ///< most bytes first
  std::int64_t total_bytes = 0;
};

using Inspection = std::variant<ModelInspection, ArtifactInspection>;

/// Says what `directory` is. kNotFound: neither, and what was looked for. Other errors: it is a
/// model or an artifact, but not a sound or supported one. Weights are not read.
Result<Inspection> Inspect(const Path& directory);

}  // namespace tyllm::jobs

template <>
struct tyllm::format::Members<tyllm::jobs::DTypeShare> {
  using T = tyllm::jobs::DTypeShare;
  static constexpr auto kTable = std::tuple{
      Member{"dtype", &T::dtype}, Member{"tensors", &T::tensors}, Member{"bytes", &T::bytes}};
};

template <>
struct tyllm::format::Members<tyllm::jobs::ModelInspection> {
  using M = tyllm::jobs::ModelInspection;
  static constexpr auto kTable = std::tuple{
      Member{"kind", &M::kind},
      Member{"format", &M::format},
      Member{"family", &M::family},
      Member{"architecture", &M::architecture},
      Member{"parameters", &M::parameters},
      Member{"layers", &M::layers},
      Member{"width", &M::width},
      Member{"heads", &M::heads},
      Member{"kv_heads", &M::kv_heads},
      Member{"head_size", &M::head_size},
      Member{"intermediate", &M::intermediate},
      Member{"vocabulary", &M::vocabulary},
      Member{"max_positions", &M::max_positions},
      Member{"sliding_window", &M::sliding_window},
      Member{"tied_head", &M::tied_head},
      Member{"bits", &M::bits},
      Member{"group_size", &M::group_size},
      Member{"quantized_linears", &M::quantized_linears},
      Member{"float_linears", &M::float_linears},
      Member{"dtypes", &M::dtypes},
      Member{"weight_files", &M::weight_files},
      Member{"weight_bytes", &M::weight_bytes},
      Member{"other_files", &M::other_files},
      Member{"visual_tensors", &M::visual_tensors},
      Member{"visual_bytes", &M::visual_bytes},
      Member{"unused_tensors", &M::unused_tensors},
  };
};

template <>
struct tyllm::format::Members<tyllm::jobs::FileShare> {
  using T = tyllm::jobs::FileShare;
  static constexpr auto kTable =
      std::tuple{Member{"kind", &T::kind}, Member{"files", &T::files}, Member{"bytes", &T::bytes}};
};

template <>
struct tyllm::format::Members<tyllm::jobs::ProgramSummary> {
  using T = tyllm::jobs::ProgramSummary;
  static constexpr auto kTable = std::tuple{Member{"kind", &T::kind}, Member{"bucket", &T::bucket},
                                            Member{"arena_bytes", &T::arena_bytes}};
};

template <>
struct tyllm::format::Members<tyllm::jobs::DieSummary> {
  using T = tyllm::jobs::DieSummary;
  static constexpr auto kTable = std::tuple{Member{"die", &T::die},
                                            Member{"physical_die", &T::physical_die},
                                            Member{"heads", &T::heads},
                                            Member{"kv_heads", &T::kv_heads},
                                            Member{"kv_bytes", &T::kv_bytes},
                                            Member{"weight_bytes", &T::weight_bytes},
                                            Member{"arena_bytes", &T::arena_bytes}};
};

template <>
struct tyllm::format::Members<tyllm::jobs::ArtifactInspection> {
  using A = tyllm::jobs::ArtifactInspection;
  static constexpr auto kTable = std::tuple{
      Member{"kind", &A::kind},
      Member{"directory", &A::directory},
      Member{"backend", &A::backend},
      Member{"model", &A::model},
      Member{"dies", &A::dies},
      Member{"seq_lens", &A::seq_lens},
      Member{"max_kv", &A::max_kv},
      Member{"embedding_as_input", &A::embedding_as_input},
      Member{"head", &A::head},
      Member{"activations", &A::activations},
      Member{"group_size", &A::group_size},
      Member{"reduce_group", &A::reduce_group},
      Member{"in_12_bits", &A::in_12_bits},
      Member{"toolchain", &A::toolchain},
      Member{"measured", &A::measured},
      Member{"programs", &A::programs},
      Member{"die_list", &A::die_list},
      Member{"files", &A::files},
      Member{"total_bytes", &A::total_bytes},
  };
};
