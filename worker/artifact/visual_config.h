// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "common/domain/visual_options.h"
#include "common/format/json.h"
#include "worker/plan/tower_schedule.h"

// visual/buffer_config.json (docs/formats/visual.md): for which images a tower was compiled, and
// how it was cut. With config.json it is enough to rebuild the programs' schedules.
namespace tyllm::artifact {

struct TowerDieEntry {
  std::int64_t die = 0;
  std::int64_t physical_die = 0;
  plan::TowerShard shard;
  std::uint64_t arena_bytes = 0;
};

struct VisualConfig {
  std::int64_t version = 1;
  std::string signature;  ///< of the programs' inputs: what files are named after
  std::string module;     ///< "visual" or "model.visual"
  domain::Modality modality = domain::Modality::kImage;
  std::int64_t width = 0;  ///< pixels of the images that the programs take
  std::int64_t height = 0;
  std::int64_t frames = 1;  ///< of a video
  model::VisualGrid grid;
  std::int64_t tokens = 0;  ///< that an image or video becomes
  std::vector<std::int64_t> vm_die_remap;
  std::vector<TowerDieEntry> die_list;

  std::vector<plan::TowerShard> shards() const {
    std::vector<plan::TowerShard> all;
    for (const TowerDieEntry& die : die_list) {
      all.push_back(die.shard);
    }
    return all;
  }
};

/// Of `<N>die`/visual; errors name the file.
Result<VisualConfig> ReadVisualConfig(const Path& folder);

}  // namespace tyllm::artifact

template <>
struct tyllm::format::Members<tyllm::plan::TowerShard> {
  using S = tyllm::plan::TowerShard;
  static constexpr auto kTable =
      std::tuple{Member{"heads", &S::heads, true}, Member{"pixels", &S::pixels, true},
                 Member{"inner", &S::inner, true}, Member{"merged", &S::merged, true}};
};

template <>
struct tyllm::format::Members<tyllm::model::VisualGrid> {
  using G = tyllm::model::VisualGrid;
  static constexpr auto kTable =
      std::tuple{Member{"frames", &G::frames, true}, Member{"rows", &G::rows, true},
                 Member{"columns", &G::columns, true}};
};

template <>
struct tyllm::format::Members<tyllm::artifact::TowerDieEntry> {
  using D = tyllm::artifact::TowerDieEntry;
  static constexpr auto kTable =
      std::tuple{Member{"die", &D::die, true}, Member{"physical_die", &D::physical_die, true},
                 Member{"shard", &D::shard, true}, Member{"arena_bytes", &D::arena_bytes, true}};
};

template <>
struct tyllm::format::Members<tyllm::artifact::VisualConfig> {
  using C = tyllm::artifact::VisualConfig;
  static constexpr auto kTable = std::tuple{
      Member{"version", &C::version, true},  Member{"signature", &C::signature, true},
      Member{"module", &C::module, true},    Member{"modality", &C::modality, true},
      Member{"width", &C::width, true},      Member{"height", &C::height, true},
      Member{"frames", &C::frames, true},    Member{"grid", &C::grid, true},
      Member{"tokens", &C::tokens, true},    Member{"vm_die_remap", &C::vm_die_remap, true},
      Member{"die_list", &C::die_list, true}};
};
