// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "common/base/digest.h"

namespace tyllm {

/// A SHA-256 that can be asked for what came so far, any number of times. Not thread-safe.
class RunningSha256 {
 public:
  RunningSha256();
  RunningSha256(RunningSha256&&) noexcept;
  RunningSha256& operator=(RunningSha256&&) noexcept;
  ~RunningSha256();

  void Update(std::span<const std::byte> bytes);
  Sha256 SoFar() const;

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace tyllm
