// SPDX-License-Identifier: Apache-2.0
#include "worker/artifact/torch_archive.h"

#include <zlib.h>

#include <array>
#include <limits>

namespace tyllm::artifact {

namespace {

constexpr std::string_view kFolder = "archive/";
constexpr std::uint64_t kMostBytes = std::numeric_limits<std::uint32_t>::max();

// Pickle, protocol 2.
constexpr char kProto[] = {'\x80', '\x02', '\0'};
constexpr char kMark = '(';
constexpr char kTuple = 't';
constexpr char kEmptyTuple = ')';
constexpr char kEmptyDict = '}';
constexpr char kSetItems = 'u';
constexpr char kReduce = 'R';
constexpr char kGlobal = 'c';
constexpr char kUnicode = 'X';
constexpr char kInt = 'J';
constexpr char kLong1 = '\x8a';
constexpr char kFalse = '\x89';
constexpr char kPersistentId = 'Q';
constexpr char kStop = '.';

struct ElementRow {
  std::uint64_t bytes;
  std::string_view storage;
};

constexpr std::array<ElementRow, 3> kElements = {
    {{2, "HalfStorage"}, {4, "FloatStorage"}, {4, "IntStorage"}}};

const ElementRow& RowOf(TorchElement element) {
  return kElements[static_cast<std::size_t>(element)];
}

template <typename T>
void Put(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    out += static_cast<char>((static_cast<std::uint64_t>(value) >> (8 * i)) & 0xFFU);
  }
}

/// Writes the values of a pickle.
class Pickle {
 public:
  void Op(char op) { text_ += op; }

  void Text(std::string_view text) {
    text_ += kUnicode;
    Put(text_, static_cast<std::uint32_t>(text.size()));
    text_ += text;
  }

  void Number(std::int64_t value) {
    if (value >= 0 && value <= std::numeric_limits<std::int32_t>::max()) {
      text_ += kInt;
      Put(text_, static_cast<std::uint32_t>(value));
    } else {
      text_ += kLong1;
      text_ += static_cast<char>(sizeof(value));
      Put(text_, static_cast<std::uint64_t>(value));
    }
  }

  void Numbers(const std::vector<std::int64_t>& values) {
    Op(kMark);
    for (const std::int64_t value : values) {
      Number(value);
    }
    Op(kTuple);
  }

  void Global(std::string_view module, std::string_view name) {
    text_ += kGlobal;
    text_.append(module).append("\n").append(name).append("\n");
  }

  void Tensor(const TorchTensor& tensor, std::size_t number, std::int64_t elements) {
    std::vector<std::int64_t> strides(tensor.shape.size());
    std::int64_t stride = 1;
    for (std::size_t i = strides.size(); i-- > 0;) {
      strides[i] = stride;
      stride *= tensor.shape[i];
    }
    Text(tensor.name);
    Global("torch._utils", "_rebuild_tensor_v2");
    Op(kMark);
    Op(kMark);
    Text("storage");
    Global("torch", RowOf(tensor.element).storage);
    Text(std::to_string(number));
    Text("cpu");
    Number(elements);
    Op(kTuple);
    Op(kPersistentId);
    Number(0);  // offset in the storage
    Numbers(tensor.shape);
    Numbers(strides);
    Op(kFalse);  // needs no gradient
    Global("collections", "OrderedDict");
    Op(kEmptyTuple);
    Op(kReduce);
    Op(kTuple);
    Op(kReduce);
  }

  std::string Take() && { return std::move(text_); }

