// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "worker/model/family.h"

namespace tyllm::model {

extern const Family kLlama;
extern const Family kMistral;
extern const Family kQwen2;
extern const Family kQwen25Vl;
extern const Family kQwen2Vl;
extern const Family kQwen3;
extern const Family kQwen3Vl;

/// Every family there is: the one list.
inline constexpr std::array kFamilies{&kQwen3,   &kQwen2,    &kLlama,  &kMistral,
                                      &kQwen3Vl, &kQwen25Vl, &kQwen2Vl};

/// The shape of the model that `config`, the content of a config.json, describes. `what` names the
/// file. An unknown architecture is kUnimplemented, with the list of known ones.
Result<ModelShape> ParseShape(const format::Json& config, std::string_view what);

}  // namespace tyllm::model
