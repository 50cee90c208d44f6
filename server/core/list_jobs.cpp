// SPDX-License-Identifier: Apache-2.0
#include "server/core/list_jobs.h"

#include <algorithm>
#include <charconv>

#include "common/domain/job_changes.h"
#include "common/format/json.h"

namespace tyllm::server::core {

namespace {

constexpr std::int64_t kUsualPage = 50;

// A digest of everything that makes two listings different, but for the size of their pages.
std::string FingerprintOf(const domain::JobQuery& query) {
  format::Json json = format::Json::array();
  json.push_back(format::ToJson(query.states));
  json.push_back(format::ToJson(query.kinds));
  json.push_back(query.project);
  json.push_back(format::ToJson(query.labels));
  json.push_back(query.name_prefix);
  json.push_back(query.created_from_unix_ms);
  json.push_back(query.created_before_unix_ms);
  json.push_back(format::ToJson(query.order));
  if (!query.submitted_by.empty()) {  // tokens of other listings stay as they were
    json.push_back(query.submitted_by);
  }
  return DigestOf(json.dump(-1, ' ', true, format::Json::error_handler_t::replace))
      .Hex()
      .substr(0, 12);
}

store::JobPosition PositionOf(const domain::JobView& job, domain::JobOrder order) {
  switch (order) {
    case domain::JobOrder::kEnded:
      return {job.ended_unix_ms, job.id};
    case domain::JobOrder::kPriority:
      return {job.priority, job.id};
    case domain::JobOrder::kNewest:
    case domain::JobOrder::kOldest:
      break;
  }
  return {0, job.id};
}

// A page token: the listing's fingerprint, and where its next page begins. Nobody else's business.
std::string TokenOf(const std::string& fingerprint, const store::JobPosition& position) {
  return fingerprint + "." + std::to_string(position.key) + "." + std::to_string(position.id.value);
}

std::optional<std::int64_t> NumberOf(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value)
                                                                  : std::nullopt;
}

Result<store::JobPosition> ParseToken(const std::string& token, const std::string& fingerprint) {
  const std::size_t first = token.find('.');
  const std::size_t second = token.rfind('.');
  if (first != std::string::npos && second > first) {
    const auto key = NumberOf(std::string_view(token).substr(first + 1, second - first - 1));
    const auto id = NumberOf(std::string_view(token).substr(second + 1));
    if (key && id && *id > 0 && token.substr(0, first) == fingerprint) {
      return store::JobPosition{*key, domain::JobId{*id}};
    }
  }
  return InvalidArgument("page_token is '" + token.substr(0, 60) +
                         "', which no page of this filter and order gave; leave it out for the "
                         "first page");
}

Result<store::JobFilter> FilterOf(const domain::JobQuery& query, const std::string& fingerprint) {
  if (query.page_size < 0) {
    return InvalidArgument("page_size is " + std::to_string(query.page_size) +
                           ", expected 0 to 1000");
  }
  store::JobFilter filter;
  filter.states = query.states;
  filter.limit =
      query.page_size == 0 ? kUsualPage : std::min<std::int64_t>(query.page_size, kLargestPage);
  filter.order = query.order;
  filter.kinds = query.kinds;
  filter.project = query.project;
  filter.labels = query.labels;
  filter.name_prefix = query.name_prefix;
  filter.created_from_ms = query.created_from_unix_ms;
  filter.created_before_ms = query.created_before_unix_ms;
  filter.submitted_by = query.submitted_by;
  if (!query.page_token.empty()) {
    TYLLM_ASSIGN(filter.after, ParseToken(query.page_token, fingerprint));
  }
  return filter;
}

}  // namespace

boost::asio::awaitable<Result<domain::JobPage>> ListJobs(Farm& farm, domain::JobQuery query) {
  const std::string fingerprint = FingerprintOf(query);
  TYLLM_CO_ASSIGN(store::JobFilter filter, FilterOf(query, fingerprint));
  const auto page_size = static_cast<std::size_t>(filter.limit++);  // one more: is there a next?
  domain::JobPage page;
  TYLLM_CO_ASSIGN(page.jobs, co_await farm.parts.store.Look(
                                 [&](store::Queue& queue) { return queue.ListJobs(filter); }));
  if (page.jobs.size() > page_size) {
    page.jobs.resize(page_size);
    page.next_page_token = PageTokenAfter(query, page.jobs.back());
  }
  for (domain::JobView& job : page.jobs) {
    job.etag = domain::EtagOf(job);
  }
  co_return page;
}

std::string PageTokenAfter(const domain::JobQuery& query, const domain::JobView& last) {
  return TokenOf(FingerprintOf(query), PositionOf(last, query.order));
}

}  // namespace tyllm::server::core
