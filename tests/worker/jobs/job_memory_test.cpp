// SPDX-License-Identifier: Apache-2.0
#include "worker/jobs/job_memory.h"

#include <gtest/gtest.h>

#include "worker/model/checkpoint_size.h"
#include "worker/model/published_models.h"

namespace tyllm::jobs {
namespace {

TEST(JobMemory, DependsOnTheNumberOfLayersOnlyToRun) {
  for (const model::PublishedModel& published : model::PublishedModels()) {
    model::ModelShape shape = published.shape;
    const JobMemory before = MemoryOfJobs(shape, 128);
    shape.layers *= 2;
    const JobMemory after = MemoryOfJobs(shape, 128);
    EXPECT_EQ(after.quantize, before.quantize) << published.name;
    EXPECT_EQ(after.evaluate, before.evaluate) << published.name;
    EXPECT_LT(after.compile, before.compile + published.shape.layers * 8'000'000)
        << published.name;  // KV caches
    EXPECT_GT(after.run, before.run) << published.name;
    EXPECT_GT(before.run, model::QuantizedBytes(published.shape, 128)) << published.name;
    EXPECT_LT(before.compile, before.evaluate) << published.name;
    EXPECT_LT(before.compile, before.quantize) << published.name;
  }
}

}  // namespace
}  // namespace tyllm::jobs
