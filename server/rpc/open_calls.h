// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/guarded.h"

namespace tyllm::server::rpc {

/// Calls that have not ended, by method. Threads: any.
class OpenCalls {
 public:
  /// One of them, from its beginning to its end.
  class One {
   public:
    /// `method` is of static storage.
    One(std::shared_ptr<OpenCalls> all, std::string_view method);
    One(const One&) = delete;
    One& operator=(const One&) = delete;
    ~One();

   private:
    const std::shared_ptr<OpenCalls> all_;
    const std::string_view method_;
  };

  /// "BlobService.Upload (4), JobService.GetJob (1)"; empty: there are none.
  std::string ToString();

 private:
  Guarded<std::map<std::string_view, int>> open_;
};

}  // namespace tyllm::server::rpc
