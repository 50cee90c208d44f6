// SPDX-License-Identifier: Apache-2.0
#include "common/format/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include "common/format/float_arrays.h"

namespace tyllm::format {

namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data are little-endian");

// A header is looked up by key only, and std::map keeps a hostile one from costing quadratic time.
using HeaderJson = nlohmann::json;

/// The limit of the format's own implementation.
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
constexpr std::uint64_t kPrefixBytes = 8;
constexpr std::size_t kMaxDimensions = 16;
constexpr std::string_view kMetadataKey = "__metadata__";

/// Where a tensor's bytes are, from the end of the header on.
struct Range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// A name from a file, fit for a message: of bounded length.
std::string Quoted(std::string_view name) {
  constexpr std::size_t kLongest = 120;
  return "'" + std::string(name.substr(0, kLongest)) + (name.size() > kLongest ? "..." : "") + "'";
}

/// a * b, unless that is more than a file can hold.
std::optional<std::uint64_t> Product(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product) || product > (std::uint64_t{1} << 62U)) {
    return std::nullopt;
  }
  return product;
}

/// Bytes of a tensor, or nothing when dimensions are negative or their product overflows.
std::optional<std::uint64_t> BytesOf(DType dtype, std::span<const std::int64_t> shape) {
  std::optional<std::uint64_t> bytes = SizeOf(dtype);
  for (const std::int64_t dimension : shape) {
    if (dimension < 0) {
      return std::nullopt;
    }
    bytes = Product(*bytes, static_cast<std::uint64_t>(dimension));
    if (!bytes) {
      return std::nullopt;
    }
  }
  return bytes;
}

/// What the library's parser does not look at: keys that appear twice in one object, and what nests
/// deeper than any header does. Keeps the keys of the objects that are open.
class HeaderWatch final : public nlohmann::json_sax<HeaderJson> {
 public:
  const std::string& twice() const { return twice_; }

  bool null() override { return true; }

  bool boolean(bool) override { return true; }

  bool number_integer(number_integer_t) override { return true; }

  bool number_unsigned(number_unsigned_t) override { return true; }

  bool number_float(number_float_t, const string_t&) override { return true; }

  bool string(string_t&) override { return true; }

  bool binary(binary_t&) override { return true; }

  bool start_object(std::size_t) override { return Open(); }

  bool end_object() override { return Close(); }

  bool start_array(std::size_t) override { return Open(); }

  bool end_array() override { return Close(); }

  bool key(string_t& name) override {
    if (!open_.back().insert(name).second && twice_.empty()) {
      twice_ = name;
    }
    return true;
  }

  /// The parser that comes after this one says what is wrong.
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    is_json_ = false;
    return false;
  }

  bool is_json() const { return is_json_; }

 private:
  bool Open() {
    constexpr std::size_t kDeepest = 8;
    open_.emplace_back();
    return open_.size() <= kDeepest;
  }

  bool Close() {
    open_.pop_back();
    return true;
  }

  std::vector<std::set<std::string>> open_;
  std::string twice_;
  bool is_json_ = true;
};

/// Twice over the text, in time that grows as it does: the library's parser with a callback takes
/// the square of the number of tensors.
Result<HeaderJson> ParseHeader(std::string_view text) {
  HeaderWatch watch;
  if (!HeaderJson::sax_parse(text, &watch) && watch.is_json()) {
    return InvalidArgument("the header is not a JSON object of tensors");
  }
  if (!watch.twice().empty()) {
    return InvalidArgument("the header has the key " + Quoted(watch.twice()) +
                           " twice; every name must be there once");
  }
  try {
    HeaderJson header = HeaderJson::parse(text);
    if (!header.is_object()) {
      return InvalidArgument("the header is not a JSON object of tensors");
    }
    return header;
  } catch (const HeaderJson::exception& error) {
    return InvalidArgument(std::string("the header is not valid JSON: ") + error.what());
  }
}

Result<std::uint64_t> ReadUnsigned(const HeaderJson& json, std::string_view what) {
  if (!json.is_number_unsigned()) {
    return InvalidArgument(std::string(what) + " is not a whole number of 0 or more");
  }
  return json.get<std::uint64_t>();
}

const HeaderJson* Get(const HeaderJson& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() ? nullptr : &*it;
}

