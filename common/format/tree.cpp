// SPDX-License-Identifier: Apache-2.0
#include "common/format/tree.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <system_error>

namespace tyllm::format {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFirstLine = "tyllm-tree-v1\n";
constexpr std::size_t kHexDigits = 64;
constexpr std::size_t kLongestPath = 4096;  ///< Linux's PATH_MAX
constexpr std::size_t kLongestPart = 255;   ///< and NAME_MAX
constexpr std::size_t kShown = 40;

bool IsSafePart(std::string_view part) {
  return !part.empty() && part != "." && part != "..";
}

// Control characters would break the lines of the text, and terminals.
bool IsControl(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

Status CheckParts(std::string_view path) {
  while (true) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.size() > kLongestPart) {
      return InvalidArgument("it has a part '" + std::string(part.substr(0, kShown)) + "...' of " +
                             std::to_string(part.size()) + " bytes, expected at most " +
                             std::to_string(kLongestPart) + "; shorten the name");
    }
    if (!IsSafePart(part)) {
      return InvalidArgument("it has a part '" + std::string(part) +
                             "', expected a relative path without '.', '..' and empty parts");
    }
    if (slash == std::string_view::npos) {
      return OkStatus();
    }
    path.remove_prefix(slash + 1);
  }
}

/// Says of a path that is refused as much as a line can show.
Status CheckPath(std::string_view path) {
  const bool cut = path.size() > kLongestPart;
  const std::string name =
      "path '" + std::string(path.substr(0, cut ? kShown : path.size())) + (cut ? "...'" : "'");
  if (path.size() > kLongestPath) {
    return InvalidArgument(name + " has " + std::to_string(path.size()) +
                           " bytes, expected at most " + std::to_string(kLongestPath) +
                           "; shorten the names of its folders");
  }
  if (std::any_of(path.begin(), path.end(), IsControl)) {
    return InvalidArgument(name + " has control characters; rename the file");
  }
  return CheckParts(path).Annotate(name);
}

Status Refuse(std::size_t line, const std::string& problem) {
  return InvalidArgument("tree: line " + std::to_string(line) + ": " + problem);
}

Result<std::uint64_t> ParseSize(std::string_view text) {
  std::uint64_t size = 0;
  const char* const end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, size);
  const bool canonical = text == "0" || (!text.empty() && text.front() != '0');
  if (error != std::errc() || last != end || !canonical) {
    return InvalidArgument("size is '" + std::string(text.substr(0, 40)) +
                           "', expected a number of bytes");
  }
  return size;
}

Result<TreeEntry> ParseEntry(std::string_view line) {
  // <sha256> <size> <x|-> <path>
  if (line.size() <= kHexDigits || line[kHexDigits] != ' ') {
    return InvalidArgument("expected '<sha256> <size> <x or -> <path>'");
  }
  TreeEntry entry;
  TYLLM_ASSIGN(entry.blob.sha256, Sha256::FromHex(line.substr(0, kHexDigits)));
  line.remove_prefix(kHexDigits + 1);
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || line.size() < space + 4 || line[space + 2] != ' ') {
    return InvalidArgument("expected '<size> <x or -> <path>' after the digest");
  }
  TYLLM_ASSIGN(entry.blob.size, ParseSize(line.substr(0, space)));
  const char mode = line[space + 1];
  if (mode != 'x' && mode != '-') {
    return InvalidArgument(std::string("mode is '") + mode + "', expected 'x' or '-'");
  }
  entry.executable = mode == 'x';
  const std::string_view path = line.substr(space + 3);
  TYLLM_TRY(CheckPath(path));
  entry.path = path;
  return entry;
}

// Paths are sorted by bytes, so a file's name that is also a folder ("a" and "a/b") need not be a
// neighbour ("a", "a-b", "a/b"). But all that begin with it follow it without a gap: `begun` holds
// those before this entry that it begins with, each the beginning of the next, so that only the
// last is compared.
Status CheckNoFileIsFolder(const Tree& tree) {
  std::vector<std::string_view> begun;
  for (const TreeEntry& entry : tree.entries) {
    const std::string_view path = entry.path;
    while (!begun.empty() && !path.starts_with(begun.back())) {
      begun.pop_back();
    }
    const auto folder = std::ranges::find_if(
        begun, [&](std::string_view file) { return path[file.size()] == '/'; });
    if (folder != begun.end()) {
      return InvalidArgument("tree: '" + std::string(*folder) + "' is a file and a folder of '" +
                             entry.path + "'");
    }
    begun.push_back(path);
  }
  return OkStatus();
}

Status CheckTotal(const Tree& tree) {
  std::uint64_t total = 0;
  for (const TreeEntry& entry : tree.entries) {
    if (entry.blob.size > std::numeric_limits<std::uint64_t>::max() - total) {
      return InvalidArgument("tree: the sizes add up to more than 64 bits can hold");
    }
    total += entry.blob.size;
  }
  return OkStatus();
}

struct FoundFile {
  std::string path;  ///< within the tree
  Path file;
  std::uint64_t size = 0;
  bool executable = false;
};

Result<FoundFile> Describe(const Path& file, std::string path) {
  TYLLM_TRY(CheckPath(path).Annotate("file " + file.string()));
  std::error_code error;
  const fs::file_status status = fs::status(file, error);  // follows links
  if (error || !fs::is_regular_file(status)) {
    return InvalidArgument(file.string() +
                           " is not a regular file, a link to one or a folder; remove it");
  }
  const std::uint64_t size = fs::file_size(file, error);
  if (error) {
    return FromErrno(error.value(), "asking for the size of " + file.string());
  }
  const bool executable = (status.permissions() & fs::perms::owner_exec) != fs::perms::none;
  return FoundFile{std::move(path), file, size, executable};
}

