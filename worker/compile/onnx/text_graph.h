// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/compile/onnx/weight_tensors.h"
#include "worker/onnx/model.h"

namespace tyllm::compile {

/// The domain of the one operation that ONNX lacks: AllReduceSum(x), the sum of x over the dies of
/// a group (attribute `group`: so many neighbouring dies). A model for one die has none.
inline constexpr const char* kDieDomain = "ai.tyllm.die";

/// The text model of one die as ONNX, from the schedule of a decoding program: any number of tokens
/// after any history. Inputs: token_ids int64 [tokens] (or embeddings float32 [tokens, width]),
/// positions int64 [tokens], and for each layer with heads past_key.<l>, past_value.<l> float32
/// [kv_heads, history, head_size]. Outputs: logits float32 [tokens, vocabulary of the die],
/// present_key.<l>, present_value.<l>. Activations are float32.
Result<onnx::Model> TextGraph(const plan::Schedule& schedule, std::int64_t dies,
                              WeightTensors& weights);

}  // namespace tyllm::compile
