# Writes OUT, a header with a digest of the sources that decide what a task computes: a script, run when one of them
# changed (ADR 0154). Names, contents and their order are those of the repository, so that every machine gets the same.
# Usage: cmake -DROOT=<repository> -DOUT=<header> -P source_digest.cmake; included, it only lists them.
set(result_folders worker common/base common/domain common/format)

function(result_sources root out)
  set(patterns ${result_folders})
  list(TRANSFORM patterns APPEND "/*")
  list(TRANSFORM patterns PREPEND "${root}/")
  file(GLOB_RECURSE found LIST_DIRECTORIES false RELATIVE ${root} ${patterns})
  list(FILTER found EXCLUDE REGEX "^worker/agent/|(^|/)\\.|~$")
  list(SORT found)
  set(${out} ${found} PARENT_SCOPE)
endfunction()

if(CMAKE_SCRIPT_MODE_FILE)
  result_sources(${ROOT} sources)
  set(all "")
  foreach(source IN LISTS sources)
    file(SHA256 ${ROOT}/${source} digest)
    string(APPEND all "${source} ${digest}\n")
  endforeach()
  string(SHA256 digest "${all}")
  string(SUBSTRING ${digest} 0 12 digest)
  file(WRITE ${OUT} "#define TYLLM_SOURCES \"${digest}\"\n")
endif()
