// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/file_system.h"
#include "common/base/lock_file.h"

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
/// time: "<final>.partial.lock" is locked before anything is looked at, and while a Staging lives.
/// Links on the way to the folder are followed.
class Staging {
 public:
  /// Says what the unfinished work is of; not part of the result.
  static constexpr const char* kKeyFile = ".request";

  /// Where the key is while "<final>.partial" gets its name.
  static Path KeyBeside(const Path& partial);

  enum class Unfinished : std::uint8_t {
    kKeep,
    kThrowAway,  ///< what was left is not gone on with
    /// Nobody goes on with it: it goes away with the Staging. Work of another key, which somebody
    /// may go on with, is in the way.
    kNever,
  };

  /// What of Open's errors can be told without touching anything.
  static Status CheckPlace(const Path& final_path);

  /// kAlreadyExists when `final_path` exists and is not an empty folder, or "<final>.partial" holds
  /// something without a key; kFailedPrecondition while another process writes there, and where
  /// the folder could not get its name; kInvalidArgument for a link that leads nowhere. `records`
  /// is a folder of the work that says what of it is finished, and is no part of the result.
  static Result<Staging> Open(FileSystem& files, const Path& final_path, const std::string& key,
                              Unfinished unfinished = Unfinished::kKeep, const Path& records = {});
  Staging(Staging&& other) noexcept;
  Staging& operator=(Staging&& other) = delete;
  ~Staging();

  /// Where to write.
  const Path& path() const { return path_; }

  /// For files that do not belong to the result; goes away with Commit.
  Path scratch() const;

  /// Whether work of the same key was found.
  bool resumed() const { return resumed_; }

  /// Removes the scratch folder and the records and gives the folder its final name, durably.
  /// kAlreadyExists when something has come there meanwhile: it stays, and so does the work, which
  /// also stays, with its records, where the name cannot be given for another reason (that of
  /// kNever goes away then).
  Status Commit();

  /// Throws the unfinished work away: going on with it would fail again.
  void Discard();

 private:
  Staging(FileSystem& files, Path final_path, Unfinished unfinished, const Path& records,
          LockFile lock);

  /// Says in resumed_ whether there is work of the same key, all of it in its place.
  Status Find(const std::string& key);
  /// A folder with nothing but its key.
  Status Begin(const std::string& key);

  Status InTheWay(const std::string& what) const;

  /// The folder without what is no part of the result, under its final name.
  Status GiveName();
  /// What GiveName took out of the folder, in it again.
  Status PutBack();
  /// The work back to what can be gone on with, or to a folder that no later run takes for its own.
  Status TakeBack(const Status& why);
  Status ThrowAway();

  FileSystem* files_;
  Path final_;
  Path path_;
  Path records_;         ///< in path_; may be empty
  Path records_beside_;  ///< while the folder gets its name
  Unfinished unfinished_;
  bool resumed_ = false;
  bool passing_ = false;  ///< goes away with this object
  LockFile lock_;
};

}  // namespace tyllm
