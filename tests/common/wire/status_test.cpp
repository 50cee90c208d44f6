// SPDX-License-Identifier: Apache-2.0
#include "common/wire/status.h"

#include <gtest/gtest.h>

#include "common/wire/limits.h"

namespace tyllm::wire {
namespace {

TEST(WireStatus, EveryCodeComesBackWithItsMessage) {
  for (int code = 1; code <= 16; ++code) {
    const Status sent(static_cast<StatusCode>(code), "what happened");
    const Status received = FromGrpc(ToGrpc(sent));
    EXPECT_EQ(received.code(), sent.code());
    EXPECT_EQ(received.message(), "what happened");
  }
  EXPECT_TRUE(FromGrpc(ToGrpc(OkStatus())).ok());
}

TEST(WireStatus, ACodeThatIsNotCanonicalIsUnknown) {
  EXPECT_EQ(FromGrpc(grpc::Status(static_cast<grpc::StatusCode>(20), "odd")).code(),
            StatusCode::kUnknown);
}

TEST(WireStatus, AStreamThatBrokeMeansThatTheServerHasNotAnswered) {
  for (const auto code : {grpc::INTERNAL, grpc::UNKNOWN, grpc::CANCELLED}) {
    const Status status = FromGrpc(grpc::Status(code, "Received RST_STREAM with error code 2"));
    EXPECT_EQ(status.code(), StatusCode::kUnavailable);
    EXPECT_NE(status.message().find("RST_STREAM with error code 2"), std::string::npos);
  }
  EXPECT_EQ(FromGrpc(grpc::Status(grpc::UNKNOWN, "Stream removed")).code(),
            StatusCode::kUnavailable);
  EXPECT_EQ(FromGrpc(grpc::Status(grpc::INTERNAL, "failed to parse")).code(),
            StatusCode::kInternal);
  EXPECT_EQ(FromGrpc(ToGrpc(Internal("RST_STREAM is what a log says"))).code(),
            StatusCode::kInternal)
      << "the server's own words, whatever they are";
}

TEST(WireStatus, AnErrorTellsWhenItIsWorthTryingAgain) {
  EXPECT_EQ(RetryDelayMillis(ToGrpc(ResourceExhausted("full"), {.retry_delay_ms = 30'250})),
            30'250);
  EXPECT_EQ(RetryDelayMillis(ToGrpc(ResourceExhausted("too large"))), std::nullopt);
  EXPECT_EQ(RetryDelayMillis(grpc::Status(grpc::UNAVAILABLE, "connection refused")), std::nullopt);
}

TEST(WireStatus, TheReasonIsTheCodesNameUnlessGiven) {
  EXPECT_EQ(ReasonOf(ToGrpc(NotFound("no job j1"))), "NOT_FOUND");
  EXPECT_EQ(ReasonOf(ToGrpc(FailedPrecondition("no"), "MISSING_BLOBS")), "MISSING_BLOBS");
  EXPECT_EQ(ReasonOf(grpc::Status(grpc::UNAVAILABLE, "connection refused")), "");
  EXPECT_EQ(ReasonOf(grpc::Status(grpc::UNAVAILABLE, "odd", "not a google.rpc.Status \xFF")), "");
}

TEST(WireStatus, LongAndBrokenMessagesFitIntoTheTrailers) {
  const grpc::Status sent = ToGrpc(Internal(std::string(100'000, '\xFF')));
  EXPECT_LE(sent.error_message().size(), kMaxErrorBytes);
  EXPECT_LE(sent.error_message().size() * 3 + sent.error_details().size() * 4 / 3, 8U << 10);
  EXPECT_EQ(ReasonOf(sent), "INTERNAL");
}

}  // namespace
}  // namespace tyllm::wire
