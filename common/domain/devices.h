// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "common/format/json.h"

namespace tyllm::domain {

/// Something that a toolchain could compute with.
struct Device {
  std::string name;         ///< as --device takes it: "cpu", "cuda:0"
  std::string description;  ///< the maker's name for it
  std::int64_t memory_bytes = 0;
  std::string driver;   ///< of a GPU
  bool usable = false;  ///< by this toolchain, on this machine
  std::string problem;  ///< why not

  bool operator==(const Device&) const = default;
};

/// Something that some tasks need and not every machine has (common/domain/tools.h).
struct Tool {
  std::string name;
  std::string version;  ///< as the tool says it; empty: it is not here
  std::string problem;  ///< why not

  bool operator==(const Tool&) const = default;
};

/// What a toolchain says of itself: `tyllm devices --json`. A worker's agent asks at its start.
struct ToolchainFacts {
  std::string version;
  std::int64_t dies = 0;  ///< the most that an artifact may have
  std::vector<Device> devices;
  std::vector<Tool> tools = {};

  bool operator==(const ToolchainFacts&) const = default;
};

}  // namespace tyllm::domain

template <>
struct tyllm::format::Members<tyllm::domain::Device> {
  using D = tyllm::domain::Device;
  static constexpr auto kTable = std::tuple{
      Member{"name", &D::name, true},           Member{"description", &D::description},
      Member{"memory_bytes", &D::memory_bytes}, Member{"driver", &D::driver},
      Member{"usable", &D::usable, true},       Member{"problem", &D::problem},
  };
};

template <>
struct tyllm::format::Members<tyllm::domain::Tool> {
  using T = tyllm::domain::Tool;
  static constexpr auto kTable =
      std::tuple{Member{"name", &T::name, true}, Member{"version", &T::version},
                 Member{"problem", &T::problem}};
};

template <>
struct tyllm::format::Members<tyllm::domain::ToolchainFacts> {
  using T = tyllm::domain::ToolchainFacts;
  static constexpr auto kTable =
      std::tuple{Member{"version", &T::version, true}, Member{"dies", &T::dies},
                 Member{"devices", &T::devices, true}, Member{"tools", &T::tools}};
};
