// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace tyllm::die {

/// Codes of a part of a matrix, each 0..15.
struct CodeWindow {
  std::int64_t first_row = 0;
  std::int64_t first_column = 0;
  std::int64_t columns = 0;
  std::span<const std::uint8_t> q;  ///< [rows, columns]
};

/// A 4-bit matrix as integers: value(r, c) = (q(r, c) - zero(r, c / group)) * scale(r, c / group).
struct QuantizedSource {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t group = 0;
  CodeWindow codes;                      ///< of what is packed, at least
  std::span<const std::uint8_t> zero;    ///< [rows, columns / group], each 0..15
  std::span<const std::uint16_t> scale;  ///< [rows, columns / group], binary16 bits
};

/// The part of a matrix that a die gets. `group` divides the matrix's group, `columns` and
/// `first_column`, and is a multiple of 32.
struct MatrixPart {
  std::int64_t first_row = 0;
  std::int64_t rows = 0;
  std::int64_t first_column = 0;
  std::int64_t columns = 0;
  std::int64_t group = 0;
};

/// Row blocks of 16 in a part; the last may be padded with zeros. Every block is packed apart, so
/// that a matrix streams to a file, and blocks of several matrices may follow each other (q, k, v;
/// gate, up) as long as all but the last have a multiple of 16 rows.
constexpr std::int64_t RowBlocks(std::int64_t rows) {
  return (rows + 15) / 16;
}

/// Where things of a group lie in a row block of a 4-bit matrix, in bytes from its beginning.
struct Linear4Places {
  std::int64_t columns = 0;
  std::int64_t group = 0;

  std::int64_t Scales(std::int64_t g) const;   ///< 16 binary16
  std::int64_t Zeros(std::int64_t g) const;    ///< 16 nibbles
  std::int64_t Nibbles(std::int64_t g) const;  ///< group / 8 steps of 64 bytes
};

/// Runs of groups in a row block of a part.
constexpr std::int64_t Linear4Runs(const MatrixPart& part) {
  return (part.columns / part.group + 7) / 8;
}

/// Writes runs [first, end) of row block `block` of `part`, in the layout that Linear4 reads. `out`
/// is the whole row block, Linear4BlockBytes(part.columns, part.group) bytes. The codes of these
/// runs' columns are all that is needed of `matrix.codes`.
void PackLinear4Runs(const QuantizedSource& matrix, const MatrixPart& part, std::int64_t block,
                     std::int64_t first, std::int64_t end, std::span<std::byte> out);

/// All of its runs.
void PackLinear4Block(const QuantizedSource& matrix, const MatrixPart& part, std::int64_t block,
                      std::span<std::byte> out);

/// All blocks; `out` has Linear4Bytes(part.rows, part.columns, part.group) bytes.
void PackLinear4(const QuantizedSource& matrix, const MatrixPart& part, std::span<std::byte> out);

/// Writes one row block in the layout that LinearF16 and Embed read. `halves` are `rows` (1..16)
/// rows of binary16 bits, `pitch` elements apart, `columns` of each used; missing rows are zeros.
/// `out` has LinearF16BlockBytes(columns) bytes.
void PackF16Block(std::span<const std::uint16_t> halves, std::int64_t rows, std::int64_t pitch,
                  std::int64_t columns, std::span<std::byte> out);

/// The numbers of a row block (`rows` of `columns` binary16, a multiple of 8) that are not among
/// those of its 16 most frequent high halves as bfloat16. Nothing when the block has a number of
/// more than eight significant bits, or one that is none.
std::optional<std::int64_t> In12Exceptions(std::span<const std::uint16_t> halves, std::int64_t rows,
                                           std::int64_t columns);

/// Writes one row block in the layout that LinearF16In12 reads. `halves` are `rows` (1..16) rows of
/// `columns` binary16 bits with at most `exceptions` exceptions; missing rows are zeros. `out` has
/// LinearF16In12BlockBytes(columns, exceptions) bytes.
void PackF16In12Block(std::span<const std::uint16_t> halves, std::int64_t rows,
                      std::int64_t columns, std::int64_t exceptions, std::span<std::byte> out);

/// Writes one row block in the layout that Linear8 reads: each group of a row scaled so that its
/// largest magnitude becomes 127. `halves` are `rows` (1..16) rows of `columns` binary16 bits;
/// missing rows are zeros. `out` has Linear8BlockBytes(columns, group) bytes.
void PackLinear8Block(std::span<const std::uint16_t> halves, std::int64_t rows,
                      std::int64_t columns, std::int64_t group, std::span<std::byte> out);

}  // namespace tyllm::die
