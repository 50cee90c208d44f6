// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/vendor/compile_with_vendor.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "common/base/staging.h"
#include "common/base/version.h"
#include "worker/artifact/layout.h"
#include "worker/compile/assemble.h"
#include "worker/compile/own_names.h"

namespace tyllm::compile {
namespace {

namespace fs = std::filesystem;

/// "If files are missing, copy them by hand", its manual says. A tokenizer that was asked for takes
/// the place of the model's.
Status AddMissingFiles(FileSystem& files, const Preparation& preparation, const Path& root) {
  const model::Checkpoint& checkpoint = preparation.model.checkpoint;
  for (const Path& passenger : checkpoint.PassengerFiles()) {
    std::error_code error;
    if (!IsOwnName(passenger) && !fs::exists(root / passenger, error)) {
      TYLLM_TRY(CopyFile(files, checkpoint.directory() / passenger, root / passenger));
    }
  }
  return CopyTokenizer(files, preparation.source_tokenizer, root);
}

Result<std::uint64_t> WriteVendorManifest(FileSystem& files, const Preparation& preparation,
                                          const VendorRun& run, const Path& root) {
  artifact::Manifest manifest;
  const model::Checkpoint& checkpoint = preparation.model.checkpoint;
  manifest.backend = "tytvm";
  manifest.model = {checkpoint.shape().family, checkpoint.shape().architecture,
                    std::string(model::kCheckpointFormatNames.Name(checkpoint.format())),
                    preparation.model_digest};
  manifest.options = preparation.options;
  manifest.toolchain.version = Version();
  manifest.toolchain.compiler = "tytvm " + run.version;
  const std::array<Path, 2> own = {artifact::kManifestFile, Staging::kKeyFile};
  TYLLM_ASSIGN(const std::vector<Path> paths, artifact::ListFiles(root, own));
  std::uint64_t bytes = 0;
  for (const Path& path : paths) {
    TYLLM_ASSIGN(artifact::FileEntry entry, artifact::DescribeFile(root, path));
    bytes += entry.bytes;
    manifest.files.push_back(std::move(entry));
  }
  TYLLM_TRY(artifact::WriteManifest(files, root, std::move(manifest)));
  return bytes;
}

}  // namespace

Result<CompileSummary> CompileWithVendor(FileSystem& files, const CompileRequest& request,
                                         const VendorSettings& settings, const Path& out,
                                         const OnVendorLine& on_line,
                                         domain::ProgressSink& progress) {
  const Path final_path = out / artifact::DieFolder(request.options.dies);
  CompileRequest told = request;
  if (std::ranges::all_of(request.problems, &Status::ok)) {  // else it may be one of them
    told.problems.push_back(CheckVendorCommand(settings));
  }
  TYLLM_ASSIGN(const Preparation preparation,
               Prepare(told, NeedsCompiler::kNo, progress, {nullptr, final_path}));
  TYLLM_ASSIGN(Staging staging, Staging::Open(files, final_path, preparation.Key(),
                                              Staging::Unfinished::kThrowAway));
  Path tree = staging.scratch() / artifact::DieFolder(request.options.dies);
  TYLLM_TRY(files.CreateDirectories(tree));
  const Result<VendorRun> run =
      RunVendor(files, preparation, settings, request.jobs, request.compiler_id, tree,
                staging.scratch(), on_line, progress);
  if (run.status().code() == StatusCode::kUnavailable) {
    staging.Discard();  // nothing was done that anybody would look at
  }
  TYLLM_TRY(run.status());
  TYLLM_TRY(AddMissingFiles(files, preparation, tree));
  TYLLM_TRY(CheckVendorTree(preparation, tree));
  for (const fs::directory_entry& entry : fs::directory_iterator(tree)) {
    TYLLM_TRY(files.Rename(entry.path(), staging.path() / entry.path().filename()));
  }
  TYLLM_TRY(files.RemoveAll(staging.scratch()));
  CompileSummary summary;
  summary.directory = final_path;
  summary.counts.programs = std::ssize(preparation.programs) * preparation.options.dies;
  TYLLM_ASSIGN(summary.bytes, WriteVendorManifest(files, preparation, *run, staging.path()));
  TYLLM_TRY(staging.Commit());
  progress.Report({"vendor", 3, 3, "steps", ""});
  return summary;
}

}  // namespace tyllm::compile
