// SPDX-License-Identifier: Apache-2.0
#include <cuda_fp16.h>

#include "worker/cuda/kernels/device_math.cuh"
#include "worker/cuda/kernels/packing.h"
#include "worker/model/awq_gemm_words.h"
#include "worker/quant/code_mix.h"

namespace tyllm::cuda {

namespace {

constexpr int kThreads = 256;
/// Both directions transpose, by tiles: so many words of so many inputs.
constexpr int kTileWords = 16;
constexpr int kTileInputs = 64;
constexpr int kTileOutputs = kTileWords * model::kAwqGemmPack;

/// A block's tile of a matrix of words [inputs, outputs / 8].
struct WordTile {
  std::int64_t outputs;
  std::int64_t inputs;
  std::int64_t first_output;
  std::int64_t first_input;

  __device__ WordTile(std::int64_t outputs, std::int64_t inputs)
      : outputs(outputs),
        inputs(inputs),
        first_output(static_cast<std::int64_t>(blockIdx.x) * kTileOutputs),
        first_input(static_cast<std::int64_t>(blockIdx.y) * kTileInputs) {}

  /// f(output, input), both within the tile: threads in a row take neighbouring inputs.
  template <typename F>
  __device__ void ForNibbles(F f) const {
    for (int i = threadIdx.x; i < kTileOutputs * kTileInputs; i += blockDim.x) {
      const int output = i / kTileInputs;
      const int input = i % kTileInputs;
      if (first_output + output < outputs && first_input + input < inputs) {
        f(output, input);
      }
    }
  }

  /// f(word, input, place in the matrix): threads in a row take neighbouring words.
  template <typename F>
  __device__ void ForWords(F f) const {
    const std::int64_t row = outputs / model::kAwqGemmPack;
    for (int i = threadIdx.x; i < kTileWords * kTileInputs; i += blockDim.x) {
      const int input = i / kTileWords;
      const int word = i % kTileWords;
      const std::int64_t place = first_output / model::kAwqGemmPack + word;
      if (place < row && first_input + input < inputs) {
        f(word, input, (first_input + input) * row + place);
      }
    }
  }
};

dim3 Tiles(std::int64_t outputs, std::int64_t inputs) {
  return {static_cast<unsigned>(Blocks(outputs, kTileOutputs)),
          static_cast<unsigned>(Blocks(inputs, kTileInputs))};
}

__global__ void PackWordsKernel(const std::uint8_t* nibbles, std::int64_t outputs,
                                std::int64_t inputs, std::uint32_t* words) {
  __shared__ std::uint8_t tile[kTileOutputs][kTileInputs + 4];
  const WordTile at(outputs, inputs);
  at.ForNibbles([&](int output, int input) {
    tile[output][input] = nibbles[(at.first_output + output) * inputs + at.first_input + input];
  });
  __syncthreads();
  at.ForWords([&](int word, int input, std::int64_t place) {
    std::uint32_t packed = 0;
    for (unsigned j = 0; j < model::kAwqGemmPack; ++j) {
      packed |= (tile[word * model::kAwqGemmPack + j][input] & 15U) << model::AwqGemmShift(j);
    }
    words[place] = packed;
  });
}

__global__ void TransposeHalvesKernel(const std::uint16_t* from, std::int64_t rows,
                                      std::int64_t columns, std::uint16_t* to) {
  for (std::int64_t i = GlobalThread(); i < rows * columns; i += AllThreads()) {
    to[i] = from[i % rows * columns + i / rows];
  }
}

__global__ void DecodeWordsKernel(GroupedRows shape, const std::uint32_t* codes,
                                  const std::uint32_t* zeros, const std::uint16_t* scales,
                                  float* out) {
  __shared__ std::uint32_t tile[kTileInputs][kTileWords + 1];
  const WordTile at(shape.rows, shape.width);
  at.ForWords([&](int word, int input, std::int64_t place) { tile[input][word] = codes[place]; });
  __syncthreads();
  at.ForNibbles([&](int output, int input) {
    const std::int64_t r = at.first_output + output;
    const std::int64_t c = at.first_input + input;
    const std::int64_t g = c / shape.group;
    const unsigned shift = model::AwqGemmShift(static_cast<unsigned>(r % model::kAwqGemmPack));
    const std::uint32_t zero_word =
        zeros[g * (shape.rows / model::kAwqGemmPack) + r / model::kAwqGemmPack];
    const int code = static_cast<int>(tile[input][output / model::kAwqGemmPack] >> shift & 15U);
    const int zero = static_cast<int>(zero_word >> shift & 15U);
    out[r * shape.width + c] = static_cast<float>(code - zero) *
                               __half2float(__ushort_as_half(scales[g * shape.rows + r]));
  });
}

__global__ void AddCodeTermsKernel(const std::uint64_t* words, std::int64_t count,
                                   std::uint64_t array, unsigned long long* sums) {
  unsigned long long low = 0;
  unsigned long long high = 0;
  for (std::int64_t i = GlobalThread(); i < count; i += AllThreads()) {
    const quant::CodeTerm term = quant::TermOf(words[i], array, static_cast<std::uint64_t>(i));
    low += term.low;
    high += term.high;
  }
  low = BlockSum(low);
  high = BlockSum(high);
  if (threadIdx.x == 0) {
    atomicAdd(sums, low);
    atomicAdd(sums + 1, high);
  }
}

}  // namespace

void PackWords(const std::uint8_t* nibbles, std::int64_t outputs, std::int64_t inputs,
               std::uint32_t* words, cudaStream_t stream) {
  PackWordsKernel<<<Tiles(outputs, inputs), kThreads, 0, stream>>>(nibbles, outputs, inputs, words);
}

void TransposeHalves(const std::uint16_t* from, std::int64_t rows, std::int64_t columns,
                     std::uint16_t* to, cudaStream_t stream) {
  TransposeHalvesKernel<<<Blocks(rows * columns, kThreads), kThreads, 0, stream>>>(from, rows,
                                                                                   columns, to);
}

void DecodeWords(GroupedRows shape, const std::uint32_t* codes, const std::uint32_t* zeros,
                 const std::uint16_t* scales, float* out, cudaStream_t stream) {
  DecodeWordsKernel<<<Tiles(shape.rows, shape.width), kThreads, 0, stream>>>(shape, codes, zeros,
                                                                             scales, out);
}

void AddCodeTerms(const void* bytes, std::int64_t words, std::uint64_t array,
                  unsigned long long* sums, cudaStream_t stream) {
  constexpr int kMostBlocks = 512;
  const int blocks = Blocks(words, kThreads) < kMostBlocks ? Blocks(words, kThreads) : kMostBlocks;
  AddCodeTermsKernel<<<blocks, kThreads, 0, stream>>>(static_cast<const std::uint64_t*>(bytes),
                                                      words, array, sums);
}

}  // namespace tyllm::cuda
