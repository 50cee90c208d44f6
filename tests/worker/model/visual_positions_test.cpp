// SPDX-License-Identifier: Apache-2.0
#include "worker/model/visual_positions.h"

#include <gtest/gtest.h>

namespace tyllm::model {
namespace {

constexpr std::int32_t kImage = 90;
constexpr std::int32_t kVideo = 91;

VisionShape Shape(VideoTime time) {
  VisionShape shape;
  shape.patch = 14;
  shape.video_time = time;
  shape.tokens_per_second = 2;
  shape.image_token = kImage;
  shape.video_token = kVideo;
  return shape;
}

TEST(VisualPositions, SeveralImagesAndTextGoOnAfterTheLargestPosition) {
  const std::vector<VisualItem> items{{{1, 4, 2}}, {{1, 2, 8}}};
  const std::vector<std::int32_t> ids{1, kImage, kImage, 2, kImage, kImage, kImage, kImage, 3};
  const auto found = PositionsOf(Shape(VideoTime::kGrids), ids, items);
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found->axes[0], (std::vector<std::int32_t>{0, 1, 1, 3, 4, 4, 4, 4, 8}));
  EXPECT_EQ(found->axes[1], (std::vector<std::int32_t>{0, 1, 2, 3, 4, 4, 4, 4, 8}));
  EXPECT_EQ(found->axes[2], (std::vector<std::int32_t>{0, 1, 1, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(found->rows, (std::vector<std::int64_t>{1, 2, 4, 5, 6, 7}));
  EXPECT_EQ(found->delta(), 0);
}

TEST(VisualPositions, SecondsOfAVideoMoveItsTime) {
  const VisualItem item{{3, 2, 2}, true, 1.3};
  const std::vector<std::int32_t> ids{5, kVideo, kVideo, kVideo, 6};
  const auto found = PositionsOf(Shape(VideoTime::kSeconds), ids, {&item, 1});
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found->axes[0], (std::vector<std::int32_t>{0, 1, 3, 6, 7}));  // 0, 2.6, 5.2
}

TEST(VisualPositions, GridsThatStandApartAreFoundBetweenText) {
  const VisualItem item{{2, 2, 4}, true};
  const std::vector<std::int32_t> ids{5, kVideo, kVideo, 6, 7, kVideo, kVideo};
  const auto found = PositionsOf(Shape(VideoTime::kApart), ids, {&item, 1});
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found->axes[0], (std::vector<std::int32_t>{0, 1, 1, 3, 4, 5, 5}));
  EXPECT_EQ(found->axes[2], (std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(found->next, 7);
}

TEST(VisualPositions, TokensThatDoNotMatchTheImagesAreErrors) {
  const VisionShape shape = Shape(VideoTime::kGrids);
  const VisualItem item{{1, 4, 4}};
  for (const std::vector<std::int32_t>& ids :
       {std::vector<std::int32_t>{1, kImage, kImage, kImage, 2},
        {1, 2, 3},
        {},
        {kImage, kImage, kImage, kImage, kImage},
        {kVideo, kVideo, kVideo, kVideo}}) {
    const auto found = PositionsOf(shape, ids, {&item, 1});
    ASSERT_FALSE(found.ok());
    EXPECT_NE(found.status().message().find("do not match"), std::string::npos)
        << found.status().message();
  }
  EXPECT_FALSE(PositionsOf(shape, std::vector<std::int32_t>{kImage}, {}).ok());
}

TEST(VisualPositions, GridsThatCannotBeAreErrors) {
  const VisionShape shape = Shape(VideoTime::kGrids);
  for (const VisualGrid grid : {VisualGrid{1, 3, 4}, VisualGrid{0, 4, 4}, VisualGrid{1, 0, 4},
                                VisualGrid{1, 1 << 20, 1 << 20}, VisualGrid{1, -2, -2}}) {
    EXPECT_EQ(CheckGrid(shape, grid, "it").code(), StatusCode::kInvalidArgument) << ToText(grid);
  }
  EXPECT_TRUE(CheckGrid(shape, {1, 34, 60}, "it").ok());
}

}  // namespace
}  // namespace tyllm::model
