// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace tyllm::testing {

/// How a job behaves follows from its name: "<behaviour>-<milliseconds>-<anything>".
///
///   ok      writes its log and its output
///   chatty  the same with a log of thousands of lines
///   once    dies of SIGSEGV in its first attempt
///   fail    exits with 2: what it was asked is wrong
///   gate    waits until a file `gate` is beside the program
///
/// The log begins with "begin t7-2" (task and attempt), numbers its lines and ends with "done
/// t7-2". The output says in `made-by` which attempt made it, and has a file of bytes that depend
/// on that.
inline std::filesystem::path WriteChaosToolchain(const std::filesystem::path& folder) {
  constexpr const char* kScript = R"sh(#!/bin/sh
if [ "$1" = devices ]; then
  echo '{"version": "stand-in", "dies": 4, "devices": [{"name": "cpu", "usable": true}], "tools": [{"name": "sim-x86_64", "version": "cc 1"}]}'
  exit 0
fi
order=$3
out=$(sed -n 's/^ *"output": "\(.*\)",*$/\1/p' "$order" | head -n 1)
name=$(sed -n 's/^ *"name": "\(.*\)",*$/\1/p' "$order" | head -n 1)
attempt=$(basename "$(dirname "$out")")
behaviour=${name%%-*}
rest=${name#*-}
millis=${rest%%-*}
lines=20
[ "$behaviour" = chatty ] && lines=3000
echo "begin $attempt"
i=0
while [ $i -lt $lines ]; do
  echo "line $i of $name"
  i=$((i + 1))
done
echo '{"stage":"work","done":1,"total":2}' >&3
sleep "$((millis / 1000)).$(printf %03d $((millis % 1000)))"
echo '{"stage":"work","done":2,"total":2}' >&3
case $behaviour in
  fail) echo "error: not like this" >&2; exit 2 ;;
  once) [ "${attempt##*-}" = 1 ] && kill -SEGV $$ ;;
  gate)
    i=0
    while [ ! -e "$(dirname "$0")/gate" ] && [ $i -lt 9000 ]; do
      i=$((i + 1))
      echo '{"stage":"gate","done":'$i',"total":9000}' >&3
      sleep 0.1
    done ;;
esac
mkdir -p "$out.partial"
echo "$attempt" > "$out.partial/made-by"
i=0
while [ $i -lt 200 ]; do
  echo "$attempt $i 0123456789abcdefghijklmnopqrstuvwxyz"
  i=$((i + 1))
done > "$out.partial/data"
echo "done $attempt"
mv "$out.partial" "$out"
)sh";
  const std::filesystem::path program = folder / "tool";
  std::ofstream(program) << kScript;
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  return program;
}

}  // namespace tyllm::testing
