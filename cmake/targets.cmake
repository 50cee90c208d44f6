include(GoogleTest)

# What the sanitizer and fuzz presets build: tests that carry the label, and the fuzzers. A test gets a label
# when it has been run clean under that sanitizer. Debian's gRPC is not instrumented.
add_custom_target(memory_tests)
add_custom_target(thread_tests)
add_custom_target(all_fuzzers)

# tyllm_library(NAME folder-target SOURCES ... LINKS ...): one library a folder.
function(tyllm_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  if(ARG_SOURCES)
    add_library(${name} STATIC ${ARG_SOURCES})
    target_link_libraries(${name} PUBLIC tyllm_settings ${ARG_LINKS})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE tyllm_settings ${ARG_LINKS})
  endif()
endfunction()

# tyllm_program(NAME SOURCES ... LINKS ...): an executable in build/<preset>/bin.
function(tyllm_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE tyllm_settings ${ARG_LINKS})
endfunction()

# tyllm_test(NAME SOURCES ... LINKS ... [LABELS ...] [TIMEOUT seconds]): a GoogleTest program, a ctest entry a test. Labels:
# "e2e" for tests of whole programs, "rpc" for those that link gRPC, "memory" and "threads" for those of the
# sanitizer presets.
# tests/support/paths.h says where tests/data and the programs are.
function(tyllm_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINKS;LABELS" ${ARGN})
  if(ARG_TIMEOUT)
    set(properties PROPERTIES TIMEOUT ${ARG_TIMEOUT})
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE tyllm_settings GTest::gtest GTest::gtest_main tyllm_test_paths ${ARG_LINKS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  if("memory" IN_LIST ARG_LABELS)
    add_dependencies(memory_tests ${name})
  endif()
  if("threads" IN_LIST ARG_LABELS)
    add_dependencies(thread_tests ${name})
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 TEST_LIST ${name}_TESTS ${properties})
  # gtest_discover_tests keeps only the first of several labels: they are given to the tests that it found.
  set(labels_file ${CMAKE_CURRENT_BINARY_DIR}/${name}_labels.cmake)
  file(WRITE ${labels_file}.new
       "foreach(test IN LISTS ${name}_TESTS)\n"
       "  set_tests_properties(\"\${test}\" PROPERTIES LABELS \"${ARG_LABELS}\")\n"
       "endforeach()\n")
  file(COPY_FILE ${labels_file}.new ${labels_file} ONLY_IF_DIFFERENT)
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${labels_file})
endfunction()

# tyllm_benchmark(NAME SOURCES ... LINKS ...): a Google Benchmark program; never run by ctest.
function(tyllm_benchmark name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE tyllm_settings benchmark::benchmark benchmark::benchmark_main tyllm_test_paths ${ARG_LINKS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
endfunction()

# tyllm_fuzzer(NAME SOURCES ... LINKS ...): a libFuzzer program, built only with TYLLM_FUZZ.
# Its corpus is tests/fuzz/corpus/<NAME>; ctest runs it briefly over that corpus.
function(tyllm_fuzzer name)
  if(NOT TYLLM_FUZZ)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  add_dependencies(all_fuzzers ${name})
  target_link_libraries(${name} PRIVATE tyllm_settings ${ARG_LINKS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  # libFuzzer writes what it finds into the first folder: never into the source tree.
  file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/found/${name})
  add_test(NAME ${name} COMMAND ${name} -max_total_time=20 -rss_limit_mb=2048
           ${CMAKE_CURRENT_BINARY_DIR}/found/${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
  set_tests_properties(${name} PROPERTIES LABELS fuzz)
endfunction()
