// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/domain/progress.h"
#include "worker/artifact/buffer_config.h"
#include "worker/artifact/manifest.h"
#include "worker/model/model_shape.h"

namespace tyllm::artifact {

/// A compiled model's directory, opened: what its small files say. Its weights and programs are not
/// touched.
struct Artifact {
  Path directory;  ///< the "<N>die" folder
  Manifest manifest;
  BufferConfig buffers;
  model::ModelShape shape;  ///< from config.json
};

/// A compiled model's folder and what its manifest says, whoever made it.
struct LabelledFolder {
  Path directory;  ///< the "<N>die" folder
  Manifest manifest;
};

/// OpenArtifact's first step: finds the folder, reads the manifest, and looks at sizes.
Result<LabelledFolder> ReadLabel(const Path& directory);

/// Whether `directory`, or its only "<N>die" child, has a manifest.
bool IsArtifact(const Path& directory);

/// The "<N>die" folder itself, or a folder with exactly one of them. kNotFound says what is
/// missing; kDataLoss names a file whose size is not the manifest's, or that is not there.
Result<Artifact> OpenArtifact(const Path& directory);

/// Compares every file with the manifest's digests, and looks for files that it does not name:
/// kDataLoss names the first that differs. Reports stage "check", in bytes.
Status CheckFiles(const Artifact& artifact, domain::ProgressSink& progress);

}  // namespace tyllm::artifact
