// SPDX-License-Identifier: Apache-2.0
// Clients and workers that were built before go on with servers that are built now, and the other
// way round: what was in tyllm.v1 stays as it was. tests/data/wire/api.txt is what has been
// promised; lines are only added to it.
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <set>
#include <string>

#include <google/protobuf/descriptor.pb.h>

#include "tests/support/paths.h"
#include "tyllm/v1/admin.pb.h"
#include "tyllm/v1/blobs.pb.h"
#include "tyllm/v1/jobs.pb.h"
#include "tyllm/v1/types.pb.h"
#include "tyllm/v1/workers.pb.h"

namespace tyllm::wire {
namespace {

namespace pb = google::protobuf;
using Lines = std::set<std::string>;

std::string TypeOf(const pb::FieldDescriptor& field) {
  if (field.is_map()) {
    return "map<" + TypeOf(*field.message_type()->map_key()) + ", " +
           TypeOf(*field.message_type()->map_value()) + ">";
  }
  const std::string type = field.message_type() != nullptr ? field.message_type()->full_name()
                           : field.enum_type() != nullptr  ? field.enum_type()->full_name()
                                                           : std::string(field.type_name());
  return (field.is_repeated() ? "repeated " : field.has_presence() ? "optional " : "") + type;
}

std::string InOneof(const pb::FieldDescriptor& field) {
  const pb::OneofDescriptor* const oneof = field.real_containing_oneof();
  return oneof == nullptr ? "" : " of " + oneof->name();
}

void Describe(const pb::EnumDescriptor& type, Lines& lines) {
  for (int i = 0; i < type.value_count(); ++i) {
    const pb::EnumValueDescriptor& value = *type.value(i);
    lines.insert("enum " + type.full_name() + ": " + value.name() + " = " +
                 std::to_string(value.number()));
  }
}

void Describe(const pb::Descriptor& type, Lines& lines) {
  if (type.options().map_entry()) {
    return;
  }
  lines.insert("message " + type.full_name());
  for (int i = 0; i < type.field_count(); ++i) {
    const pb::FieldDescriptor& field = *type.field(i);
    lines.insert("field " + type.full_name() + ": " + field.name() + " = " +
                 std::to_string(field.number()) + ", " + TypeOf(field) + InOneof(field));
  }
  for (int i = 0; i < type.reserved_range_count(); ++i) {
    for (int number = type.reserved_range(i)->start; number < type.reserved_range(i)->end;
         ++number) {
      lines.insert("field " + type.full_name() + ": reserved " + std::to_string(number));
    }
  }
  for (int i = 0; i < type.enum_type_count(); ++i) {
    Describe(*type.enum_type(i), lines);
  }
  for (int i = 0; i < type.nested_type_count(); ++i) {
    Describe(*type.nested_type(i), lines);
  }
}

void Describe(const pb::ServiceDescriptor& service, Lines& lines) {
  for (int i = 0; i < service.method_count(); ++i) {
    const pb::MethodDescriptor& method = *service.method(i);
    lines.insert("rpc " + service.full_name() + "." + method.name() + "(" +
                 (method.client_streaming() ? "stream " : "") + method.input_type()->full_name() +
                 ") returns (" + (method.server_streaming() ? "stream " : "") +
                 method.output_type()->full_name() + ")");
  }
}

void Describe(const pb::FileDescriptor& file, Lines& lines) {
  for (int i = 0; i < file.enum_type_count(); ++i) {
    Describe(*file.enum_type(i), lines);
  }
  for (int i = 0; i < file.message_type_count(); ++i) {
    Describe(*file.message_type(i), lines);
  }
  for (int i = 0; i < file.service_count(); ++i) {
    Describe(*file.service(i), lines);
  }
}

// One line a thing that others may rely on.
Lines Api() {
  Lines lines;
  for (const pb::Descriptor* const any :
       {v1::GetServerInfoRequest::descriptor(), v1::FindMissingRequest::descriptor(),
        v1::SubmitJobRequest::descriptor(), v1::BlobId::descriptor(),
        v1::SyncRequest::descriptor()}) {
    Describe(*any->file(), lines);
  }
  return lines;
}

constexpr const char* kFile = "tests/data/wire/api.txt";

Lines Promised() {
  Lines lines;
  std::ifstream in(std::string(testing::kSourceFolder) + "/" + kFile);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && !line.starts_with('#')) {
      lines.insert(line);
    }
  }
  return lines;
}

TEST(Api, NothingThatWasPromisedIsGoneAndWhatIsNewIsWrittenDown) {
  const Lines now = Api();
  const Lines promised = Promised();
  for (const std::string& line : promised) {
    EXPECT_TRUE(now.contains(line))
        << line
        << "\n  is not there any more, and programs that were built before rely on it: "
           "keep it, and reserve numbers that nobody may use again, or make tyllm.v2";
  }
  for (const std::string& line : now) {
    EXPECT_TRUE(promised.contains(line)) << line << "\n  is new: add this line to " << kFile;
  }
  if (now != promised) {
    const std::string path = ::testing::TempDir() + "api.txt";
    std::ofstream out(path);
    for (const std::string& line : now) {
      out << line << "\n";
    }
    std::cout << "the API as it is: " << path << std::endl;
  }
}

TEST(Api, EveryFileOfTheApiIsLookedAt) {
  const Lines now = Api();
  for (const char* const service : {"JobService.SubmitJob(", "BlobService.FindMissing(",
                                    "WorkerService.Sync(", "AdminService.ListWorkers("}) {
    const std::string start = std::string("rpc tyllm.v1.") + service;
    EXPECT_TRUE(std::ranges::any_of(now, [&](const std::string& line) {
      return line.starts_with(start);
    })) << start;
  }
}

}  // namespace
}  // namespace tyllm::wire
