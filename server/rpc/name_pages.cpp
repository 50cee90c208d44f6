// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/name_pages.h"

#include "common/base/digest.h"

namespace tyllm::server::rpc {

namespace {

constexpr std::int64_t kLargestPage = 1000;
constexpr std::size_t kFingerprint = 12;

}  // namespace

// A token is the listing's fingerprint and the last name. Nobody else's business.
Result<NamePage> NamePageOf(std::int64_t page_size, const std::string& page_token,
                            const std::string& listing) {
  if (page_size < 0) {
    return InvalidArgument("page_size is " + std::to_string(page_size) +
                           ", expected 0 (as many as there may be) or more");
  }
  NamePage page{.size = static_cast<std::size_t>(
                    page_size == 0 ? kLargestPage : std::min(page_size, kLargestPage)),
                .after = {},
                .fingerprint = DigestOf(listing).Hex().substr(0, kFingerprint)};
  if (page_token.empty()) {
    return page;
  }
  const std::string begins = page.fingerprint + ".";
  if (!page_token.starts_with(begins) || page_token.size() == begins.size()) {
    return InvalidArgument("page_token is '" + page_token.substr(0, 60) +
                           "', which no page of this list and filter gave; leave it out for the "
                           "first page");
  }
  page.after = page_token.substr(begins.size());
  return page;
}

std::string NextToken(const NamePage& page, const std::string& last) {
  return page.fingerprint + "." + last;
}

}  // namespace tyllm::server::rpc
