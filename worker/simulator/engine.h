// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/base/enum_table.h"

namespace tyllm::simulator {

/// Who runs the programs of an artifact.
enum class Engine : std::uint8_t {
  kCompiled,     ///< the shared objects
  kInterpreter,  ///< their schedules in float32, from the same parameter files
};

inline constexpr EnumTable<Engine, 2> kEngineNames("engine",
                                                   {{{Engine::kCompiled, "compiled"},
                                                     {Engine::kInterpreter, "interpreter"}}});

constexpr const auto& NamesOf(Engine) {
  return kEngineNames;
}

}  // namespace tyllm::simulator
