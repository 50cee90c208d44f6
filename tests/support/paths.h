#pragma once

// Where tests and benchmarks find things. Kept out of the units that use it, so that these compile
// to the same bytes in every clone and a compiler cache serves them all.
namespace tyllm::testing {

extern const char* const kTestData;       // tests/data of the source tree
extern const char* const kSourceFolder;   // the source tree
extern const char* const kProgramFolder;  // the programs that were built

}  // namespace tyllm::testing
