// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <random>
#include <string>

#include "common/base/digest.h"

namespace tyllm::testing {

/// Fills messages of any type with values that are sometimes right, often nearly so and sometimes
/// nonsense: ids of jobs and tasks that may be there, blobs that are, numbers at the edges.
class RandomMessages {
 public:
  /// `tree`: the name of a tree that the server has.
  RandomMessages(std::uint64_t seed, const BlobId& tree) : random_(seed), tree_(tree) {}

  void Fill(google::protobuf::Message& message, int depth = 0);

  std::string Bytes(std::int64_t most);
  std::int64_t Below(std::int64_t limit);

 private:
  using Field = google::protobuf::FieldDescriptor;

  void Set(google::protobuf::Message& message, const Field& field, bool add, int depth);
  std::string Text(const Field& field);
  std::int64_t Number();

  std::mt19937_64 random_;
  const BlobId tree_;
};

}  // namespace tyllm::testing
