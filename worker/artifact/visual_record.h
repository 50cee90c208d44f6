// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/artifact/manifest.h"

namespace tyllm::artifact {

/// visual/ckpt_vit_die<d>.json (docs/formats/visual.md): what a die has in visual/ and mrope/. It
/// is written last.
struct VisualRecord {
  std::int64_t version = 1;
  std::int64_t die = 0;
  std::string model;  ///< digest of the model's files
  Toolchain toolchain;
  domain::CompileOptions options;
  std::vector<FileEntry> files;
};

}  // namespace tyllm::artifact

template <>
struct tyllm::format::Members<tyllm::artifact::VisualRecord> {
  using R = tyllm::artifact::VisualRecord;
  static constexpr auto kTable = std::tuple{
      Member{"version", &R::version, true}, Member{"die", &R::die, true},
      Member{"model", &R::model, true},     Member{"toolchain", &R::toolchain, true},
      Member{"options", &R::options, true}, Member{"files", &R::files, true},
  };
};