Result<std::vector<std::int64_t>> ReadShape(const HeaderJson& entry) {
  const HeaderJson* const json = Get(entry, "shape");
  if (json == nullptr || !json->is_array()) {
    return InvalidArgument("'shape' is missing or not a list");
  }
  if (json->size() > kMaxDimensions) {
    return InvalidArgument("'shape' has " + std::to_string(json->size()) +
                           " dimensions, expected at most " + std::to_string(kMaxDimensions));
  }
  std::vector<std::int64_t> shape;
  for (const HeaderJson& element : *json) {
    TYLLM_ASSIGN(const std::uint64_t dimension, ReadUnsigned(element, "a dimension of 'shape'"));
    if (!std::in_range<std::int64_t>(dimension)) {
      return InvalidArgument("dimension " + std::to_string(dimension) + " of 'shape' is too large");
    }
    shape.push_back(static_cast<std::int64_t>(dimension));
  }
  return shape;
}

Result<DType> ReadDType(const HeaderJson& entry) {
  const HeaderJson* const json = Get(entry, "dtype");
  if (json == nullptr || !json->is_string()) {
    return InvalidArgument("'dtype' is missing or not text");
  }
  return kDTypeNames.Parse(json->get_ref<const std::string&>());
}

Result<Range> ReadRange(const HeaderJson& entry) {
  const HeaderJson* const json = Get(entry, "data_offsets");
  if (json == nullptr || !json->is_array() || json->size() != 2) {
    return InvalidArgument("'data_offsets' is missing or not a list of two numbers");
  }
  TYLLM_ASSIGN(const std::uint64_t begin, ReadUnsigned((*json)[0], "the first of 'data_offsets'"));
  TYLLM_ASSIGN(const std::uint64_t end, ReadUnsigned((*json)[1], "the second of 'data_offsets'"));
  return Range{begin, end};
}

std::string Text(const Range& range) {
  return "[" + std::to_string(range.begin) + ", " + std::to_string(range.end) + ")";
}

/// Checks one entry of the header against itself and the data part of the file.
Result<TensorView> ReadTensor(const HeaderJson& entry, std::span<const std::byte> data,
                              Range& range) {
  if (!entry.is_object()) {
    return InvalidArgument("its entry is not an object");
  }
  TensorView tensor;
  TYLLM_ASSIGN(tensor.dtype, ReadDType(entry));
  TYLLM_ASSIGN(tensor.shape, ReadShape(entry));
  TYLLM_ASSIGN(range, ReadRange(entry));
  const std::optional<std::uint64_t> bytes = BytesOf(tensor.dtype, tensor.shape);
  if (!bytes) {
    return InvalidArgument("shape " + ShapeText(tensor.shape) + " overflows");
  }
  if (range.begin > range.end) {
    return InvalidArgument("data_offsets " + Text(range) + " end before they begin");
  }
  if (range.end > data.size()) {
    return DataLoss("data_offsets " + Text(range) + " reach beyond the file, which has " +
                    std::to_string(data.size()) +
                    " bytes of data; it is truncated: copy or download it again");
  }
  if (range.end - range.begin != *bytes) {
    return InvalidArgument("data_offsets " + Text(range) + " are " +
                           std::to_string(range.end - range.begin) + " bytes, but " +
                           std::string(kDTypeNames.Name(tensor.dtype)) + " " +
                           ShapeText(tensor.shape) + " needs " + std::to_string(*bytes));
  }
  tensor.bytes = data.subspan(range.begin, *bytes);
  return tensor;
}

/// The ranges must cover the data exactly once.
Status CheckCoverage(std::vector<std::pair<Range, std::string_view>> ranges, std::uint64_t size) {
  std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first.begin, a.first.end) < std::pair(b.first.begin, b.first.end);
  });
  std::uint64_t covered = 0;
  std::string previous = "the header";
  for (const auto& [range, name] : ranges) {
    if (range.begin < covered) {
      return InvalidArgument("tensor " + Quoted(name) + ": data_offsets " + Text(range) +
                             " overlap those of " + previous + ", which end at " +
                             std::to_string(covered));
    }
    if (range.begin > covered) {
      return InvalidArgument("tensor " + Quoted(name) + ": data_offsets " + Text(range) +
                             " leave a hole after " + previous + ", which ends at " +
                             std::to_string(covered));
    }
    covered = range.end;
    previous = Quoted(name);
  }
  if (covered != size) {
    return InvalidArgument("the tensors end at byte " + std::to_string(covered) +
                           " of the data, but the file has " + std::to_string(size) +
                           " bytes of data");
  }
  return OkStatus();
}

Result<std::map<std::string, std::string>> ReadMetadata(const HeaderJson& json) {
  std::map<std::string, std::string> metadata;
  if (!json.is_object()) {
    return InvalidArgument("'__metadata__' is not an object");
  }
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) {
      return InvalidArgument("'__metadata__' has " + Quoted(key) + " that is not text");
    }
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

