#include "tests/support/paths.h"

namespace tyllm::testing {

const char* const kTestData = TYLLM_SOURCE_DIR "/tests/data";
const char* const kSourceFolder = TYLLM_SOURCE_DIR;
const char* const kProgramFolder = TYLLM_BIN_DIR;

}  // namespace tyllm::testing
