# Compiler settings of every target of this project. Nothing here reaches generated protobuf code.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)

# ccache hits across clones because paths are made relative to the source folder.
find_program(TYLLM_CCACHE ccache)
find_program(TYLLM_ENV env)
if(TYLLM_CCACHE AND TYLLM_ENV)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${TYLLM_ENV} CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=time_macros ${TYLLM_CCACHE})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()

# Libraries are lists of their objects: copying these took a seventh of the time of a build.
set(CMAKE_CXX_ARCHIVE_CREATE "<CMAKE_AR> rcsT <TARGET> <OBJECTS>")
set(CMAKE_CXX_ARCHIVE_FINISH "")

find_program(TYLLM_MOLD mold)
if(TYLLM_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_library(tyllm_settings INTERFACE)
target_include_directories(tyllm_settings INTERFACE ${PROJECT_SOURCE_DIR})
# Debian's Boost headers are used without the compiled libraries.
target_compile_definitions(tyllm_settings INTERFACE BOOST_ASIO_NO_DEPRECATED)
target_compile_options(tyllm_settings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers -Wshadow -Wnon-virtual-dtor
  -Wold-style-cast -Wswitch-enum
  $<$<BOOL:${TYLLM_WERROR}>:-Werror>
  # g++ 12 sees overlapping copies in "literal" + std::string when it optimises (GCC bug 105651).
  $<$<AND:$<CONFIG:Release>,$<CXX_COMPILER_ID:GNU>>:-Wno-restrict>)

if(TYLLM_SANITIZE)
  target_compile_options(tyllm_settings INTERFACE -fsanitize=${TYLLM_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(tyllm_settings INTERFACE -fsanitize=${TYLLM_SANITIZE})
endif()
