// SPDX-License-Identifier: Apache-2.0
#include "server/blobs/folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <map>
#include <system_error>

#include "common/base/blob_path.h"
#include "common/base/list_folder.h"

namespace tyllm::server::blobs {

namespace {

namespace fs = std::filesystem;

std::optional<std::uint64_t> SizeOf(const Path& path) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  return error ? std::nullopt : std::optional<std::uint64_t>(size);
}

std::int64_t ModifiedUnixMillis(const Path& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    return 0;
  }
  return static_cast<std::int64_t>(info.st_mtim.tv_sec) * 1000 + info.st_mtim.tv_nsec / 1'000'000;
}

}  // namespace

Folder::Folder(FileSystem& files, Path root, const Clock& clock)
    : files_(files), root_(std::move(root)), clock_(clock) {}

Status Folder::Open() {
  for (const char* const part : {"complete", "partial", "corrupt"}) {
    TYLLM_TRY(files_.CreateDirectories(root_ / part));
  }
  TYLLM_TRY(files_.SyncDirectory(root_));
  TYLLM_TRY(files_.SyncDirectory(root_.has_parent_path() ? root_.parent_path() : Path(".")));
  std::uint64_t total = 0;
  std::set<Path> fans;
  TYLLM_ASSIGN(const std::vector<Path> found, ListFolder(root_ / "complete"));
  for (const Path& fan : found) {
    TYLLM_ASSIGN(const std::vector<Path> complete, ListFolder(fan));
    for (const Path& blob : complete) {
      total += SizeOf(blob).value_or(0);
    }
    TYLLM_TRY(files_.SyncDirectory(fan));
    fans.insert(fan);
  }
  TYLLM_TRY(files_.SyncDirectory(root_ / "complete"));
  auto shared = shared_.Lock();
  shared->total = total;
  shared->fans = std::move(fans);
  return OkStatus();
}

Path Folder::CompletePath(const BlobId& id) const {
  return CompleteBlobPath(root_, id.sha256);
}

Path Folder::PartialPath(const BlobId& id, int slot) const {
  return root_ / "partial" /
         (id.sha256.Hex() + "-" + std::to_string(id.size) + "." + std::to_string(slot));
}

bool Folder::Has(const BlobId& id) {
  {
    auto shared = shared_.Lock();
    if (shared->publishing.contains(id) || shared->doubtful.contains(id)) {
      return false;
    }
  }
  return SizeOf(CompletePath(id)) == id.size;
}

std::uint64_t Folder::total_bytes() {
  auto shared = shared_.Lock();
  return shared->total;
}

std::optional<Folder::Slot> Folder::LongestIdle(const Shared& shared, const BlobId& id) const {
  std::optional<Slot> longest;
  for (int i = 0; i < kSlots; ++i) {
    Slot slot{PartialPath(id, i), 0};
    if (shared.writing.contains(slot.path)) {
      continue;
    }
    slot.size = SizeOf(slot.path).value_or(0);
    if (slot.size > id.size) {
      slot.size = 0;  // not of our writing; it will be truncated
    }
    if (!longest || slot.size > longest->size) {
      longest = slot;
    }
  }
  return longest;
}

std::uint64_t Folder::ResumableBytes(const BlobId& id) {
  auto shared = shared_.Lock();
  const std::optional<Slot> longest = LongestIdle(*shared, id);
  return longest ? longest->size : 0;
}

Result<Folder::Slot> Folder::TakeSlot(const BlobId& id, std::uint64_t offset) {
  auto shared = shared_.Lock();
  std::optional<Slot> slot = LongestIdle(*shared, id);
  if (!slot) {
    return Unavailable("blob " + id.ToString() + " has " + std::to_string(kSlots) +
                       " uploads going on already; wait for one of them to end");
  }
  if (offset != 0 && offset != slot->size) {
    return OutOfRange("the upload of blob " + id.ToString() + " cannot go on at byte " +
                      std::to_string(offset) + ", it is at byte " + std::to_string(slot->size) +
                      "; ask where to go on and start again from there")
        .With("offset", static_cast<std::int64_t>(slot->size));
  }
  slot->size = offset;
  shared->writing.insert(slot->path);
  return *slot;
}