 private:
  std::string text_{kProto, 2};
};

std::uint32_t Checksum(std::span<const std::byte> bytes) {
  return static_cast<std::uint32_t>(
      ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

/// Writes stored members one after the other.
class StoredZip {
 public:
  void Add(std::string_view name, std::span<const std::byte> bytes) {
    const std::string full = std::string(kFolder) + std::string(name);
    const auto offset = static_cast<std::uint32_t>(text_.size());
    const std::string common = Common(full, bytes);
    constexpr std::size_t kLocalHeader = 30;
    const std::size_t before = text_.size() + kLocalHeader + full.size() + 4;
    const std::size_t padding = (kTorchAlignment - before % kTorchAlignment) % kTorchAlignment;
    text_ += "PK\x03\x04";
    text_ += common;
    Put(text_, static_cast<std::uint16_t>(4 + padding));  // size of the extra field
    text_ += full;
    text_ += "FB";  // the field that PyTorch aligns with
    Put(text_, static_cast<std::uint16_t>(padding));
    text_.append(padding, 'Z');
    text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    directory_ += "PK\x01\x02";
    Put(directory_, std::uint16_t{20});  // version that made it
    directory_ += common;
    Put(directory_, std::uint16_t{0});  // extra field
    Put(directory_, std::uint16_t{0});  // comment
    Put(directory_, std::uint16_t{0});  // disk
    Put(directory_, std::uint16_t{0});  // attributes
    Put(directory_, std::uint32_t{0});
    Put(directory_, offset);
    directory_ += full;
    ++count_;
  }

  void Add(std::string_view name, std::string_view text) {
    Add(name, std::as_bytes(std::span(text)));
  }

  std::string Finish() && {
    const auto at = static_cast<std::uint32_t>(text_.size());
    text_ += directory_;
    text_ += "PK\x05\x06";
    Put(text_, std::uint32_t{0});  // disks
    Put(text_, count_);
    Put(text_, count_);
    Put(text_, static_cast<std::uint32_t>(directory_.size()));
    Put(text_, at);
    Put(text_, std::uint16_t{0});  // comment
    return std::move(text_);
  }

 private:
  /// What the two headers of a member have in common.
  static std::string Common(const std::string& name, std::span<const std::byte> bytes) {
    std::string out;
    Put(out, std::uint16_t{20});  // version needed
    Put(out, std::uint16_t{0});   // flags
    Put(out, std::uint16_t{0});   // stored
    Put(out, std::uint16_t{0});   // time
    Put(out, std::uint16_t{33});  // 1980-01-01
    Put(out, Checksum(bytes));
    Put(out, static_cast<std::uint32_t>(bytes.size()));
    Put(out, static_cast<std::uint32_t>(bytes.size()));
    Put(out, static_cast<std::uint16_t>(name.size()));
    return out;
  }

  std::string text_;
  std::string directory_;
  std::uint16_t count_ = 0;
};

Result<std::int64_t> ElementsOf(const TorchTensor& tensor) {
  std::int64_t elements = 1;
  for (const std::int64_t side : tensor.shape) {
    elements *= side;
  }
  if (static_cast<std::uint64_t>(elements) * RowOf(tensor.element).bytes != tensor.bytes.size()) {
    return Internal("tensor " + tensor.name + " has " + std::to_string(tensor.bytes.size()) +
                    " bytes for " + std::to_string(elements) + " elements");
  }
  return elements;
}

/// Little-endian numbers of a zip's headers.
template <typename T>
T Get(std::span<const std::byte> bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value |= std::to_integer<std::uint64_t>(bytes[at + i]) << (8 * i);
  }
  return static_cast<T>(value);
}

Status Damaged(std::string_view what, const std::string& why) {
  return DataLoss(std::string(what) + " is not an archive of tensors: " + why +
                  "; compile the model again");
}

using Members = std::map<std::string, std::span<const std::byte>, std::less<>>;

/// Reads a member whose entry in the directory is at `at`, and gives where the next entry is.
Result<std::size_t> ReadMember(std::span<const std::byte> bytes, std::size_t at,
                               std::string_view what, Members& members) {
  constexpr std::size_t kEntry = 46;
  constexpr std::size_t kLocalHeader = 30;
  if (at + kEntry > bytes.size() || Get<std::uint32_t>(bytes, at) != 0x02014B50) {
    return Damaged(what, "its directory is cut off");
  }
  const std::size_t size = Get<std::uint32_t>(bytes, at + 24);
  const std::size_t name_size = Get<std::uint16_t>(bytes, at + 28);
  const std::size_t local = Get<std::uint32_t>(bytes, at + 42);
  const std::size_t next = at + kEntry + name_size + Get<std::uint16_t>(bytes, at + 30) +
                           Get<std::uint16_t>(bytes, at + 32);
  if (next > bytes.size() || local + kLocalHeader > bytes.size()) {
    return Damaged(what, "a member lies outside the file");
  }
  const std::string name(reinterpret_cast<const char*>(bytes.data()) + at + kEntry, name_size);
  const std::size_t data = local + kLocalHeader + Get<std::uint16_t>(bytes, local + 26) +
                           Get<std::uint16_t>(bytes, local + 28);
  if (Get<std::uint16_t>(bytes, at + 10) != 0 || Get<std::uint32_t>(bytes, at + 20) != size) {
    return Damaged(what, "member " + name + " is compressed");
  }
  if (data > bytes.size() || size > bytes.size() - data) {
    return Damaged(what, "member " + name + " lies outside the file");
  }
  const std::span<const std::byte> member = bytes.subspan(data, size);
  if (Checksum(member) != Get<std::uint32_t>(bytes, at + 16)) {
    return Damaged(what, "member " + name + " has not the checksum that the directory tells");
  }
  if (!members.emplace(name, member).second) {
    return Damaged(what, "member " + name + " is there twice");
  }
  return next;
}

}  // namespace

Result<std::string> WriteTorchArchive(const std::vector<TorchTensor>& tensors) {
  std::uint64_t total = 0;
  Pickle pickle;
  pickle.Op(kEmptyDict);
  pickle.Op(kMark);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    TYLLM_ASSIGN(const std::int64_t elements, ElementsOf(tensors[i]));
    pickle.Tensor(tensors[i], i, elements);
    total += tensors[i].bytes.size() + 4096;
  }
  if (total > kMostBytes) {
    return InvalidArgument("tensors of " + std::to_string(total) +
                           " bytes do not fit into an archive of at most 4 GiB");
  }
  pickle.Op(kSetItems);
  pickle.Op(kStop);
  StoredZip zip;
  zip.Add("data.pkl", std::move(pickle).Take());
  zip.Add("byteorder", "little");
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    zip.Add("data/" + std::to_string(i), tensors[i].bytes);
  }
  zip.Add("version", "3\n");
  return std::move(zip).Finish();
}

