// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "worker/graph/graph.h"

namespace tyllm::graph {

/// Adds nodes in running order; each gets a value of its own for its output.
class BlockBuilder {
 public:
  BlockBuilder(std::string name, std::string input, std::int64_t columns) {
    block_.name = std::move(name);
    block_.values.push_back({std::move(input), columns});
  }

  static constexpr ValueId kInput = 0;

  ValueId Add(Op op, std::string output, std::int64_t columns, std::vector<ValueId> inputs,
              std::string weight = {}, std::string bias = {}) {
    const auto id = static_cast<ValueId>(block_.values.size());
    block_.values.push_back({std::move(output), columns});
    block_.nodes.push_back({op, std::move(inputs), id, std::move(weight), std::move(bias)});
    return id;
  }

  /// The node added last holds part `part` of `parts` of its weight.
  void TakePart(std::int32_t part, std::int32_t parts) {
    block_.nodes.back().part = part;
    block_.nodes.back().parts = parts;
  }

  /// Same columns as its first input.
  ValueId AddAlike(Op op, std::string output, std::vector<ValueId> inputs,
                   std::string weight = {}) {
    const std::int64_t columns = block_.values[static_cast<std::size_t>(inputs[0])].columns;
    return Add(op, std::move(output), columns, std::move(inputs), std::move(weight));
  }

  Block Finish(ValueId output) && {
    block_.output = output;
    return std::move(block_);
  }

 private:
  Block block_;
};

}  // namespace tyllm::graph
