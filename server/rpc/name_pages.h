// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/wire/limits.h"

namespace tyllm::server::rpc {

/// A page of what has names and is listed by them.
struct NamePage {
  std::size_t size = 0;     ///< at most
  std::string after;        ///< the name before it; empty: it is the first page
  std::string fingerprint;  ///< of what is listed, for the token of the next page
};

/// `listing`: all that makes two listings different, but for the size of their pages.
/// kInvalidArgument for a token that no page of such a listing gave.
Result<NamePage> NamePageOf(std::int64_t page_size, const std::string& page_token,
                            const std::string& listing);

/// Of the page that follows the one that ends with this name.
std::string NextToken(const NamePage& page, const std::string& last);

/// Adds what comes on the page, as much as fits into a message: `make(view)` gives the message of
/// one, `add(response)` the place for it.
template <typename View, typename NameOf, typename Make, typename Add, typename Response>
void FillPage(std::vector<View> all, const NamePage& page, NameOf name_of, Make make, Add add,
              Response& response) {
  constexpr std::size_t kAround = 1024;  // more than a token has, and what stands around
  std::ranges::sort(all, {}, name_of);
  std::size_t bytes = kAround;
  std::size_t count = 0;
  std::string last;
  for (const View& view : all) {
    const std::string name = std::invoke(name_of, view);
    if (name <= page.after) {
      continue;
    }
    auto message = make(view);
    bytes += message.ByteSizeLong() + 8;  // its tag and its length
    if (count == page.size || (count > 0 && bytes > wire::kMaxMessageBytes)) {
      response.set_next_page_token(NextToken(page, last));
      return;
    }
    *add(response) = std::move(message);
    last = name;
    ++count;
  }
}

}  // namespace tyllm::server::rpc
