// SPDX-License-Identifier: Apache-2.0
#pragma once

// A step of the schema: unfinished work that another attempt can go on from.
namespace tyllm::server::store::schema {

inline constexpr const char* kCheckpoints = R"sql(
CREATE TABLE checkpoints(
  key BLOB PRIMARY KEY CHECK(length(key) = 32),
  task INTEGER NOT NULL,
  checkpoint TEXT NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)sql";

}  // namespace tyllm::server::store::schema
