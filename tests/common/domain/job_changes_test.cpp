// SPDX-License-Identifier: Apache-2.0
#include "common/domain/job_changes.h"

#include <gtest/gtest.h>

#include "common/domain/validation.h"

namespace tyllm::domain {
namespace {

TEST(FieldOf, IsThePathThatAMessageBeginsWith) {
  EXPECT_EQ(FieldOf("compile: dies is 9, expected 1 to 4"), "compile.dies");
  EXPECT_EQ(FieldOf("spec: kind has the number 77, which"), "spec.kind");
  EXPECT_EQ(FieldOf("page_size is -1, expected 0 to 1000"), "page_size");
  EXPECT_EQ(FieldOf("model: the server does not have 1 blob"), "model");
  EXPECT_EQ(FieldOf("update_mask names 'x', expected"), "update_mask");
  EXPECT_EQ(FieldOf("the request has 9 bytes"), "");
  EXPECT_EQ(FieldOf("Nothing: is here"), "");
  EXPECT_EQ(FieldOf(""), "");
}

TEST(EtagOf, ChangesWithWhatPeopleAndTheFarmChange) {
  JobView job;
  job.id = JobId{1};
  job.last_event = 4;
  const std::string etag = EtagOf(job);
  JobView other = job;
  other.expected_end_unix_ms = 5;
  EXPECT_EQ(EtagOf(other), etag);
  other.last_event = 5;
  EXPECT_NE(EtagOf(other), etag);
  other = job;
  other.priority = 1;
  EXPECT_NE(EtagOf(other), etag);
  other = job;
  other.labels = {{"a", "bc"}};
  JobView shifted = job;
  shifted.labels = {{"ab", "c"}};
  EXPECT_NE(EtagOf(other), EtagOf(shifted));
}

}  // namespace
}  // namespace tyllm::domain