void Folder::ReleaseSlot(const Slot& slot) {
  NoteTime(slot.path);
  auto shared = shared_.Lock();
  shared->writing.erase(slot.path);
}

// Those of which it is not known that they are durable, and what becomes of them. A folder that is
// there may have been made by another upload a moment ago: whoever needs it first as a durable one
// makes it so.
std::map<Path, Status> Folder::MakeFans(std::span<const Move> moves) {
  std::map<Path, Status> made;
  {
    auto shared = shared_.Lock();
    for (const Move& move : moves) {
      const Path fan = CompletePath(move.arrived.id).parent_path();
      if (move.is_missing && !shared->fans.contains(fan)) {
        made.emplace(fan, OkStatus());
      }
    }
  }
  if (made.empty()) {
    return made;
  }
  for (auto& [fan, status] : made) {
    status = files_.CreateDirectories(fan);
  }
  const Status durable = files_.SyncDirectory(root_ / "complete");
  auto shared = shared_.Lock();
  for (auto& [fan, status] : made) {
    if (status.ok()) {
      status = durable;
    }
    if (status.ok()) {
      shared->fans.insert(fan);
    }
  }
  return made;
}

// All at once, or two that publish the same blobs in another order would wait for each other.
std::vector<Folder::Move> Folder::BeginPublishing(std::span<const Arrived> arrived) {
  std::vector<Move> moves;
  auto shared = shared_.Lock();
  shared.Wait([&](const Shared& s) {
    return std::ranges::none_of(arrived,
                                [&](const Arrived& one) { return s.publishing.contains(one.id); });
  });
  for (const Arrived& one : arrived) {
    shared->publishing.insert(one.id);
    moves.push_back({.arrived = one, .doubtful = shared->doubtful.contains(one.id), .status = {}});
  }
  return moves;
}

void Folder::LookForPlace(Move& move) {
  const auto& [id, partial] = move.arrived;
  move.before = SizeOf(CompletePath(id));
  move.is_missing = move.before != id.size || move.doubtful;
  if (!move.is_missing) {
    move.status = files_.RemoveAll(partial);
  }
}

void Folder::Settle(Move& move, const Status& durable) {
  const BlobId& id = move.arrived.id;
  move.status = durable;
  // What may vanish with the power must not be seen.
  const bool doubtful = !durable.ok() && !files_.RemoveAll(CompletePath(id)).ok();
  auto shared = shared_.Lock();
  if (doubtful) {
    shared->doubtful.insert(id);
  } else {
    shared->doubtful.erase(id);
  }
}

void Folder::EndPublishing(const Move& move) {
  const BlobId& id = move.arrived.id;
  if (move.status.ok()) {
    NoteUse(id);  // the file of an upload that went on later may be as old as what nobody uses
  }
  auto shared = shared_.Lock();
  shared->publishing.erase(id);
  if (move.status.ok()) {
    shared->total += id.size - move.before.value_or(0);
    DropIdleSlots(*shared, id);
  }
}

std::vector<Status> Folder::PublishAll(std::span<const Arrived> arrived) {
  std::vector<Move> moves = BeginPublishing(arrived);
  for (Move& move : moves) {
    LookForPlace(move);
  }
  const std::map<Path, Status> made = MakeFans(moves);
  std::map<Path, std::vector<Move*>> moved;
  for (Move& move : moves) {
    if (!move.is_missing) {
      continue;
    }
    const Path target = CompletePath(move.arrived.id);
    const auto fan = made.find(target.parent_path());
    move.status = fan == made.end() ? OkStatus() : fan->second;
    if (move.status.ok()) {
      move.status = files_.Rename(move.arrived.partial, target);
    }
    if (move.status.ok()) {
      moved[target.parent_path()].push_back(&move);
    }
  }
  // All names before the first sync: the file system's log then has them all.
  for (const auto& [fan, of_fan] : moved) {
    const Status durable = files_.SyncDirectory(fan);
    for (Move* const move : of_fan) {
      Settle(*move, durable);
    }
  }
  std::vector<Status> ended;
  for (const Move& move : moves) {
    EndPublishing(move);
    ended.push_back(move.status);
  }
  shared_.Notify();
  return ended;
}

