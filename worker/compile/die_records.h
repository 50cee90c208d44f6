// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "worker/compile/preparation.h"

// What is recorded of finished dies: the language model's programs (ckpt_<program>_die<d>.json) and
// what a die has in visual/ and mrope/ (visual/ckpt_vit_die<d>.json).
namespace tyllm::compile {

/// Whether the digests of dies' weights that their records give are those of the bytes on the disk:
/// this process saw them, or they come from elsewhere and are looked at. Of all other files the
/// bytes are always looked at.
enum class DieDigests : std::uint8_t { kKnown, kToBeChecked };

/// Files that a program's record names, in order: object and source where there are any, bindings,
/// constants, weights.
std::vector<Path> FilesOfProgram(const plan::ProgramId& program, std::int64_t die, bool compiled,
                                 bool keeps_source);

/// Files that the record of a die of the tower names; `preparation` has one.
std::vector<Path> VisualFilesOfDie(const Preparation& preparation, std::int64_t die);

/// What the records of all dies say.
class DieRecords {
 public:
  /// Reads them all: they must be of this request and name exactly the files that it makes, with
  /// their sizes and, where they are to be checked, their digests; and the same toolchain made all.
  /// kFailedPrecondition names the file that is missing or another.
  static Result<DieRecords> Read(const Preparation& preparation, DieDigests digests,
                                 const Path& root);

  const artifact::Toolchain& toolchain() const { return toolchain_; }

  /// Whether it is a record, or a file that one names.
  bool Has(const Path& file) const;

  /// What a file below `root` is now: kFailedPrecondition where its record says otherwise.
  Result<artifact::FileEntry> Describe(const Path& root, const Path& file) const;

 private:
  Status AddPrograms(const Preparation& preparation, const Path& root);
  Status AddVisual(const Preparation& preparation, const Path& root);
  Status AddToolchain(const artifact::Toolchain& toolchain, const Path& record);
  Status AddFiles(const std::vector<artifact::FileEntry>& files, const std::vector<Path>& expected,
                  const Path& root, const Path& record);
  Status CheckMrope(const Preparation& preparation, const Path& root) const;

  artifact::Toolchain toolchain_;
  std::map<std::string, artifact::FileEntry> files_;  ///< by path
  std::set<std::string> records_;
  std::set<std::string> known_;  ///< files whose bytes are not looked at again
};

}  // namespace tyllm::compile
