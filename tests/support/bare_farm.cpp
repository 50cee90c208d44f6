// SPDX-License-Identifier: Apache-2.0
#include "tests/support/bare_farm.h"

#include "server/blobs/folder_blob_store.h"
#include "server/core/sweep.h"
#include "server/store/sqlite_queue.h"

namespace tyllm::testing {

Result<std::unique_ptr<BareFarm>> BareFarm::Open(const Place& place) {
  TYLLM_ASSIGN(auto blobs, server::blobs::OpenFolderBlobStore(place.files, place.folder / "blobs",
                                                              place.clock));
  TYLLM_ASSIGN(auto queue, server::store::OpenSqliteQueue({.file = place.folder / "queue.db",
                                                           .toolchain_version = "1.0",
                                                           .vfs = place.vfs}));
  std::unique_ptr<BareFarm> farm(new BareFarm(place, std::move(blobs), std::move(queue)));
  TYLLM_TRY(farm->Await(server::core::Recover(*farm->farm_)));
  return farm;
}

BareFarm::BareFarm(const Place& place, std::unique_ptr<server::blobs::BlobStore> blobs,
                   std::unique_ptr<server::store::Queue> queue)
    : blobs_(std::move(blobs)),
      control_(std::make_unique<boost::asio::io_context>(1)),
      store_(std::make_unique<server::store::Store>(std::move(queue), place.clock)),
      logs_(std::make_unique<server::store::LogStore>(place.files, place.folder / "logs")),
      farm_(std::make_unique<server::core::Farm>(
          server::core::Farm::Parts{.control = control_->get_executor(),
                                    .blocking = blocking_.get_executor(),
                                    .store = *store_,
                                    .logs = *logs_,
                                    .blobs = *blobs_,
                                    .clock = place.clock,
                                    .metrics = metrics_,
                                    .limits = place.limits,
                                    .version = "1.0"})) {}

BareFarm::~BareFarm() {
  store_->Stop();
  logs_->Stop();
  blocking_.join();  // what it still finishes belongs to the control context
  farm_.reset();
  control_.reset();
  store_.reset();
}

}  // namespace tyllm::testing
