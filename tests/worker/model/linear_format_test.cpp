// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/support/model_directory.h"
#include "tests/support/temporary_directory.h"
#include "worker/model/checkpoint.h"
#include "worker/model/linear_formats.h"
#include "worker/model/quantized_linear.h"

namespace tyllm::model {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::ModelDirectory;
using testing::StorageVariant;

constexpr const char* kDown = "model.layers.1.mlp.down_proj";

struct Shape {
  std::int64_t out, in, group;
};

constexpr Shape kShapes[] = {{8, 8, 8},     {16, 128, 128}, {136, 192, 64},
                             {256, 96, 32}, {8, 72, 24},    {72, 1024, 128}};

TEST(LinearFormats, EveryRowHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (const LinearFormat* const format : kLinearFormats) {
    EXPECT_EQ(&LinearFormatOf(format->format), format);
    EXPECT_TRUE(names.insert(kCheckpointFormatNames.Name(format->format)).second);
    if (!format->quant_method.empty()) {
      EXPECT_EQ(FindQuantMethod(format->quant_method), format);
    }
  }
  EXPECT_EQ(FindQuantMethod("bitsandbytes"), nullptr);
}

TEST(LinearFormats, WriteWhatTheirDescriptionsSayElementByElement) {
  for (const LinearFormat* const format : kLinearFormats) {
    if (format->pack == nullptr) {
      continue;
    }
    for (const Shape& s : kShapes) {
      const QuantizedMatrix matrix = testing::MadeQuantized("m", s.out, s.in, s.group);
      const auto expected = testing::NaiveTensors({format->format}, matrix);
      const auto packed = format->pack(matrix);
      ASSERT_TRUE(packed.ok()) << packed.status().ToString();
      const auto specs = TensorsToWrite(*format, "m", {s.out, s.in, s.group});
      ASSERT_EQ(packed->size(), expected.size());
      ASSERT_EQ(specs.size(), expected.size());
      for (std::size_t i = 0; i < specs.size(); ++i) {
        const testing::MadeTensor& tensor = expected.at(std::string((*packed)[i].key));
        EXPECT_EQ((*packed)[i].bytes, tensor.bytes) << (*packed)[i].key;
        EXPECT_EQ(specs[i].name, "m" + std::string((*packed)[i].key));
        EXPECT_EQ(specs[i].dtype, tensor.dtype) << specs[i].name;
        EXPECT_EQ(specs[i].shape, tensor.shape) << specs[i].name;
      }
    }
  }
}

/// Reads a layer that the naive writer wrote, whole and in parts.
Result<QuantizedMatrix> Read(const StorageVariant& variant, const QuantizedMatrix& matrix) {
  const LinearFormat& format = LinearFormatOf(variant.format);
  const format::Json config = testing::NaiveConfig(variant, matrix.group);
  TYLLM_ASSIGN(const LinearTraits traits, format.read_config(&config, "config"));
  const LinearSize size{matrix.rows, matrix.columns, matrix.group};
  auto made = testing::NaiveTensors(variant, matrix);
  std::vector<format::TensorView> views(kLinearParts);
  LinearTensors tensors{};
  for (const PartSpec& part : format.parts(size, traits)) {
    if (const auto tensor = made.find(std::string(part.key)); tensor != made.end()) {
      views[IndexOf(part.part)] = {tensor->second.dtype, tensor->second.shape,
                                   tensor->second.bytes};
      tensors[IndexOf(part.part)] = &views[IndexOf(part.part)];
    }
  }
  TYLLM_ASSIGN(QuantizedLinear linear, QuantizedLinear::Open(format, size, traits, tensors));
  const std::int64_t row = matrix.rows / 16 * 8;
  const std::int64_t column = matrix.columns / 16 * 8;
  const CodeRegion part{row, matrix.rows - row, column, matrix.columns - column};
  RawVector<std::uint8_t> codes(static_cast<std::size_t>(part.rows * part.columns));
  linear.ReadCodes(part, codes);
  QuantizedMatrix all = std::move(linear).ReadAll();
  for (std::int64_t r = 0; r < part.rows; ++r) {
    for (std::int64_t c = 0; c < part.columns; ++c) {
      const std::int64_t at = (part.first_row + r) * matrix.columns + part.first_column + c;
      EXPECT_EQ(codes[static_cast<std::size_t>(r * part.columns + c)],
                all.q[static_cast<std::size_t>(at)]);
    }
  }
  return all;
}

TEST(LinearFormats, AllReadTheSameNumbers) {
  const StorageVariant variants[] = {
      {CheckpointFormat::kAmtc},
      {CheckpointFormat::kAwqGemm},
      {CheckpointFormat::kCompressedTensors},
      {.format = CheckpointFormat::kCompressedTensors, .symmetric = true},
      {CheckpointFormat::kGptq},
      {.format = CheckpointFormat::kGptq, .gptq_v2 = true},
      {.format = CheckpointFormat::kAwqGemm, .bfloat_scales = true},
      {.format = CheckpointFormat::kCompressedTensors, .bfloat_scales = true},
      {.format = CheckpointFormat::kGptq, .bfloat_scales = true},
  };
  for (const StorageVariant& variant : variants) {
    for (const Shape& s : kShapes) {
      QuantizedMatrix matrix = testing::MadeQuantized("m", s.out, s.in, s.group);
      if (variant.symmetric) {
        matrix.zero.assign(matrix.zero.size(), 8);
      }
      for (std::uint16_t& scale : matrix.scale) {
        scale &= variant.bfloat_scales ? 0xFFF8U : 0xFFFFU;  // 8 significant bits
      }
      const auto read = Read(variant, matrix);
      ASSERT_TRUE(read.ok()) << read.status().ToString();
      const std::string_view name = kCheckpointFormatNames.Name(variant.format);
      EXPECT_EQ(read->q, matrix.q) << name;
      EXPECT_EQ(read->zero, matrix.zero) << name;
      EXPECT_EQ(read->scale, matrix.scale) << name;
      EXPECT_EQ(read->group, matrix.group) << name;
    }
  }
}

std::uint32_t FirstWord(const std::vector<std::byte>& bytes) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes.data(), sizeof(word));
  return word;
}

