// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>

namespace tyllm {

/// The memory of a GPU ran out. As std::bad_alloc for the machine's memory, it ends the program
/// with an exit code of its own, so that a farm tries a larger GPU.
class GpuMemoryError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace tyllm
