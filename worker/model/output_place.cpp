// SPDX-License-Identifier: Apache-2.0
#include "worker/model/output_place.h"

#include "common/base/real_path.h"

namespace tyllm::model {

Status CheckOutputPlace(const Path& model, const Path& out) {
  if (!LiesIn(out, model)) {
    return OkStatus();
  }
  return InvalidArgument("the output folder " + out.string() + " lies in the model directory " +
                         model.string() +
                         ", expected a folder outside of it; choose another output folder");
}

}  // namespace tyllm::model