/// The JSON text at the front of a file.
Result<std::string_view> HeaderText(std::span<const std::byte> file) {
  if (file.size() < kPrefixBytes) {
    return DataLoss("the file has " + std::to_string(file.size()) +
                    " bytes, too few for a safetensors header; it is truncated: copy or download "
                    "it again");
  }
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof(length));
  if (length > kMaxHeaderBytes) {
    return InvalidArgument("the header claims " + std::to_string(length) +
                           " bytes, more than the " + std::to_string(kMaxHeaderBytes) +
                           " that the format allows; is it a safetensors file?");
  }
  if (length > file.size() - kPrefixBytes) {
    return DataLoss("the header claims " + std::to_string(length) + " bytes, but only " +
                    std::to_string(file.size() - kPrefixBytes) +
                    " follow; it is truncated: copy or download it again");
  }
  const std::span<const std::byte> header = file.subspan(kPrefixBytes, length);
  const std::string_view text(reinterpret_cast<const char*>(header.data()), header.size());
  if (text.empty() || text.front() != '{') {
    return InvalidArgument("the header does not begin with '{'; is it a safetensors file?");
  }
  return text;
}

}  // namespace

std::uint64_t SizeOf(DType type) {
  switch (type) {
    case DType::kI8:
    case DType::kU8:
    case DType::kBool:
      return 1;
    case DType::kF16:
    case DType::kBF16:
    case DType::kI16:
    case DType::kU16:
      return 2;
    case DType::kF32:
    case DType::kI32:
    case DType::kU32:
      return 4;
    case DType::kF64:
    case DType::kI64:
    case DType::kU64:
      return 8;
  }
  TYLLM_CHECK(false);
}

std::string ShapeText(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t dimension : shape) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(dimension);
  }
  return text + "]";
}

std::int64_t TensorView::elements() const {
  return static_cast<std::int64_t>(bytes.size() / SizeOf(dtype));
}

Result<SafetensorsHeader> ReadSafetensorsHeader(std::span<const std::byte> file) {
  TYLLM_ASSIGN(const std::string_view text, HeaderText(file));
  TYLLM_ASSIGN(const HeaderJson json, ParseHeader(text));
  const std::span<const std::byte> data = file.subspan(kPrefixBytes + text.size());
  SafetensorsHeader header;
  std::vector<std::pair<Range, std::string_view>> ranges;
  for (const auto& [name, entry] : json.items()) {
    if (name == kMetadataKey) {
      TYLLM_ASSIGN(header.metadata, ReadMetadata(entry));
      continue;
    }
    Range range;
    Result<TensorView> tensor = ReadTensor(entry, data, range);
    if (!tensor.ok()) {
      return tensor.status().Annotate("tensor " + Quoted(name));
    }
    const auto added = header.tensors.emplace(name, *std::move(tensor));
    ranges.emplace_back(range, added.first->first);
  }
  TYLLM_TRY(CheckCoverage(std::move(ranges), data.size()));
  return header;
}

Result<SafetensorsFile> SafetensorsFile::Open(const Path& path) {
  TYLLM_ASSIGN(MappedFile file, MappedFile::Open(path));
  Result<SafetensorsHeader> header = ReadSafetensorsHeader(file.bytes());
  if (!header.ok()) {
    return header.status().Annotate(path.string());
  }
  return SafetensorsFile(std::move(file), *std::move(header));
}

std::uint64_t TensorSpec::bytes() const {
  const std::optional<std::uint64_t> size = BytesOf(dtype, shape);
  TYLLM_CHECK(size.has_value());
  return *size;
}

Result<std::vector<float>> ToFloats(std::string_view name, const TensorView& tensor) {
  std::vector<float> floats(static_cast<std::size_t>(tensor.elements()));
  if (tensor.dtype == DType::kF16) {
    HalvesToFloats(tensor.bytes, floats);
  } else if (tensor.dtype == DType::kBF16) {
    BFloat16sToFloats(tensor.bytes, floats);
  } else if (tensor.dtype == DType::kF32) {
    if (!floats.empty()) {
      std::memcpy(floats.data(), tensor.bytes.data(), tensor.bytes.size());
    }
  } else {
    return InvalidArgument("tensor " + Quoted(name) + " is " +
                           std::string(kDTypeNames.Name(tensor.dtype)) +
                           ", expected F16, BF16 or F32");
  }
  return floats;
}

}  // namespace tyllm::format
