// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "tests/server/store/fault_vfs.h"
#include "tests/support/bare_farm.h"

namespace tyllm::fuzz {

/// A server's core without gRPC's network: a call is the bytes of its request. Its disk syncs
/// nothing and its clock moves only when it is told to. No call waits.
class FuzzedFarm {
 public:
  FuzzedFarm();
  ~FuzzedFarm();

  static std::size_t methods();

  /// Calls method number `method` as its service would. Nothing when the bytes are no message of
  /// it.
  std::optional<Status> Call(std::size_t method, std::string_view bytes);

  void Advance(Milliseconds by) { clock_.Advance(by); }

  /// What a server does every second.
  Status Sweep();

  /// As a kill and a new start.
  void Restart();

  /// What must be true after any calls: of the queue's states, and that the farm still works.
  void CheckInvariants();

  server::core::Farm& farm() { return farm_->farm(); }

  template <typename T>
  T Await(boost::asio::awaitable<T> work) {
    return farm_->Await(std::move(work));
  }

 private:
  void Open();

  const Path folder_;
  server::store::FaultVfs disk_;
  ManualClock clock_;
  std::unique_ptr<testing::BareFarm> farm_;
};

}  // namespace tyllm::fuzz
