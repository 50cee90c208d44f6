// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/stream_submitter.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace tyllm::bench {

void CheckOk(const grpc::Status& status) {
  if (!status.ok()) {
    std::fprintf(stderr, "a call failed: %s\n", status.error_message().c_str());
    std::exit(1);
  }
}

void StreamSubmitter::Run(int in_flight) {
  stream_ = stub_->PrepareAsyncSubmitJobs(&context_, &events_);
  stream_->StartCall(&started_);
  Await(started_);
  Put(in_flight);
  stream_->Read(&answers_, &read_);
  while (unanswered_ > 0) {
    const void* const event = Next();
    if (event == &written_) {
      writing_ = false;
      Put(0);
      continue;
    }
    for (const v1::SubmittedJob& job : answers_.jobs()) {
      CheckOk(job.has_error() ? grpc::Status(grpc::StatusCode::UNKNOWN, job.error().message())
                              : grpc::Status::OK);
    }
    unanswered_ -= answers_.jobs_size();
    Put(answers_.jobs_size());
    stream_->Read(&answers_, &read_);
  }
  End();
}

const void* StreamSubmitter::Next() {
  void* event = nullptr;
  bool ok = false;
  if (!events_.Next(&event, &ok) || !ok) {
    CheckOk({grpc::StatusCode::UNKNOWN, "the stream of submissions broke"});
  }
  return event;
}

void StreamSubmitter::Await(const Event& event) {
  if (Next() != &event) {
    CheckOk({grpc::StatusCode::UNKNOWN, "another event was expected"});
  }
}

void StreamSubmitter::Put(int more) {
  for (; more > 0 && !left_.empty(); --more) {
    *waiting_.add_jobs() = std::move(left_.back());
    left_.pop_back();
  }
  if (!writing_ && waiting_.jobs_size() > 0) {
    writing_ = true;
    stream_->Write(waiting_, &written_);
    waiting_.Clear();
  }
}

// The last read is on its way and finds the end.
void StreamSubmitter::End() {
  if (writing_) {
    Await(written_);
  }
  stream_->WritesDone(&written_);
  grpc::Status status;
  stream_->Finish(&status, &finished_);
  void* event = nullptr;
  bool ok = false;
  while (events_.Next(&event, &ok) && event != &finished_) {
  }
  CheckOk(status);
  events_.Shutdown();
  while (events_.Next(&event, &ok)) {
  }
}

}  // namespace tyllm::bench
