// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/base/handle.h"
#include "common/base/running_digest.h"
#include "worker/artifact/params.h"
#include "worker/artifact/params_format.h"

namespace tyllm::artifact {
namespace {

/// Bytes of a file as they are put together. Little endian, as this machine.
class Bytes {
 public:
  template <typename T>
  void Put(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }

  void Put(const std::string& text) {
    Put(static_cast<std::uint64_t>(text.size()));
    text_ += text;
  }

  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

/// Names as they stand in the file. The last entry is there for alignment: the length of its name
/// makes the first tensor start at a multiple of 8.
ParamSpec AlignmentEntry(const std::vector<ParamSpec>& specs) {
  std::size_t names = 0;
  for (const ParamSpec& spec : specs) {
    names += spec.name.size();
  }
  return {std::string(8 - names % 8, '_'), Element::kUint8, {8}};
}

std::uint64_t PrefixBytes(const std::vector<ParamSpec>& specs) {
  std::uint64_t bytes = 8 + 8 + 8 + 8;
  for (const ParamSpec& spec : specs) {
    bytes += 8 + spec.name.size();
  }
  return bytes;
}

/// Dimensions of 1 in front of a shape that bring its data, whose header starts at `start`, to a
/// multiple of kParamAlignment.
std::uint64_t LeadingOnes(std::uint64_t start, const ParamSpec& spec) {
  const std::uint64_t data = start + kTensorHeader + 8 * spec.shape.size();
  return (kParamAlignment - data % kParamAlignment) % kParamAlignment / 8;
}

std::vector<ParamSpec> WithAlignment(std::vector<ParamSpec> specs) {
  specs.push_back(AlignmentEntry(specs));
  return specs;
}

std::string Prefix(const std::vector<ParamSpec>& specs) {
  Bytes bytes;
  bytes.Put(kDictionaryMagic);
  bytes.Put(std::uint64_t{0});
  bytes.Put(static_cast<std::uint64_t>(specs.size()));
  for (const ParamSpec& spec : specs) {
    bytes.Put(spec.name);
  }
  bytes.Put(static_cast<std::uint64_t>(specs.size()));
  return bytes.Take();
}

std::string TensorHeader(const ParamSpec& spec, std::uint64_t ones) {
  const DlType type = kDlTypes[static_cast<std::size_t>(spec.element)];
  Bytes bytes;
  bytes.Put(kTensorMagic);
  bytes.Put(std::uint64_t{0});
  bytes.Put(kCpuDevice);
  bytes.Put(std::int32_t{0});
  bytes.Put(static_cast<std::int32_t>(ones + spec.shape.size()));
  bytes.Put(type.code);
  bytes.Put(type.bits);
  bytes.Put(std::uint16_t{1});
  for (std::uint64_t i = 0; i < ones; ++i) {
    bytes.Put(std::int64_t{1});
  }
  for (const std::int64_t dimension : spec.shape) {
    bytes.Put(dimension);
  }
  bytes.Put(static_cast<std::int64_t>(spec.bytes()));
  return bytes.Take();
}

/// Adds the first `bytes` of a file; kDataLoss when it has fewer.
Status AddBeginning(const Path& path, std::uint64_t bytes, RunningSha256& digest) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    return FromErrno(errno, "opening " + path.string());
  }
  std::vector<std::byte> buffer(std::min<std::uint64_t>(bytes, 1 << 20));
  while (bytes > 0) {
    const ssize_t got =
        ::read(fd.get(), buffer.data(), std::min<std::uint64_t>(bytes, buffer.size()));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return FromErrno(errno, "reading " + path.string());
    }
    if (got == 0) {
      return DataLoss(path.string() + " lacks " + std::to_string(bytes) + " bytes at its end");
    }
    digest.Update(std::span(buffer).first(static_cast<std::size_t>(got)));
    bytes -= static_cast<std::uint64_t>(got);
  }
  return OkStatus();
}

/// kInternal for what cannot be laid out.
Status CheckSpecs(const Path& path, const std::vector<ParamSpec>& specs) {
  for (const ParamSpec& spec : specs) {
    if (spec.bytes() % 8 != 0 || spec.bytes() == 0) {
      return Internal("writing " + path.string() + ": tensor " + spec.name + " has " +
                      std::to_string(spec.bytes()) + " bytes, expected a multiple of 8");
    }
  }
  return OkStatus();
}

}  // namespace

std::uint64_t SizeOf(Element element) {
  return kDlTypes[static_cast<std::size_t>(element)].bits / 8;
}

std::uint64_t ParamSpec::bytes() const {
  std::uint64_t size = SizeOf(element);
  for (const std::int64_t dimension : shape) {
    size *= static_cast<std::uint64_t>(dimension);
  }
  return size;
}

