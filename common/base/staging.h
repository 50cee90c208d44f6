// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/file_system.h"
#include "common/base/handle.h"

namespace tyllm {

/// Whether a file of this name is one that nobody finished: it ends in ".tmp" or
/// ".tmp.<number>", as WriteFileAtomically and the writers of large files name what they have not
/// renamed yet.
bool IsUnfinishedName(std::string_view name);

/// A folder that appears under its final name only when it is complete, and whose unfinished work
/// is kept: "<final>.partial" stays when the work is killed or fails, and the next one with
/// the same key goes on there, on this machine or on another that the folder was copied to without
/// its scratch folder. Work of another key is thrown away, and so is what a kill left under an
/// unfinished name. Files in it must get their names only when they are complete. One process at a
/// time: the key file is locked while a Staging lives. Links on the way to the folder are followed.
class Staging {
 public:
  /// Says what the unfinished work is of; not part of the result.
  static constexpr const char* kKeyFile = ".request";

  /// Where the key is while "<final>.partial" is removed or gets its name: whoever is killed
  /// meanwhile leaves no folder of which nobody knows whose it is.
  static Path KeyBeside(const Path& partial);

  enum class Unfinished : std::uint8_t {
    kKeep,
    kThrowAway,  ///< what was left is not gone on with
    /// Nobody goes on with it: it goes away with the Staging. Work of another key, which somebody
    /// may go on with, is in the way.
    kNever,
  };

  /// kAlreadyExists when `final_path` exists and is not an empty folder, or "<final>.partial" holds
  /// something without a key; kFailedPrecondition while another process writes there, and where
  /// the folder could not get its name; kInvalidArgument for a link that leads nowhere.
  static Result<Staging> Open(FileSystem& files, const Path& final_path, const std::string& key,
                              Unfinished unfinished = Unfinished::kKeep);
  Staging(Staging&& other) noexcept;
  Staging& operator=(Staging&& other) = delete;
  ~Staging();

  /// Where to write.
  const Path& path() const { return path_; }

  /// For files that do not belong to the result; goes away with Commit.
  Path scratch() const;

  /// Whether work of the same key was found.
  bool resumed() const { return resumed_; }

  /// Removes the scratch folder and gives the folder its final name, durably. kAlreadyExists when
  /// something has come there meanwhile: it stays, and so does the work.
  Status Commit();

  /// Throws the unfinished work away: going on with it would fail again.
  void Discard();

 private:
  Staging(FileSystem& files, Path final_path, Path path)
      : files_(&files), final_(std::move(final_path)), path_(std::move(path)) {}

  /// Locks what is there and says in resumed_ whether it is of the same key.
  Status Find(const std::string& key, Unfinished unfinished);

  Status InTheWay(const std::string& what) const;

  /// The work back to what can be gone on with, or to a folder that no later run takes for its own.
  Status TakeBack();

  FileSystem* files_;
  Path final_;
  Path path_;
  bool resumed_ = false;
  bool passing_ = false;  ///< goes away with this object
  Fd lock_;
};

}  // namespace tyllm
