// SPDX-License-Identifier: Apache-2.0
#pragma once

// Everything that a generated program includes. Header-only, no state, no allocation; shapes are
// template arguments. Rows are tokens. Compile with -ffp-contract=off.

#include "worker/die/abi.h"
#include "worker/die/activations.h"
#include "worker/die/attention.h"
#include "worker/die/deepstack.h"
#include "worker/die/elementwise.h"
#include "worker/die/linear4.h"
#include "worker/die/linear8.h"
#include "worker/die/linear_f16.h"
#include "worker/die/linear_f16_in_12.h"
#include "worker/die/norm.h"
#include "worker/die/rope.h"
