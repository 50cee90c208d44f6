// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace tyllm {

/// Functions of <cmath> for numbers that are stored: the C library's differ in the last bit from
/// one library to the next, and with the processor (glibc has one version with fused
/// multiply-adds and one without). These are one sequence of additions, multiplications and
/// divisions, each rounded by itself, so every machine gets the same bits. Wrong by less than
/// 2^-50 of the result (ADR 0142).
///
/// Not-a-number stays so.

double PortableExp(double x);
/// Of a number above 0 that is not subnormal.
double PortableLog(double x);
/// x^y in float32 of x above 0; the rounding of the exact result but for one number in a million.
float PortablePow(float x, float y);
/// Of angles in radians of at most 1.6 million; larger ones lose digits.
double PortableSin(double x);
double PortableCos(double x);
/// Wrong by less than 2^-49.
double PortableErf(double x);

}  // namespace tyllm
