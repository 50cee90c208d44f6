// SPDX-License-Identifier: Apache-2.0
#include "common/wire/transfer_retry.h"

#include "common/base/pause.h"

namespace tyllm::wire {

namespace {

constexpr Milliseconds kFirstPause{200};
constexpr Milliseconds kLongestPause{5000};
// Each try has what is there read again, and a disk is not soon empty.
constexpr Milliseconds kLongestPauseWhenFull{30'000};

// So many tries in a row may send and bring nothing: the receiver of a connection that broke may
// take a minute to notice, and until then says that nothing has come.
constexpr int kFruitlessTries = 3;

}  // namespace

bool WorthAnotherTry(const Status& status) {
  return status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kDeadlineExceeded ||
         status.code() == StatusCode::kResourceExhausted;
}

TransferRetry::TransferRetry(const Clock& clock, Milliseconds patience, std::stop_token stop)
    : clock_(clock),
      patience_(patience),
      stop_(std::move(stop)),
      last_move_(clock.Now()),
      pause_(kFirstPause) {}

Status TransferRetry::Begins(std::uint64_t arrived) {
  fruitless_ += std::exchange(has_sent_, false) ? 1 : 0;
  Arrived(arrived);
  const bool doubted = fruitless_ >= kFruitlessTries;
  const Clock::Steady moved = doubted ? last_move_ : std::max(last_move_, last_sent_);
  if (clock_.Now() - moved <= patience_ || failed_.ok()) {
    return OkStatus();
  }
  over_ = true;
  return failed_;
}

void TransferRetry::Arrived(std::uint64_t bytes) {
  if (bytes > arrived_) {
    arrived_ = bytes;
    last_move_ = clock_.Now();
    pause_ = kFirstPause;
    fruitless_ = 0;
  }
}

void TransferRetry::Sent() {
  has_sent_ = true;
  last_sent_ = clock_.Now();
}

bool TransferRetry::IsWorthAPause() {
  if (has_sent_) {
    last_sent_ = clock_.Now();  // some was still on its way
  }
  const Clock::Steady moved = std::max(last_move_, last_sent_);
  if (stop_.stop_requested() || failed_.ok() || !WorthAnotherTry(failed_) || over_ ||
      clock_.Now() - moved > patience_ || !PauseFor(std::min(pause_, patience_), stop_)) {
    return false;
  }
  const bool full = failed_.code() == StatusCode::kResourceExhausted;
  pause_ = std::min(2 * pause_, full ? kLongestPauseWhenFull : kLongestPause);
  return true;
}

Status TransferRetry::Outcome() const {
  return stop_.stop_requested() && !failed_.ok() ? Cancelled("transfer stopped") : failed_;
}

}  // namespace tyllm::wire
