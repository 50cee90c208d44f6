// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "common/base/parallel.h"
#include "common/domain/task_options.h"
#include "common/format/json.h"
#include "worker/plan/program.h"

// manifest.json and ckpt_*.json (docs/formats/manifest.md): what an artifact directory is made of
// and from.
namespace tyllm::artifact {

/// A file of a directory: relative name, size, digest.
struct FileEntry {
  std::string path;
  std::uint64_t bytes = 0;
  std::string sha256;
  bool operator==(const FileEntry&) const = default;
};

/// What made the programs: part of every key of a cache.
struct Toolchain {
  std::string version;  ///< of tyllm
  std::int64_t abi_version = 0;
  std::string kernels;   ///< digest of the kernel headers
  std::string compiler;  ///< first line of its --version
  std::string flags;
  std::string target_cpu;
  bool operator==(const Toolchain&) const = default;
};

/// ckpt_<kind>_die<d>.json: one finished program. It is written last, so a program with a record
/// that fits is not made again.
struct ProgramRecord {
  std::int64_t version = 1;
  plan::ProgramKind kind = plan::ProgramKind::kDecode;
  std::int64_t bucket = 0;
  std::int64_t die = 0;
  std::string model;        ///< digest of the model's files
  std::string plan_digest;  ///< die::Program::plan_digest
  Toolchain toolchain;
  domain::CompileOptions options;
  std::vector<FileEntry> files;  ///< what the program needs, itself first
  bool operator==(const ProgramRecord&) const = default;
};

struct ModelEntry {
  std::string family;
  std::string architecture;
  std::string format;  ///< "awq", "amtc", "float"
  std::string digest;  ///< of the files that the model is made of
};

/// What the run on the die simulator measured when the directory was made.
struct Measured {
  std::int64_t rows = 0;  ///< of logits that were compared with the float32 reference
  double kl_divergence = 0;
  double top1_agreement = 0;
  double max_logit_difference = 0;
};

inline constexpr std::int64_t kManifestVersion = 2;
inline constexpr std::string_view kSimBackend = "sim";

struct Manifest {
  std::int64_t version = kManifestVersion;
  std::string backend = "sim";  ///< native shared objects for the die simulator, not for silicon
  ModelEntry model;
  domain::CompileOptions options;
  Toolchain toolchain;
  std::optional<Measured> measured;  ///< none where it was not run
  std::vector<FileEntry> files;      ///< every file but the manifest itself, sorted by path
  std::string seal;                  ///< SHA-256 of this file with zeros in the seal's place
};

/// Writes `root`/manifest.json, sealed.
Status WriteManifest(FileSystem& files, const Path& root, Manifest manifest);
/// kDataLoss when the text is not what was sealed: no byte of it can change unseen.
Result<Manifest> ReadManifest(const Path& path);

/// Size and digest of `root`/`path`.
Result<FileEntry> DescribeFile(const Path& root, const Path& path);
/// Every regular file below `root` but `except`, sorted.
Result<std::vector<Path>> ListFiles(const Path& root, std::span<const Path> except = {});
/// One digest of names, sizes and contents of `files` below `root`, in their order; they are read
/// side by side. `read` is told of bytes as they are read, by a thread at a time.
Result<std::string> DigestOfFiles(const Path& root, std::span<const Path> files, ThreadPool& pool,
                                  const std::function<void(std::uint64_t)>& read = {});

}  // namespace tyllm::artifact

template <>
struct tyllm::format::Members<tyllm::artifact::FileEntry> {
  using F = tyllm::artifact::FileEntry;
  static constexpr auto kTable =
      std::tuple{Member{"path", &F::path, true}, Member{"bytes", &F::bytes, true},
                 Member{"sha256", &F::sha256, true}};
};

template <>
struct tyllm::format::Members<tyllm::artifact::Toolchain> {
  using T = tyllm::artifact::Toolchain;
  static constexpr auto kTable = std::tuple{
      Member{"version", &T::version, true}, Member{"abi_version", &T::abi_version, true},
      Member{"kernels", &T::kernels, true}, Member{"compiler", &T::compiler, true},
      Member{"flags", &T::flags, true},     Member{"target_cpu", &T::target_cpu, true},
  };
};

template <>
struct tyllm::format::Members<tyllm::artifact::ProgramRecord> {
  using R = tyllm::artifact::ProgramRecord;
  static constexpr auto kTable = std::tuple{
      Member{"version", &R::version, true},     Member{"kind", &R::kind, true},
      Member{"bucket", &R::bucket, true},       Member{"die", &R::die, true},
      Member{"model", &R::model, true},         Member{"plan_digest", &R::plan_digest, true},
      Member{"toolchain", &R::toolchain, true}, Member{"options", &R::options, true},
      Member{"files", &R::files, true},
  };
};

template <>
struct tyllm::format::Members<tyllm::artifact::ModelEntry> {
  using M = tyllm::artifact::ModelEntry;
  static constexpr auto kTable = std::tuple{
      Member{"family", &M::family, true},
      Member{"architecture", &M::architecture, true},
      Member{"format", &M::format, true},
      Member{"digest", &M::digest, true},
  };
};

template <>
struct tyllm::format::Members<tyllm::artifact::Measured> {
  using M = tyllm::artifact::Measured;
  static constexpr auto kTable = std::tuple{
      Member{"rows", &M::rows, true},
      Member{"kl_divergence", &M::kl_divergence, true},
      Member{"top1_agreement", &M::top1_agreement, true},
      Member{"max_logit_difference", &M::max_logit_difference, true},
  };
};

template <>
struct tyllm::format::Members<tyllm::artifact::Manifest> {
  using M = tyllm::artifact::Manifest;
  static constexpr auto kTable = std::tuple{
      Member{"version", &M::version, true},     Member{"backend", &M::backend, true},
      Member{"model", &M::model, true},         Member{"options", &M::options, true},
      Member{"toolchain", &M::toolchain, true}, Member{"measured", &M::measured},
      Member{"files", &M::files, true},         Member{"seal", &M::seal, true},
  };
};
