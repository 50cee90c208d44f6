// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "worker/jobs/lint.h"

// How vLLM cuts layers for several GPUs, and what its kernels take of a part.
namespace tyllm::jobs::vllm {

namespace {

constexpr std::array<std::int64_t, 4> kSizes = {1, 2, 4, 8};
/// Output columns of a packed word.
constexpr std::int64_t kWord = 8;
/// What the Marlin kernels take is a multiple of these; the AWQ kernel asks the first, too.
constexpr std::int64_t kMarlinOut = 64;
constexpr std::int64_t kMarlinIn = 128;

/// A linear layer of every decoder layer, cut along its outputs or its inputs.
struct Cut {
  std::string_view module;
  std::int64_t out = 0;
  std::int64_t in = 0;
  bool by_outputs = false;
  std::int64_t most_parts = 0;  ///< KV heads are copied, not cut, beyond their number
};

std::vector<Cut> CutsOf(const model::ModelShape& shape) {
  const model::DecoderNames& names = shape.names;
  const std::int64_t many = kSizes.back();
  return {{names.q, shape.q_columns(), shape.width, true, many},
          {names.k, shape.kv_columns(), shape.width, true, shape.kv_heads},
          {names.v, shape.kv_columns(), shape.width, true, shape.kv_heads},
          {names.o, shape.width, shape.q_columns(), false, many},
          {names.gate, shape.intermediate, shape.width, true, many},
          {names.up, shape.intermediate, shape.width, true, many},
          {names.down, shape.width, shape.intermediate, false, many}};
}

bool IsQuantizedAnywhere(const LintSubject& subject, std::string_view module) {
  return std::ranges::any_of(subject.linears, [&](const std::string& linear) {
    return linear.ends_with(module) && subject.checkpoint.IsQuantized(linear);
  });
}

void AddReasons(const LintSubject& subject, const Cut& cut, ParallelSize& size) {
  const std::int64_t parts = std::min(size.size, cut.most_parts);
  const std::int64_t whole = cut.by_outputs ? cut.out : cut.in;
  const std::string what = std::string(cut.module) + ": " + std::to_string(whole) +
                           (cut.by_outputs ? " outputs" : " inputs") + " in " +
                           std::to_string(parts) + (parts == 1 ? " part" : " parts");
  const std::int64_t unit = !IsQuantizedAnywhere(subject, cut.module) ? 1
                            : cut.by_outputs                          ? kWord
                                             : subject.checkpoint.group_size();
  if (whole % parts != 0) {
    size.reasons.push_back(what + " do not divide");
  } else if (whole / parts % unit != 0) {
    size.reasons.push_back(what + " are " + std::to_string(whole / parts) +
                           " each, expected a multiple of " + std::to_string(unit) +
                           (cut.by_outputs ? ", a packed word" : ", the group size"));
  }
}

void CheckHeads(const model::ModelShape& shape, ParallelSize& size) {
  if (shape.heads % size.size != 0) {
    size.reasons.push_back(std::to_string(shape.heads) + " heads do not divide");
  }
  const std::int64_t more = std::max(shape.kv_heads, size.size);
  const std::int64_t less = std::min(shape.kv_heads, size.size);
  if (more % less != 0) {
    size.reasons.push_back(std::to_string(shape.kv_heads) +
                           " KV heads neither divide nor can be copied evenly");
  }
}

/// A product that vLLM computes at once: its kernels see the outputs of all its layers as one.
struct Product {
  std::string_view module;  ///< the first of its layers
  std::int64_t out = 0;     ///< on one GPU of those that share
  std::int64_t in = 0;
};

std::vector<Product> ProductsOf(const model::ModelShape& shape, std::int64_t count) {
  const model::DecoderNames& names = shape.names;
  const std::int64_t kv_parts = std::min(count, shape.kv_heads);
  return {{names.q, shape.q_columns() / count + 2 * (shape.kv_columns() / kv_parts), shape.width},
          {names.o, shape.width, shape.q_columns() / count},
          {names.gate, 2 * (shape.intermediate / count), shape.width},
          {names.down, shape.width, shape.intermediate / count}};
}

/// What the Marlin kernels do not take goes through a slower way.
void AddSlower(const LintSubject& subject, ParallelSize& size) {
  for (const Product& product : ProductsOf(subject.checkpoint.shape(), size.size)) {
    if (!IsQuantizedAnywhere(subject, product.module)) {
      continue;
    }
    const std::string what = std::string(product.module) + " and what is computed with it: ";
    if (product.out % kMarlinOut != 0) {
      size.slower.push_back(what + std::to_string(product.out) + " outputs a GPU, expected a " +
                            "multiple of " + std::to_string(kMarlinOut));
    }
    if (product.in % kMarlinIn != 0) {
      size.slower.push_back(what + std::to_string(product.in) + " inputs a GPU, expected a " +
                            "multiple of " + std::to_string(kMarlinIn));
    }
  }
}

void WarnOf(const ParallelSize& size, LintFindings& findings) {
  if (!size.loads) {
    const std::string text = "tensor parallel size " + std::to_string(size.size) +
                             " cannot load: " + size.reasons.front();
    if (size.size == 1) {
      findings.Error(text);
    } else {
      findings.Warning(text);
    }
  } else if (size.size == 1 && !size.slower.empty()) {
    findings.Warning("the Marlin kernels do not take " + size.slower.front() +
                     "; versions that do not pad such layers use the slow kernel");
  }
}

/// The AWQ kernel of older versions, on one GPU.
void CheckTiles(const LintSubject& subject, LintFindings& findings) {
  for (const Product& product : ProductsOf(subject.checkpoint.shape(), 1)) {
    if (subject.IsAwq() && IsQuantizedAnywhere(subject, product.module) &&
        product.out % kMarlinOut != 0) {
      findings.Warning(std::string(product.module) + " and what is computed with it have " +
                       std::to_string(product.out) + " outputs, expected a multiple of " +
                       std::to_string(kMarlinOut) +
                       " for the AWQ kernel: older versions refuse the model");
    }
  }
}

}  // namespace

void CheckTensorParallel(const LintSubject& subject, LintFindings& findings) {
  const model::ModelShape& shape = subject.checkpoint.shape();
  const std::vector<Cut> cuts = CutsOf(shape);
  for (const std::int64_t count : kSizes) {
    ParallelSize size{.size = count};
    CheckHeads(shape, size);
    for (const Cut& cut : cuts) {
      AddReasons(subject, cut, size);
    }
    size.loads = size.reasons.empty();
    if (size.loads) {
      AddSlower(subject, size);
    }
    WarnOf(size, findings);
    findings.Add(std::move(size));
  }
  CheckTiles(subject, findings);
}

}  // namespace tyllm::jobs::vllm
