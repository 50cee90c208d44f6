// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

namespace tyllm::testing {

/// A program that stands in for `tyllm` where only the agent is tested: a shell script that does
/// what the task's name says, step by step as the test opens gates.
///
///   plain   writes output/result
///   large   as plain, and a file of 256 MB
///   layers  writes one file of output.partial after another, goes on from those that are there,
///           and waits at the gate "layer<i>" after each
///   late    has a second file at the gate "file", and tells of it after
///   wait    waits at the gate "end", then as plain
///   stubborn  as wait, but does not listen to SIGTERM
///   crash   writes output.partial/1, waits at the gate "crash" and dies of SIGSEGV
class StandInToolchain {
 public:
  explicit StandInToolchain(const std::filesystem::path& folder)
      : program_(folder / "tool"), gates_(folder / "gates") {
    std::filesystem::create_directories(gates_);
    std::ofstream(program_) << "#!/bin/sh\ngates=" << gates_.string() << "\n" << kScript;
    std::filesystem::permissions(program_, std::filesystem::perms::owner_all);
  }

  const std::filesystem::path& program() const { return program_; }

  void Open(const std::string& gate) const { std::ofstream(gates_ / gate) << "open"; }

  /// Whether a job is there, waiting or gone on; its process then.
  std::optional<pid_t> Reached(const std::string& gate) const {
    std::ifstream in(gates_ / (gate + ".reached"));
    pid_t process = 0;
    return in >> process ? std::optional(process) : std::nullopt;
  }

 private:
  static constexpr const char* kScript = R"sh(
if [ "$1" = devices ]; then
  echo '{"version": "stand-in", "dies": 3, "devices": [{"name": "cpu", "usable": true}], "tools": [{"name": "sim-x86_64", "version": "cc 1"}]}'
  exit 0
fi
field() { sed -n 's/^ *"'$1'": "\(.*\)",*$/\1/p' "$order" | head -n 1; }
gate() {
  echo $$ > "$gates/$1.reached"
  while [ ! -e "$gates/$1" ]; do sleep 0.02; done
}
plain() { mkdir -p "$out"; echo "result of $name" > "$out/result"; }
order=$3
out=$(field output)
name=$(field name)
echo "stand-in runs $name"
case $name in
  plain) plain ;;
  large) plain; truncate -s 256M "$out/large" ;;
  layers)
    mkdir -p "$out.partial"
    for i in 1 2 3; do
      if [ ! -e "$out.partial/$i" ]; then
        echo "makes layer $i"
        echo "layer $i" > "$out.partial/$i.tmp"
        mv "$out.partial/$i.tmp" "$out.partial/$i"
        echo '{"stage":"layers","done":'$i',"total":3}' >&3
        gate "layer$i"
      fi
    done
    mv "$out.partial" "$out" ;;
  late)
    mkdir -p "$out.partial"
    echo "layer 1" > "$out.partial/1"
    echo '{"stage":"layers","done":1,"total":2}' >&3
    gate first
    echo "layer 2" > "$out.partial/2.tmp"
    mv "$out.partial/2.tmp" "$out.partial/2"
    gate file
    echo '{"stage":"layers","done":2,"total":2}' >&3
    gate told
    mv "$out.partial" "$out" ;;
  wait) gate end; plain ;;
  stubborn) trap '' TERM; gate end; plain ;;
  crash)
    mkdir -p "$out.partial"
    echo unfinished > "$out.partial/1"
    gate crash
    kill -SEGV $$ ;;
  *) echo "error: no such name: $name" >&2; exit 2 ;;
esac
)sh";

  std::filesystem::path program_;
  std::filesystem::path gates_;
};

}  // namespace tyllm::testing