// Eight numbers along the direction that a format packs.
TEST(LinearFormats, WordsAreThoseOfTheirProjects) {
  QuantizedMatrix matrix{8,
                         8,
                         8,
                         RawVector<std::uint8_t>(64, 0),
                         {0, 1, 2, 3, 4, 5, 6, 7},
                         std::vector<std::uint16_t>(8, 0x3c00)};
  for (std::uint8_t i = 0; i < 8; ++i) {
    matrix.q[i] = i;      // output 0
    matrix.q[8 * i] = i;  // input 0
  }
  const auto awq = kAwqGemmFormat.pack(matrix);
  EXPECT_EQ(FirstWord((*awq)[0].bytes), 0x75316420U);
  EXPECT_EQ(FirstWord((*awq)[1].bytes), 0x75316420U);
  const auto compressed = kCompressedTensorsFormat.pack(matrix);
  EXPECT_EQ(FirstWord((*compressed)[0].bytes), 0x76543210U);
  EXPECT_EQ(FirstWord((*compressed)[3].bytes), 0x76543210U);
  const auto gptq = testing::NaiveTensors({CheckpointFormat::kGptq}, matrix);
  EXPECT_EQ(FirstWord(gptq.at(".qweight").bytes), 0x76543210U);
  EXPECT_EQ(FirstWord(gptq.at(".qzeros").bytes), 0x6543210FU);  // minus one
}

TEST(LinearFormats, ScalesThatFp16CannotHoldAreRefused) {
  QuantizedMatrix matrix = testing::MadeQuantized("m", 8, 8, 8);
  const StorageVariant variant{.format = CheckpointFormat::kGptq, .bfloat_scales = true};
  matrix.scale[3] = 0x7c00;  // infinite
  EXPECT_THAT(Read(variant, matrix).status().message(),
              AllOf(HasSubstr("scale number 3"), HasSubstr("65504")));
}