ParamsLayout LayOut(const std::vector<ParamSpec>& specs) {
  const std::vector<ParamSpec> all = WithAlignment(specs);
  ParamsLayout layout;
  std::uint64_t at = PrefixBytes(all);
  for (const ParamSpec& spec : all) {
    at += kTensorHeader + 8 * (LeadingOnes(at, spec) + spec.shape.size());
    layout.offsets.push_back(at);
    at += spec.bytes();
  }
  layout.offsets.pop_back();
  layout.file_bytes = at;
  return layout;
}

struct ParamsWriter::State {
  Path path;
  std::vector<ParamSpec> specs;
  std::unique_ptr<OutputFile> file;
  std::uint64_t position = 0;
  std::size_t current = 0;    ///< tensor whose header was written last, plus 1
  std::uint64_t missing = 0;  ///< bytes of it that are still to come
  RunningSha256 digest;
  std::string sha256;

  Status Write(std::span<const std::byte> bytes) {
    const std::uint64_t at = position;
    position += bytes.size();
    digest.Update(bytes);
    return file->WriteAt(at, bytes);
  }

  Status Begin(std::size_t index) {
    if (missing != 0 || index != current) {
      return Internal("writing " + path.string() + ": tensor " + specs[index].name +
                      " begins out of order");
    }
    const std::string header = TensorHeader(specs[index], LeadingOnes(position, specs[index]));
    missing = specs[index].bytes();
    ++current;
    return Write(std::as_bytes(std::span(header)));
  }
};

ParamsWriter::ParamsWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}

ParamsWriter::ParamsWriter(ParamsWriter&&) noexcept = default;
ParamsWriter::~ParamsWriter() = default;

Result<ParamsWriter> ParamsWriter::Create(FileSystem& files, const Path& path,
                                          std::vector<ParamSpec> specs) {
  TYLLM_TRY(CheckSpecs(path, specs));
  auto state = std::make_unique<State>();
  state->path = path;
  state->specs = WithAlignment(std::move(specs));
  TYLLM_ASSIGN(state->file, files.Create(path));
  const std::string prefix = Prefix(state->specs);
  TYLLM_TRY(state->Write(std::as_bytes(std::span(prefix))));
  return ParamsWriter(std::move(state));
}

Result<ParamsWriter> ParamsWriter::Resume(FileSystem& files, const Path& path,
                                          std::vector<ParamSpec> specs, const WrittenPart& part) {
  TYLLM_TRY(CheckSpecs(path, specs));
  const ParamsLayout layout = LayOut(specs);
  std::error_code error;
  if (part.tensors == 0 || part.tensors > specs.size() ||
      layout.offsets[part.tensors - 1] + specs[part.tensors - 1].bytes() != part.content.size ||
      std::filesystem::file_size(path, error) > layout.file_bytes || error) {
    return DataLoss(path.string() + " is not the beginning of what is to be written");
  }
  auto state = std::make_unique<State>();
  TYLLM_TRY(AddBeginning(path, part.content.size, state->digest));
  if (state->digest.SoFar() != part.content.sha256) {
    return DataLoss(path.string() + " has not the bytes that were written");
  }
  state->path = path;
  state->specs = WithAlignment(std::move(specs));
  TYLLM_ASSIGN(state->file, files.OpenForUpdate(path));
  state->position = part.content.size;
  state->current = part.tensors;
  return ParamsWriter(std::move(state));
}

Status ParamsWriter::Append(std::size_t index, std::span<const std::byte> bytes) {
  if (index + 1 != state_->current) {
    TYLLM_TRY(state_->Begin(index));
  }
  if (bytes.size() > state_->missing) {
    return Internal("writing " + state_->path.string() + ": tensor " + state_->specs[index].name +
                    " gets more bytes than its shape says");
  }
  state_->missing -= bytes.size();
  return state_->Write(bytes);
}

std::uint64_t ParamsWriter::bytes() const {
  return state_->position;
}

std::optional<WrittenPart> ParamsWriter::part() const {
  if (state_->missing != 0) {
    return std::nullopt;
  }
  return WrittenPart{state_->current, {state_->digest.SoFar(), state_->position}};
}

Status ParamsWriter::Finish() {
  const std::array<std::byte, 8> zeros{};
  TYLLM_TRY(Append(state_->specs.size() - 1, zeros));
  TYLLM_TRY(state_->file->Sync());
  state_->sha256 = state_->digest.SoFar().Hex();
  return state_->file->Close();
}

const std::string& ParamsWriter::sha256() const {
  return state_->sha256;
}

}  // namespace tyllm::artifact