Result<std::vector<FoundFile>> FindFiles(const Path& directory) {
  std::vector<FoundFile> found;
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    if (!fs::exists(directory, error)) {
      return NotFound(directory.string() + " does not exist, expected a folder or a file");
    }
    TYLLM_ASSIGN(FoundFile file, Describe(directory, directory.filename().string()));
    found.push_back(std::move(file));
    return found;
  }
  fs::recursive_directory_iterator it(directory, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (it->is_directory(error) && !it->is_symlink(error)) {
      continue;
    }
    TYLLM_ASSIGN(FoundFile file,
                 Describe(it->path(), it->path().lexically_relative(directory).generic_string()));
    found.push_back(std::move(file));
  }
  if (error) {
    return FromErrno(error.value(), "reading folder " + directory.string());
  }
  std::sort(found.begin(), found.end(),
            [](const FoundFile& a, const FoundFile& b) { return a.path < b.path; });
  return found;
}

/// Digests them; they are sorted.
Result<Tree> DigestFiles(const std::vector<FoundFile>& files,
                         const std::function<void(std::uint64_t, std::uint64_t)>& progress,
                         const std::stop_token& stop) {
  std::uint64_t total = 0;
  for (const FoundFile& file : files) {
    total += file.size;
  }
  Tree tree;
  std::uint64_t done = 0;
  for (const FoundFile& file : files) {
    TYLLM_ASSIGN(const BlobId blob, DigestOfFile(file.file, stop));
    if (blob.size != file.size) {
      return Aborted(file.file.string() + " changed while it was read, from " +
                     std::to_string(file.size) + " to " + std::to_string(blob.size) +
                     " bytes; try again when nothing writes to it");
    }
    tree.entries.push_back({file.path, blob, file.executable});
    done += blob.size;
    if (progress) {
      progress(done, total);
    }
  }
  return tree;
}

}  // namespace

std::uint64_t Tree::bytes() const {
  std::uint64_t total = 0;
  for (const TreeEntry& entry : entries) {
    total += entry.blob.size;
  }
  return total;
}

const TreeEntry* Tree::Find(std::string_view path) const {
  const auto it = std::lower_bound(
      entries.begin(), entries.end(), path,
      [](const TreeEntry& entry, std::string_view wanted) { return entry.path < wanted; });
  return it != entries.end() && it->path == path ? &*it : nullptr;
}

std::string ToText(const Tree& tree) {
  std::string text(kFirstLine);
  for (const TreeEntry& entry : tree.entries) {
    text += entry.blob.sha256.Hex() + ' ' + std::to_string(entry.blob.size);
    text += entry.executable ? " x " : " - ";
    text += entry.path;
    text += '\n';
  }
  return text;
}

Result<Tree> ParseTree(std::string_view text) {
  if (!text.starts_with(kFirstLine)) {
    return InvalidArgument("tree: the first line is not 'tyllm-tree-v1'; this is no list of files");
  }
  text.remove_prefix(kFirstLine.size());
  Tree tree;
  for (std::size_t line = 2; !text.empty(); ++line) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      return Refuse(line, "it does not end with a line break; the text is cut off");
    }
    auto entry = ParseEntry(text.substr(0, end));
    if (!entry.ok()) {
      return Refuse(line, entry.status().message());
    }
    if (!tree.entries.empty() && tree.entries.back().path >= entry->path) {
      return Refuse(line, "'" + entry->path + "' comes after '" + tree.entries.back().path +
                              "', expected paths sorted by bytes, each once");
    }
    tree.entries.push_back(*std::move(entry));
    text.remove_prefix(end + 1);
  }
  TYLLM_TRY(CheckNoFileIsFolder(tree));
  TYLLM_TRY(CheckTotal(tree));
  return tree;
}

TreeId IdOf(const Tree& tree) {
  const std::string text = ToText(tree);
  return {DigestOf(text), text.size()};
}

Result<Tree> ScanTree(const Path& directory,
                      const std::function<void(std::uint64_t, std::uint64_t)>& progress,
                      const std::stop_token& stop) {
  TYLLM_ASSIGN(const std::vector<FoundFile> files, FindFiles(directory));
  return DigestFiles(files, progress, stop);
}

Result<Tree> ScanFiles(const Path& root, const std::vector<Path>& files,
                       const std::function<void(std::uint64_t, std::uint64_t)>& progress,
                       const std::stop_token& stop) {
  std::vector<FoundFile> found;
  for (const Path& file : files) {
    std::error_code error;
    if (!fs::exists(fs::status(root / file, error))) {
      return error && error != std::errc::no_such_file_or_directory
                 ? FromErrno(error.value(), "looking for " + (root / file).string())
                 : NotFound((root / file).string() + " does not exist, expected a file");
    }
    TYLLM_ASSIGN(found.emplace_back(),
                 Describe(root / file, file.lexically_normal().generic_string()));
  }
  std::ranges::sort(found, {}, &FoundFile::path);
  const auto doubled = std::ranges::unique(found, {}, &FoundFile::path);
  found.erase(doubled.begin(), doubled.end());
  return DigestFiles(found, progress, stop);
}

}  // namespace tyllm::format