class QuantizedDirectory : public ::testing::Test {
 protected:
  Result<Checkpoint> Open() {
    model_.Write(folder_.path());
    return Checkpoint::Open(folder_.path());
  }

  void Make(const StorageVariant& variant) {
    model_ = ModelDirectory::Quantized(ModelDirectory::SmallQwen3Config(), variant, 32);
  }

  template <typename... Parts>
  void ExpectRefused(Parts... parts) {
    const auto opened = Open();
    ASSERT_FALSE(opened.ok());
    EXPECT_THAT(opened.status().message(), AllOf(HasSubstr(std::string(parts))...));
  }

  format::Json& Config() { return model_.config["quantization_config"]; }

  format::Json& Group() { return Config()["config_groups"]["group_0"]; }

  testing::TemporaryDirectory folder_;
  ModelDirectory model_ = ModelDirectory::Float(ModelDirectory::SmallQwen3Config());
};

TEST_F(QuantizedDirectory, OfEveryFormatOpensAndEveryTensorIsUsed) {
  for (const LinearFormat* const format : kLinearFormats) {
    Make({format->format});
    const auto checkpoint = Open();
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
    EXPECT_EQ(checkpoint->format(), format->format);
    EXPECT_EQ(checkpoint->group_size(), 32);
    EXPECT_TRUE(checkpoint->unused_tensors().empty());
    EXPECT_EQ(*checkpoint->ReadLinear(kDown),
              testing::MadeQuantized(kDown, 64, 96, 32).Dequantize());
    EXPECT_EQ(checkpoint->TensorsOf(kDown).front(), kDown + std::string(format->weight_key));
  }
}

TEST_F(QuantizedDirectory, SymmetricLayersHaveTheirZeroInTheMiddle) {
  Make({.format = CheckpointFormat::kCompressedTensors, .symmetric = true});
  const auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
  EXPECT_EQ(checkpoint->ReadQuantized(kDown)->zero, std::vector<std::uint8_t>(64 * 3, 8));
}

TEST_F(QuantizedDirectory, AsymmetricLayersNeedTheirZeroPoints) {
  Make({.format = CheckpointFormat::kCompressedTensors, .symmetric = true});
  Group()["weights"]["symmetric"] = false;
  ExpectRefused("weight_zero_point'", "expected I32 [8, 2]");
}

TEST_F(QuantizedDirectory, AShapeThatIsNotTheLayersIsRefused) {
  Make({CheckpointFormat::kCompressedTensors});
  std::swap(model_.tensors[kDown + std::string(".weight_shape")].bytes[0],
            model_.tensors[kDown + std::string(".weight_shape")].bytes[8]);
  const auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
  EXPECT_THAT(checkpoint->ReadQuantized(kDown).status().message(),
              AllOf(HasSubstr(kDown), HasSubstr("holds [96, 64], expected [64, 96]")));
}

TEST_F(QuantizedDirectory, InputsInTheOrderOfActivationsAreRefused) {
  for (const auto& [format, key] : {std::pair{CheckpointFormat::kGptq, ".g_idx"},
                                    {CheckpointFormat::kCompressedTensors, ".weight_g_idx"}}) {
    Make({format});
    std::vector<std::int32_t> order(96, 0);
    order[1] = 2;
    model_.tensors[kDown + std::string(key)] = {format::DType::kI32, {96}, testing::BytesOf(order)};
    ExpectRefused(kDown, "input 1 into group 2, expected 0", "desc_act");
  }
}

TEST_F(QuantizedDirectory, ActivationOrderWithNaturalGroupsIsFine) {
  Make({CheckpointFormat::kGptq});
  Config()["desc_act"] = true;
  EXPECT_TRUE(Open().ok());
  model_.tensors.erase(kDown + std::string(".g_idx"));
  ExpectRefused("g_idx'", "expected I32 [96]");
  Config()["desc_act"] = false;
  EXPECT_TRUE(Open().ok());
}

