// SPDX-License-Identifier: Apache-2.0
#include "common/format/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/support/temporary_directory.h"

namespace tyllm::format {
namespace testing_types {

enum class Color : std::uint8_t { kRed, kBlue };

inline constexpr EnumTable<Color, 2> kColorNames("color",
                                                 {{{Color::kRed, "red"}, {Color::kBlue, "blue"}}});

constexpr const auto& NamesOf(Color) {
  return kColorNames;
}

struct Point {
  std::int32_t x = 0;
  std::uint8_t y = 7;
  bool operator==(const Point&) const = default;
};

struct Shape {
  std::string name;
  Color color = Color::kRed;
  std::vector<Point> points;
  std::optional<double> width;
  std::map<std::string, bool> flags;
  bool operator==(const Shape&) const = default;
};

}  // namespace testing_types

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing_types::Color;
using testing_types::Point;
using testing_types::Shape;

template <>
struct Members<Point> {
  static constexpr auto kTable = std::tuple{Member{"x", &Point::x, true}, Member{"y", &Point::y}};
};

template <>
struct Members<Shape> {
  static constexpr auto kTable =
      std::tuple{Member{"name", &Shape::name, true}, Member{"color", &Shape::color},
                 Member{"points", &Shape::points}, Member{"width", &Shape::width},
                 Member{"flags", &Shape::flags}};
};

namespace {

std::string ErrorOf(std::string_view text, UnknownKeys unknown = UnknownKeys::kReject) {
  const auto shape = FromJson<Shape>(*ParseJson(text, "text"), "shape.json", unknown);
  return shape.ok() ? "" : shape.status().message();
}

TEST(ParseJson, SaysWhatIsWrongAndWhere) {
  const auto json = ParseJson("{\"a\": 1,\n \"b\" 2}", "some/file.json");
  EXPECT_EQ(json.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(json.status().message(),
              AllOf(HasSubstr("some/file.json is not valid JSON"), HasSubstr("line 2")));
}

TEST(ParseJson, KeepsTheOrderOfKeys) {
  EXPECT_EQ(CompactJson(*ParseJson(R"({"z": 1, "a": {"y": 2, "b": 3}})", "t")),
            R"({"z":1,"a":{"y":2,"b":3}})");
}

// Copying and printing recurse: such a text must never become a value.
TEST(ParseJson, ReadsAsTheLibraryDoes) {
  for (const char* text :
       {"null", "[]", "{}", "-3", "18446744073709551615", "1.5e3", "\"\\u00e4\\n\"",
        R"({"b":{"x":[1,[2,{}],"t",true,null]},"a":[{"k":1},{"k":2}],"b2":-0.0})"}) {
    const auto json = ParseJson(text, "it");
    ASSERT_TRUE(json.ok()) << json.status().ToString();
    EXPECT_EQ(*json, Json::parse(text)) << text;
    EXPECT_EQ(CompactJson(*json), CompactJson(Json::parse(text)));
  }
  for (const char* text : {"", "{", "[1,]", "{\"a\":1,}", "1 2", "1e999", "\"\xff\"", "{1:2}"}) {
    EXPECT_FALSE(ParseJson(text, "it").ok()) << text;
  }
}

TEST(ParseJson, TheLastOfEqualKeysWinsInThePlaceOfTheFirst) {
  const Json json = *ParseJson(R"({"a":1,"b":{"c":[1]},"a":[2],"b":{"d":3,"d":4}})", "it");
  EXPECT_EQ(CompactJson(json), R"({"a":[2],"b":{"d":4}})");
}

TEST(ParseJson, AnObjectMayHaveManyKeys) {
  // Looking through all keys for each of them would take hours.
  constexpr int kKeys = 400'000;
  std::string text = "{\"k\":0";
  for (int i = 0; i < kKeys; ++i) {
    text += ",\"" + std::to_string(i) + "\":" + std::to_string(i);
  }
  const auto json = ParseJson(text + "}", "it");
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(json->size(), 1U + kKeys);
}

TEST(ParseJson, RefusesWhatNestsTooDeep) {
  for (const char* const open : {"[", "{\"a\":"}) {
    std::string text;
    for (int i = 0; i < 200'000; ++i) {
      text += open;
    }
    EXPECT_THAT(ParseJson(text, "deep.json").status().message(),
                AllOf(HasSubstr("deep.json"), HasSubstr("deep")));
  }
  const std::string fine = std::string(400, '[') + std::string(400, ']');
  EXPECT_EQ(CompactJson(*ParseJson(fine, "t")), fine);
}

TEST(ParseJson, BracketsInTextDoNotNest) {
  const std::string text = "[\"" + std::string(2000, '[') + "\\\"" + std::string(2000, '{') + "\"]";
  EXPECT_TRUE(ParseJson(text, "t").ok());
}

TEST(ReadJsonFile, NamesTheFile) {
  const testing::TemporaryDirectory folder;
  EXPECT_EQ(ReadJsonFile(folder / "no.json").status().code(), StatusCode::kNotFound);
  ASSERT_TRUE(WriteFileAtomically(LocalFileSystem(), folder / "bad.json", "{").ok());
  EXPECT_THAT(ReadJsonFile(folder / "bad.json").status().message(),
              HasSubstr((folder / "bad.json").string()));
}

TEST(MemberTable, GoesBothWays) {
  const Shape shape{"s", Color::kBlue, {{1, 2}, {-3, 4}}, 2.5, {{"on", true}}};
  const Json json = ToJson(shape);
  EXPECT_EQ(
      CompactJson(json),
      R"({"name":"s","color":"blue","points":[{"x":1,"y":2},{"x":-3,"y":4}],"width":2.5,"flags":{"on":true}})");
  EXPECT_EQ(*FromJson<Shape>(json, "t"), shape);
}

TEST(MemberTable, WhatIsAbsentKeepsItsDefaultAndIsNotWritten) {
  const auto shape =
      FromJson<Shape>(*ParseJson(R"({"name": "s", "points": [{"x": 1}]})", "t"), "t");
  ASSERT_TRUE(shape.ok()) << shape.status().ToString();
  EXPECT_EQ(shape->points.front().y, 7);
  EXPECT_FALSE(shape->width.has_value());
  EXPECT_FALSE(ToJson(*shape).contains("width"));
  EXPECT_EQ(*FromJson<Shape>(*ParseJson(R"({"name": "s", "width": null})", "t"), "t"),
            Shape{.name = "s"});
}

TEST(MemberTable, ErrorsNameThePathTheValueAndWhatIsExpected) {
  EXPECT_THAT(ErrorOf("[]"), HasSubstr("shape.json is a list, expected an object"));
  EXPECT_THAT(ErrorOf("{}"), HasSubstr("shape.json has no key 'name'"));
  EXPECT_THAT(ErrorOf(R"({"name": 3})"),
              HasSubstr("shape.json.name is the number 3, expected text"));
  EXPECT_THAT(ErrorOf(R"({"name": "s", "color": "green"})"),
              AllOf(HasSubstr("shape.json.color"), HasSubstr("'green'"), HasSubstr("red, blue")));
  EXPECT_THAT(ErrorOf(R"({"name": "s", "points": [{"x": 1}, {"x": 1.5}]})"),
              HasSubstr("shape.json.points[1].x is the number 1.5, expected a whole number"));
  EXPECT_THAT(ErrorOf(R"({"name": "s", "points": [{"x": 1, "y": 256}]})"),
              HasSubstr("from 0 to 255"));
  EXPECT_THAT(ErrorOf(R"({"name": "s", "points": [{"x": 1, "y": -1}]})"),
              HasSubstr("from 0 to 255"));
  EXPECT_THAT(ErrorOf(R"({"name": "s", "points": [{"x": 4294967296}]})"),
              HasSubstr("whole number"));
  EXPECT_THAT(ErrorOf(R"({"name": "s", "flags": {"a": 1}})"), HasSubstr("shape.json.flags.a"));
  EXPECT_THAT(ErrorOf(R"({"name": "s", "width": "2"})"), HasSubstr("expected a number"));
}

TEST(MemberTable, UnknownKeysAreRefusedOnlyWhereAsked) {
  const std::string_view text = R"({"name": "s", "colour": "red"})";
  EXPECT_THAT(ErrorOf(text), AllOf(HasSubstr("'colour'"), HasSubstr("name, color, points")));
  EXPECT_EQ(ErrorOf(text, UnknownKeys::kIgnore), "");
}

}  // namespace
}  // namespace tyllm::format
