// SPDX-License-Identifier: Apache-2.0
#include "server/store/operation.h"

#include <utility>

#include <boost/asio/post.hpp>

namespace tyllm::server::store {

void Finish(Operations operations, const Status& status) {
  for (const auto& operation : operations) {
    operation->Settle(status);
  }
  while (!operations.empty()) {
    const boost::asio::any_io_executor executor = operations.front()->executor();
    Operations of_it;
    Operations others;
    for (auto& operation : operations) {
      (operation->executor() == executor ? of_it : others).push_back(std::move(operation));
    }
    boost::asio::post(executor, [answered = std::move(of_it)] {
      for (const auto& operation : answered) {
        operation->Answer();
      }
    });
    operations = std::move(others);
  }
}

}  // namespace tyllm::server::store