TEST_F(QuantizedDirectory, OldQuantizersKeepTheirConfigurationInAFileOfItsOwn) {
  for (const auto& [format, name] : {std::pair{CheckpointFormat::kGptq, "quantize_config.json"},
                                     {CheckpointFormat::kAwqGemm, "quant_config.json"}}) {
    Make({format});
    format::Json own = Config();
    own.erase("quant_method");
    model_.config.erase("quantization_config");
    testing::TemporaryDirectory folder;
    model_.Write(folder.path());
    testing::internal::WriteText(folder / name, own.dump());
    const auto checkpoint = Checkpoint::Open(folder.path());
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().ToString();
    EXPECT_EQ(checkpoint->format(), format);
    own["bits"] = 3;
    testing::internal::WriteText(folder / name, own.dump());
    EXPECT_THAT(Checkpoint::Open(folder.path()).status().message(),
                AllOf(HasSubstr(name), HasSubstr(".bits is 3")));
  }
}

TEST_F(QuantizedDirectory, WhatGptqCanBeAndIsNotSupportedIsNamed) {
  const std::pair<const char*, format::Json> bad[] = {{"bits", 8},
                                                      {"group_size", -1},
                                                      {"checkpoint_format", "marlin"},
                                                      {"is_marlin_format", true},
                                                      {"desc_act", "yes"}};
  for (const auto& [key, value] : bad) {
    Make({CheckpointFormat::kGptq});
    Config()[key] = value;
    ExpectRefused("config.json.quantization_config." + std::string(key));
  }
}

TEST_F(QuantizedDirectory, WhatCompressedTensorsCanBeAndIsNotSupportedIsNamed) {
  const std::pair<const char*, const char*> bad[] = {
      {"/format", R"("float-quantized")"},
      {"/config_groups", "{}"},
      {"/config_groups", "[]"},
      {"/transform_config", R"({"config_groups": {"u": {}}})"},
      {"/config_groups/group_0/input_activations", R"({"num_bits": 8})"},
      {"/config_groups/group_0/weights", "null"},
      {"/config_groups/group_0/format", R"("marlin-24")"},
      {"/config_groups/group_0/weights/num_bits", "8"},
      {"/config_groups/group_0/weights/type", R"("float")"},
      {"/config_groups/group_0/weights/strategy", R"("channel")"},
      {"/config_groups/group_0/weights/group_size", "-1"},
  };
  for (const auto& [path, value] : bad) {
    Make({CheckpointFormat::kCompressedTensors});
    Config()[format::Json::json_pointer(path)] = format::Json::parse(value);
    const std::string_view key =
        std::string_view(path).substr(std::string_view(path).rfind('/') + 1);
    ExpectRefused("config.json.quantization_config", key);
  }
  Make({CheckpointFormat::kCompressedTensors});
  Config()["config_groups"]["group_1"] = Group();
  Config()["config_groups"]["group_1"]["weights"]["group_size"] = 16;
  ExpectRefused("config_groups.group_1", "group_size");
}

TEST_F(QuantizedDirectory, WeightsOfAnotherMethodThanTheConfigurationsAreRefused) {
  Make({CheckpointFormat::kCompressedTensors});
  Config() = testing::NaiveConfig({CheckpointFormat::kAwqGemm}, 32);
  ExpectRefused("quant_method is 'awq'", "weight_packed", "compressed-tensors");
  model_.config.erase("quantization_config");
  ExpectRefused("quantization_config is missing", "compressed-tensors");
  Config() = {{"quant_method", "bitsandbytes"}};
  ExpectRefused("'bitsandbytes'", "awq, compressed-tensors, gptq");
  Make({CheckpointFormat::kGptq});
  Config()["quant_method"] = "awq";
  ExpectRefused("qweight' is I32 [8, 64], expected I32 [64, 8]");
}

}  // namespace
}  // namespace tyllm::model
