// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "common/base/clock.h"
#include "common/base/digest.h"

namespace tyllm::server::core {

/// Trees that were found whole a moment ago: of many jobs for one model the first looks at the disk
/// for all. A blob that was looked for then is not removed for at least an hour
/// (Limits::blob_keep), far longer than is remembered here. One thread.
class WholeTrees {
 public:
  /// For how long what was found is taken for true.
  static constexpr Milliseconds kTrusted{2000};

  struct Size {
    std::int64_t bytes = 0;  ///< of its files
    std::size_t files = 0;
  };

  std::optional<Size> Find(const BlobId& tree, Clock::Steady now) const;
  /// `looked`: when looking began.
  void Note(const BlobId& tree, const Size& size, Clock::Steady looked);

  void Clear() { found_.clear(); }

 private:
  struct Found {
    Size size;
    Clock::Steady looked;
  };

  std::map<BlobId, Found> found_;
};

}  // namespace tyllm::server::core
