// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/proof.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "worker/artifact/artifact.h"
#include "worker/artifact/layout.h"

namespace tyllm::compile {
namespace {

/// Three digits: what is said of a measurement, and the same on every machine.
double Rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g", value);
  return std::strtod(text, nullptr);
}

/// The report travels with what it is about: verification.json, and its sum in the manifest.
Status AddReport(FileSystem& files, simulator::VerifyReport report, const Path& root) {
  report.directory.clear();
  report.max_difference = Rounded(report.max_difference);
  report.kl_divergence = Rounded(report.kl_divergence);
  report.kl_largest = Rounded(report.kl_largest);
  report.visual_max_difference = Rounded(report.visual_max_difference);
  for (simulator::SegmentDifference& segment : report.segments) {
    segment.max_difference = Rounded(segment.max_difference);
    segment.relative_error = Rounded(segment.relative_error);
    segment.cosine = Rounded(segment.cosine);
  }
  TYLLM_TRY(WriteFileAtomically(files, root / artifact::kVerificationFile,
                                format::PrettyJson(format::ToJson(report))));
  TYLLM_ASSIGN(artifact::Manifest manifest, artifact::ReadManifest(root / artifact::kManifestFile));
  manifest.measured = {report.rows, report.kl_divergence, Rounded(report.top1_agreement()),
                       report.max_difference};
  TYLLM_ASSIGN(artifact::FileEntry entry,
               artifact::DescribeFile(root, artifact::kVerificationFile));
  std::erase_if(manifest.files, [&](const artifact::FileEntry& f) { return f.path == entry.path; });
  manifest.files.push_back(std::move(entry));
  std::sort(manifest.files.begin(), manifest.files.end(),
            [](const artifact::FileEntry& a, const artifact::FileEntry& b) {
              return Path(a.path) < Path(b.path);
            });
  return artifact::WriteManifest(files, root, std::move(manifest));
}

}  // namespace

Result<simulator::VerifyReport> Prove(FileSystem& files, const Path& root,
                                      domain::ProgressSink& progress) {
  simulator::VerifyRequest request;
  request.directory = root;
  request.check_files = false;  // the manifest was taken from them a moment ago
  Result<simulator::VerifyReport> report = simulator::Verify(request, progress);
  if (!report.ok()) {
    return NotProven(files, root, report.status());
  }
  TYLLM_TRY(AddReport(files, *report, root));
  return report;
}

Status NotProven(FileSystem& files, const Path& root, const Status& why) {
  if (why.code() == StatusCode::kDataLoss) {
    TYLLM_TRY(files.RemoveAll(root));
    return why.Annotate("the compiled model was run and is not right");
  }
  return why.Annotate("the compiled model is complete, but could not be run here to prove it; " +
                      root.string() +
                      " is kept: once the reason is gone, or on a machine with more memory that "
                      "the folder was copied to, the same command goes on there; the reason");
}

}  // namespace tyllm::compile