Status Folder::Publish(const BlobId& id, const Path& partial) {
  const Arrived one{id, partial};
  return PublishAll(std::span(&one, 1)).front();
}

void Folder::DropIdleSlots(const Shared& shared, const BlobId& id) const {
  for (int i = 0; i < kSlots; ++i) {
    const Path path = PartialPath(id, i);
    if (!shared.writing.contains(path)) {
      (void)files_.RemoveAll(path);
    }
  }
}

Path Folder::SetAsidePath(const BlobId& id) const {
  return root_ / "corrupt" / id.sha256.Hex();
}

// What is there now goes only by another reader that sets it aside, which waits here, or as unused.
void Folder::SetAside(const BlobId& id, const FileRange& read) {
  const Path path = CompletePath(id);
  auto shared = shared_.Lock();
  if (!read.IsAt(path)) {
    return;
  }
  const std::uint64_t size = SizeOf(path).value_or(0);
  if (files_.Rename(path, SetAsidePath(id)).ok()) {
    shared->total -= size;
  }
}

// The kernel's time would be another than the clock's when the machine's was set meanwhile.
void Folder::NoteTime(const Path& path) const {
  const std::int64_t now = clock_.UnixMillis();
  struct timespec time{};
  time.tv_sec = now / 1000;
  time.tv_nsec = now % 1000 * 1'000'000;
  const std::array times{time, time};
  ::utimensat(AT_FDCWD, path.c_str(), times.data(), 0);
}

bool Folder::IsOlder(const Path& path, std::int64_t before_unix_millis) const {
  const std::int64_t noted = ModifiedUnixMillis(path);
  if (noted > clock_.UnixMillis()) {
    NoteTime(path);
    return false;
  }
  return noted < before_unix_millis;
}

// The time of a blob's file is when it was uploaded or used last.
void Folder::NoteUse(const BlobId& id) {
  NoteTime(CompletePath(id));
}

bool Folder::RemoveIfUnused(const Path& path, std::int64_t before_unix_millis) {
  auto shared = shared_.Lock();  // an upload of it that ends just now is waited for, or waits
  const std::optional<std::uint64_t> size = SizeOf(path);
  if (!size || !IsOlder(path, before_unix_millis) || !files_.RemoveAll(path).ok()) {
    return false;
  }
  shared->total -= *size;
  return true;
}

Result<BlobStore::Removed> Folder::RemoveUnused(std::span<const BlobId> used,
                                                std::int64_t before_unix_millis) {
  BlobStore::Removed removed;
  TYLLM_ASSIGN(const std::vector<Path> fans, ListFolder(root_ / "complete"));
  for (const Path& fan : fans) {
    TYLLM_ASSIGN(const std::vector<Path> complete, ListFolder(fan));
    for (const Path& blob : complete) {
      const auto digest = Sha256::FromHex(blob.filename().string());
      const std::optional<std::uint64_t> size = SizeOf(blob);
      if (!digest.ok() || !size ||
          std::binary_search(used.begin(), used.end(), BlobId{*digest, *size})) {
        continue;  // not a blob, or one that is wanted
      }
      if (RemoveIfUnused(blob, before_unix_millis)) {
        ++removed.blobs;
        removed.bytes += *size;
      }
    }
  }
  return removed;
}

Status Folder::DropStaleUploads(std::int64_t before_unix_millis) {
  TYLLM_ASSIGN(const std::vector<Path> partial, ListFolder(root_ / "partial"));
  for (const Path& path : partial) {
    auto shared = shared_.Lock();
    if (!shared->writing.contains(path) && IsOlder(path, before_unix_millis)) {
      TYLLM_TRY(files_.RemoveAll(path));
    }
  }
  return OkStatus();
}

}  // namespace tyllm::server::blobs
