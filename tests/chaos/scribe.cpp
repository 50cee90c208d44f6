// SPDX-License-Identifier: Apache-2.0
#include "tests/chaos/scribe.h"

#include <chrono>

#include "common/format/tree.h"
#include "common/wire/types.h"

namespace tyllm::testing {

namespace {

constexpr std::chrono::milliseconds kCallLimit{3000};
constexpr std::chrono::milliseconds kSilence{7000};  // more than the farm's lease and grace

}  // namespace

Scribe::Scribe(const std::string& server, std::uint64_t seed)
    : client_(server, kCallLimit),
      random_(seed),
      session_("scribe-" + std::to_string(seed)),
      memory_(Memory{}) {
  thread_ = std::thread([this] { Run(); });
}

void Scribe::Stop() {
  stopping_ = true;
  if (thread_.joinable()) {
    thread_.join();
  }
}

std::int64_t Scribe::Below(std::int64_t limit) {
  return std::uniform_int_distribution<std::int64_t>(0, limit - 1)(random_);
}

char Scribe::ByteAt(const Attempt& attempt, std::int64_t offset) {
  // Printable, different for neighbours and for other attempts.
  const auto mix = static_cast<std::uint64_t>(offset) * 0x9e3779b97f4a7c15ULL ^
                   std::hash<std::string>()(attempt.first) ^
                   static_cast<std::uint64_t>(attempt.second) * 0x85ebca6bULL;
  return static_cast<char>('!' + (mix >> 32) % 94);
}

std::pair<std::string, std::string> ScribesOutput(const Scribe::Attempt& attempt) {
  const std::string file = attempt.first + "-" + std::to_string(attempt.second) + "\n";
  const BlobId blob{DigestOf(file), file.size()};
  return {format::ToText(format::Tree{{{.path = "made-by", .blob = blob}}}), file};
}

bool Scribe::UploadOutput(const Attempt& attempt) {
  const auto [tree, file] = ScribesOutput(attempt);
  return client_.Upload(file).ok() && client_.Upload(tree).ok();
}

v1::SyncRequest Scribe::Request() const {
  v1::SyncRequest request;
  request.set_worker("scribe");
  request.set_session(session_);
  request.mutable_capabilities()->set_slots(3);
  request.mutable_capabilities()->set_toolchain_version("stand-in");
  request.mutable_capabilities()->add_kinds(v1::TASK_KIND_EVALUATE);
  (*request.mutable_capabilities()->mutable_labels())[kLabel] = "yes";
  request.set_draining(stopping_);
  for (const auto& [attempt, work] : held_) {
    v1::Held& held = *request.add_held();
    held.set_task_id(attempt.first);
    held.set_attempt(attempt.second);
    held.mutable_progress()->set_done(work.size);
    held.set_log_bytes(work.size);
    if (work.done) {
      *held.mutable_succeeded()->mutable_output() = BlobIdOf(ScribesOutput(attempt).first);
    }
  }
  return request;
}

void Scribe::Write(const Attempt& attempt, Work& work) {
  // A few bytes that the server has already come again, as after a lost answer.
  const std::int64_t from = std::max<std::int64_t>(0, work.size - Below(100));
  const std::int64_t to = std::min(work.until, work.size + 1 + Below(20'000));
  v1::AppendLogRequest request;
  request.set_task_id(attempt.first);
  request.set_attempt(attempt.second);
  request.set_worker("scribe");
  request.set_session(session_);
  request.set_offset(from);
  for (std::int64_t at = from; at < to; ++at) {
    request.mutable_data()->push_back(ByteAt(attempt, at));
  }
  const Result<std::int64_t> size = client_.AppendLog(request);
  if (size.ok()) {
    work.size = *size;
    auto memory = memory_.Lock();
    std::int64_t& acknowledged = memory->acknowledged[attempt];
    acknowledged = std::max(acknowledged, *size);
  } else if (size.status().code() == StatusCode::kAborted) {
    auto memory = memory_.Lock();
    ++memory->refused;
  } else if (size.status().code() == StatusCode::kOutOfRange) {
    work.size = 0;  // it will be told where to go on
  }
}

void Scribe::Turn() {
  for (auto& [attempt, work] : held_) {
    if (work.size < work.until) {
      Write(attempt, work);
    } else if (!work.done) {
      work.done = UploadOutput(attempt);
    }
  }
  const Result<v1::SyncResponse> reply = client_.Sync(Request());
  if (!reply.ok()) {
    return;
  }
  for (const std::string& task : reply->acknowledged()) {
    auto memory = memory_.Lock();
    memory->finished += static_cast<int>(
        std::erase_if(held_, [&](const auto& entry) { return entry.first.first == task; }));
  }
  for (const std::string& task : reply->stop()) {
    std::erase_if(held_, [&](const auto& entry) { return entry.first.first == task; });
  }
  for (const v1::Assignment& start : reply->start()) {
    held_.try_emplace({start.task_id(), start.attempt()},
                      Work{.size = 0, .until = 1 + Below(60'000)});
  }
}

void Scribe::Run() {
  while (!stopping_) {
    Turn();
    auto pause = std::chrono::milliseconds(20 + Below(150));
    if (!held_.empty() && Below(60) == 0) {
      auto memory = memory_.Lock();
      ++memory->silences;
      pause = kSilence;
    }
    for (auto slept = std::chrono::milliseconds(0); slept < pause && !stopping_;
         slept += std::chrono::milliseconds(10)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
}

}  // namespace tyllm::testing
