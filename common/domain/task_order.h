// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <tuple>

#include "common/domain/job.h"
#include "common/format/json.h"

namespace tyllm::domain {

/// The file that a worker's agent hands to `tyllm task --spec FILE`: a task's options and where its
/// inputs lie and its output goes on this machine. docs/formats/task_order.md.
struct TaskOrder {
  TaskKind kind = TaskKind::kQuantize;
  std::string name;
  QuantizeOptions quantize;
  ConvertOptions convert;
  EvaluateOptions evaluate;
  CompileOptions compile;
  std::int64_t die = 0;
  std::string compiler;  ///< that is to make the programs; empty: the machine's first
  std::map<std::string, std::string> inputs;  ///< input name -> folder
  std::string output;                         ///< folder to create
  std::string device = "auto";
  std::string cache;  ///< folder for compiled objects; empty: the default

  TaskSpec spec() const {
    return {kind, name, quantize, convert, evaluate, compile, die, compiler};
  }
};

}  // namespace tyllm::domain

template <>
struct tyllm::format::Members<tyllm::domain::TaskOrder> {
  using O = tyllm::domain::TaskOrder;
  static constexpr auto kTable = std::tuple{
      Member{"kind", &O::kind, true},
      Member{"name", &O::name},
      Member{"quantize", &O::quantize},
      Member{"convert", &O::convert},
      Member{"evaluate", &O::evaluate},
      Member{"compile", &O::compile},
      Member{"die", &O::die},
      Member{"compiler", &O::compiler},
      Member{"inputs", &O::inputs, true},
      Member{"output", &O::output, true},
      Member{"device", &O::device},
      Member{"cache", &O::cache},
  };
};
