// SPDX-License-Identifier: Apache-2.0
#include "common/wire/side_by_side.h"

#include <algorithm>

#include "common/base/guarded.h"
#include "common/base/parallel.h"

namespace tyllm::wire {

Status DoSideBySide(std::size_t most, std::span<const Work> works, const std::stop_token& stop) {
  std::stop_source ends;
  const std::stop_callback chained(stop, [&ends] { ends.request_stop(); });
  Guarded<Status> first;
  ThreadPool threads(static_cast<int>(std::clamp(works.size(), std::size_t{1}, most)));
  threads.ParallelFor(static_cast<std::int64_t>(works.size()), [&](std::int64_t i) {
    const Status ended = ends.stop_requested()
                             ? Cancelled("transfer stopped")
                             : works[static_cast<std::size_t>(i)](ends.get_token());
    if (ended.ok()) {
      return;
    }
    auto error = first.Lock();
    if (error->ok()) {
      *error = ended;
      ends.request_stop();
    }
  });
  auto error = first.Lock();
  return *error;
}

}  // namespace tyllm::wire
