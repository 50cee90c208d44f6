// SPDX-License-Identifier: Apache-2.0
#include "server/core/list_jobs.h"

#include <algorithm>

namespace tyllm::server::core {

namespace {

constexpr std::int64_t kUsualPage = 50;
constexpr std::int64_t kLargestPage = 1000;

// A page token is the id of the last job of the page before.
Result<store::JobFilter> FilterOf(const domain::JobQuery& query) {
  if (query.page_size < 0) {
    return InvalidArgument("page_size is " + std::to_string(query.page_size) +
                           ", expected 0 to 1000");
  }
  store::JobFilter filter;
  filter.states = query.states;
  filter.limit = query.page_size == 0 ? kUsualPage : std::min(query.page_size, kLargestPage);
  if (!query.page_token.empty()) {
    auto before = domain::JobId::Parse(query.page_token);
    if (!before.ok()) {
      return InvalidArgument("page_token '" + query.page_token.substr(0, 40) +
                             "' is none that a page gave; leave it out for the first page");
    }
    filter.before = *before;
  }
  return filter;
}

}  // namespace

boost::asio::awaitable<Result<domain::JobPage>> ListJobs(Farm& farm, domain::JobQuery query) {
  TYLLM_CO_ASSIGN(store::JobFilter filter, FilterOf(query));
  const auto page_size = static_cast<std::size_t>(filter.limit++);  // one more: is there a next?
  domain::JobPage page;
  TYLLM_CO_ASSIGN(page.jobs, co_await farm.parts.store.Run(
                                 [&](store::Queue& queue) { return queue.ListJobs(filter); }));
  if (page.jobs.size() > page_size) {
    page.jobs.resize(page_size);
    page.next_page_token = page.jobs.back().id.ToString();
  }
  co_return page;
}

}  // namespace tyllm::server::core
