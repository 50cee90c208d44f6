// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/file_system.h"
#include "worker/plan/program.h"

// Every name in an artifact directory (docs/formats/artifact-directory.md). The board's SDK insists
// on them. Paths are relative to the "<N>die" folder.
namespace tyllm::artifact {

/// Everything of the dies of a language model.
inline constexpr std::string_view kBatchFolder = "batch_1";
inline constexpr std::string_view kBufferConfigFile = "buffer_config.json";
inline constexpr std::string_view kManifestFile = "manifest.json";
inline constexpr std::string_view kConfigFile = "config.json";
inline constexpr std::string_view kTokenizerFile = "tokenizer.json";
inline constexpr std::string_view kEmptyFile = "empty.bin";
/// Token ids and what the float32 reference makes of them, which `tyllm verify` compares with.
inline constexpr std::string_view kGoldenFile = "golden.safetensors";
/// What the run on the die simulator found when the directory was made.
inline constexpr std::string_view kVerificationFile = "verification.json";
/// The embedding table of an artifact whose programs take embeddings.
inline constexpr std::string_view kEmbeddingFile = "embedding.npy";

/// "4die".
Path DieFolder(std::int64_t dies);
/// batch_1/common_die<d>.params
Path CommonParams(std::int64_t die);
/// batch_1/constant_die<d>_<bucket>.params
Path ConstantParams(std::int64_t die, std::int64_t bucket);
/// batch_1/seqlen_<bucket>/llm_die<d>.params
Path BindingParams(std::int64_t die, std::int64_t bucket);
/// batch_1/seqlen_<bucket>/<kind>_die<d>.so
Path ProgramObject(const plan::ProgramId& program, std::int64_t die);
/// batch_1/seqlen_<bucket>/<kind>_die<d>.cpp
Path ProgramSource(const plan::ProgramId& program, std::int64_t die);
/// batch_1/seqlen_<bucket>/ckpt_<kind>_die<d>.json
Path ProgramRecordFile(const plan::ProgramId& program, std::int64_t die);

}  // namespace tyllm::artifact