Result<Members> ParseStoredZip(std::span<const std::byte> bytes, std::string_view what) {
  constexpr std::size_t kEnd = 22;
  if (bytes.size() < kEnd || Get<std::uint32_t>(bytes, bytes.size() - kEnd) != 0x06054B50) {
    return Damaged(what, "it does not end as a zip archive does");
  }
  const std::size_t end = bytes.size() - kEnd;
  const std::size_t count = Get<std::uint16_t>(bytes, end + 10);
  std::size_t at = Get<std::uint32_t>(bytes, end + 16);
  Members members;
  for (std::size_t i = 0; i < count; ++i) {
    TYLLM_ASSIGN(at, ReadMember(bytes.first(end), at, what, members));
  }
  return members;
}

Result<TorchArchive> TorchArchive::Open(const Path& path) {
  TYLLM_ASSIGN(MappedFile mapped, MappedFile::Open(path));
  TorchArchive archive(std::move(mapped));
  TYLLM_ASSIGN(archive.members_, ParseStoredZip(archive.file_.bytes(), path.string()));
  return archive;
}

Result<std::uint64_t> TorchArchive::Data(std::size_t number, std::uint64_t bytes) const {
  const std::string name = std::string(kFolder) + "data/" + std::to_string(number);
  const auto found = members_.find(name);
  if (found == members_.end()) {
    return Damaged(file_.path().string(), "member " + name + " is missing");
  }
  const auto offset = static_cast<std::uint64_t>(found->second.data() - file_.bytes().data());
  if (found->second.size() != bytes || offset % kTorchAlignment != 0) {
    return Damaged(file_.path().string(),
                   "member " + name + " has " + std::to_string(found->second.size()) +
                       " bytes, expected " + std::to_string(bytes) + " at a multiple of 64");
  }
  return offset;
}

}  // namespace tyllm::artifact
