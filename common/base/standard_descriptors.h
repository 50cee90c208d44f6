// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace tyllm {

/// Opens what is closed of the descriptors 0, 1 and 2 on /dev/null, so that no file that a program
/// opens later is taken for its standard error. Called first in main. What is written to a standard
/// output that was closed fails as before.
void HoldStandardDescriptors();

}  // namespace tyllm
