// SPDX-License-Identifier: Apache-2.0
#include "common/wire/jobs.h"

#include <array>
#include <utility>

#include "common/wire/enums.h"
#include "common/wire/scheduling.h"
#include "common/wire/text.h"

namespace tyllm::wire {

static_assert(v1::JobKind_MAX == domain::kJobKindNames.rows().size());
static_assert(v1::JobClass_MAX == domain::kJobClassNames.rows().size());
static_assert(v1::JobOrder_MAX == domain::kJobOrderNames.rows().size());
static_assert(v1::JobState_MAX == domain::kJobStateNames.rows().size());
static_assert(v1::TaskState_MAX == domain::kTaskStateNames.rows().size());

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

using InputFields = std::array<const FieldDescriptor*, domain::kJobInputs.size()>;

/// The field of an input has the name of its row.
InputFields FindInputFields() {
  InputFields fields{};
  for (std::size_t i = 0; i < fields.size(); ++i) {
    fields[i] = v1::JobSpec::descriptor()->FindFieldByName(std::string(domain::kJobInputs[i].name));
    TYLLM_CHECK(fields[i] != nullptr);
  }
  return fields;
}

const FieldDescriptor* FieldOf(const domain::JobInput& row) {
  static const InputFields fields = FindInputFields();
  return fields.at(static_cast<std::size_t>(&row - domain::kJobInputs.data()));
}

v1::BlobId& BlobOf(Message* message) {
  return static_cast<v1::BlobId&>(*message);
}

void WriteInputs(const domain::JobSpec& spec, v1::JobSpec& proto) {
  const auto& reflection = *proto.GetReflection();
  for (const domain::GivenInput& given : domain::GivenInputs(spec)) {
    const FieldDescriptor* const field = FieldOf(*given.row);
    BlobOf(field->is_repeated() ? reflection.AddMessage(&proto, field)
                                : reflection.MutableMessage(&proto, field)) = ToProto(given.tree);
  }
}

Result<BlobId> ReadInput(const Message& message, std::string_view name) {
  return FromProto(static_cast<const v1::BlobId&>(message)).Annotate(name);
}

Status ReadInputs(const v1::JobSpec& proto, domain::JobSpec& spec) {
  const auto& reflection = *proto.GetReflection();
  for (const domain::JobInput& row : domain::kJobInputs) {
    const FieldDescriptor* const field = FieldOf(row);
    if (row.tree != nullptr && reflection.HasField(proto, field)) {
      TYLLM_ASSIGN(spec.*row.tree, ReadInput(reflection.GetMessage(proto, field), row.name));
    }
    for (int i = 0; row.trees != nullptr && i < reflection.FieldSize(proto, field); ++i) {
      TYLLM_ASSIGN((spec.*row.trees).emplace_back(),
                   ReadInput(reflection.GetRepeatedMessage(proto, field, i), row.name));
    }
  }
  return OkStatus();
}

}  // namespace

v1::JobSpec ToProto(const domain::JobSpec& spec) {
  v1::JobSpec proto;
  proto.set_kind(EnumToProto<v1::JobKind>(spec.kind));
  proto.set_name(ValidUtf8(spec.name));
  for (const auto& [key, value] : spec.labels) {
    (*proto.mutable_labels())[ValidUtf8(key)] = ValidUtf8(value);
  }
  *proto.mutable_model() = ToProto(spec.model);
  WriteInputs(spec, proto);
  *proto.mutable_quantize() = ToProto(spec.quantize);
  *proto.mutable_convert() = ToProto(spec.convert);
  *proto.mutable_evaluate() = ToProto(spec.evaluate);
  *proto.mutable_compile() = ToProto(spec.compile);
  proto.set_no_cache(spec.no_cache);
  proto.set_project(ValidUtf8(spec.project));
  proto.set_priority(spec.priority);
  proto.set_job_class(EnumToProto<v1::JobClass>(spec.job_class));
  AddAll(spec.requirements, *proto.mutable_requirements());
  if (spec.start_within_ms) {
    proto.set_start_within_ms(*spec.start_within_ms);
  }
  return proto;
}

Result<domain::JobSpec> FromProto(const v1::JobSpec& proto) {
  domain::JobSpec spec;
  TYLLM_ASSIGN(spec.kind, EnumFromProto<domain::JobKind>(proto.kind(), "kind"));
  spec.name = proto.name();
  spec.labels = {proto.labels().begin(), proto.labels().end()};
  TYLLM_ASSIGN(spec.model, FromProto(proto.model()).Annotate("model"));
  TYLLM_TRY(ReadInputs(proto, spec));
  TYLLM_ASSIGN(spec.quantize, FromProto(proto.quantize()).Annotate("quantize"));
  TYLLM_ASSIGN(spec.convert, FromProto(proto.convert()).Annotate("convert"));
  TYLLM_ASSIGN(spec.evaluate, FromProto(proto.evaluate()).Annotate("evaluate"));
  TYLLM_ASSIGN(spec.compile, FromProto(proto.compile()).Annotate("compile"));
  spec.no_cache = proto.no_cache();
  spec.project = proto.project().empty() ? spec.project : proto.project();
  spec.priority = proto.priority();
  TYLLM_ASSIGN(spec.job_class, EnumFromProtoOr(proto.job_class(), spec.job_class, "job_class"));
  TYLLM_ASSIGN(spec.requirements,
               ReadAll<domain::Requirement>(proto.requirements(), "requirements"));
  if (proto.start_within_ms() != 0) {
    spec.start_within_ms = proto.start_within_ms();
  }
  return spec;
}

v1::Task ToProto(const domain::TaskView& task) {
  v1::Task proto;
  proto.set_id(task.id.ToString());
  proto.set_label(ValidUtf8(task.label));
  proto.set_kind(EnumToProto<v1::TaskKind>(task.kind));
  proto.set_state(EnumToProto<v1::TaskState>(task.state));
  proto.set_attempt(task.attempt);
  proto.set_worker(ValidUtf8(task.worker));
  *proto.mutable_progress() = ToProto(task.progress);
  if (task.output) {
    *proto.mutable_output() = ToProto(*task.output);
  }
  if (task.failure) {
    *proto.mutable_failure() = ToProto(*task.failure);
  }
  proto.set_cached(task.cached);
  proto.set_queued_unix_ms(task.queued_unix_ms);
  proto.set_started_unix_ms(task.started_unix_ms);
  proto.set_ended_unix_ms(task.ended_unix_ms);
  if (task.pending) {
    *proto.mutable_pending() = ToProto(*task.pending);
  }
  if (task.checkpoint) {
    *proto.mutable_checkpoint() = ToProto(*task.checkpoint);
  }
  proto.set_device_seconds(task.device_seconds);
  return proto;
}

Result<domain::TaskView> FromProto(const v1::Task& proto) {
  domain::TaskView task;
  TYLLM_ASSIGN(task.id, IdFromProto<domain::TaskId>(proto.id(), "id"));
  task.label = proto.label();
  TYLLM_ASSIGN(task.kind, EnumFromProto<domain::TaskKind>(proto.kind(), "kind"));
  TYLLM_ASSIGN(task.state, EnumFromProto<domain::TaskState>(proto.state(), "state"));
  task.attempt = proto.attempt();
  task.worker = proto.worker();
  task.progress = FromProto(proto.progress());
  if (proto.has_output()) {
    TYLLM_ASSIGN(task.output, FromProto(proto.output()).Annotate("output"));
  }
  if (proto.has_failure()) {
    TYLLM_ASSIGN(task.failure, FromProto(proto.failure()).Annotate("failure"));
  }
  task.cached = proto.cached();
  task.queued_unix_ms = proto.queued_unix_ms();
  task.started_unix_ms = proto.started_unix_ms();
  task.ended_unix_ms = proto.ended_unix_ms();
  if (proto.has_pending()) {
    TYLLM_ASSIGN(task.pending, FromProto(proto.pending()).Annotate("pending"));
  }
  if (proto.has_checkpoint()) {
    TYLLM_ASSIGN(task.checkpoint, FromProto(proto.checkpoint()).Annotate("checkpoint"));
  }
  task.device_seconds = proto.device_seconds();
  return task;
}

v1::Job ToProto(const domain::JobView& job) {
  v1::Job proto;
  proto.set_id(job.id.ToString());
  *proto.mutable_spec() = ToProto(job.spec);
  proto.set_state(EnumToProto<v1::JobState>(job.state));
  for (const domain::TaskView& task : job.tasks) {
    *proto.add_tasks() = ToProto(task);
  }
  for (const auto& [name, tree] : job.outputs) {
    (*proto.mutable_outputs())[ValidUtf8(name)] = ToProto(tree);
  }
  if (job.failure) {
    *proto.mutable_failure() = ToProto(*job.failure);
  }
  proto.set_created_unix_ms(job.created_unix_ms);
  proto.set_ended_unix_ms(job.ended_unix_ms);
  proto.set_last_event(job.last_event);
  proto.set_etag(job.etag);
  proto.set_project(ValidUtf8(job.project));
  proto.set_priority(job.priority);
  for (const auto& [key, value] : job.labels) {
    (*proto.mutable_labels())[ValidUtf8(key)] = ValidUtf8(value);
  }
  if (job.retry_of) {
    proto.set_retry_of(job.retry_of->ToString());
  }
  proto.set_expected_end_unix_ms(job.expected_end_unix_ms);
  proto.set_submitted_by(ValidUtf8(job.submitted_by));
  proto.set_start_by_unix_ms(job.start_by_unix_ms);
  return proto;
}

Result<domain::JobView> FromProto(const v1::Job& proto) {
  domain::JobView job;
  TYLLM_ASSIGN(job.id, IdFromProto<domain::JobId>(proto.id(), "id"));
  TYLLM_ASSIGN(job.spec, FromProto(proto.spec()).Annotate("spec"));
  TYLLM_ASSIGN(job.state, EnumFromProto<domain::JobState>(proto.state(), "state"));
  for (const v1::Task& task : proto.tasks()) {
    TYLLM_ASSIGN(auto view, FromProto(task).Annotate("task " + task.id()));
    job.tasks.push_back(std::move(view));
  }
  for (const auto& [name, tree] : proto.outputs()) {
    TYLLM_ASSIGN(job.outputs[name], FromProto(tree).Annotate("output " + name));
  }
  if (proto.has_failure()) {
    TYLLM_ASSIGN(job.failure, FromProto(proto.failure()).Annotate("failure"));
  }
  job.created_unix_ms = proto.created_unix_ms();
  job.ended_unix_ms = proto.ended_unix_ms();
  job.last_event = proto.last_event();
  job.etag = proto.etag();
  job.project = proto.project();
  job.priority = proto.priority();
  job.labels = {proto.labels().begin(), proto.labels().end()};
  if (!proto.retry_of().empty()) {
    TYLLM_ASSIGN(job.retry_of, IdFromProto<domain::JobId>(proto.retry_of(), "retry_of"));
  }
  job.expected_end_unix_ms = proto.expected_end_unix_ms();
  job.submitted_by = proto.submitted_by();
  job.start_by_unix_ms = proto.start_by_unix_ms();
  return job;
}

v1::SubmitJobRequest ToProto(const domain::SubmitRequest& request) {
  v1::SubmitJobRequest proto;
  proto.set_request_id(ValidUtf8(request.request_id));
  *proto.mutable_spec() = ToProto(request.spec);
  proto.set_validate_only(request.validate_only);
  proto.set_refuse_if_no_worker(request.refuse_if_no_worker);
  return proto;
}

Result<domain::SubmitRequest> FromProto(const v1::SubmitJobRequest& proto) {
  TYLLM_ASSIGN(auto spec, FromProto(proto.spec()).Annotate("spec"));
  return domain::SubmitRequest{.request_id = proto.request_id(),
                               .spec = std::move(spec),
                               .validate_only = proto.validate_only(),
                               .refuse_if_no_worker = proto.refuse_if_no_worker()};
}

v1::ListJobsRequest ToProto(const domain::JobQuery& query) {
  v1::ListJobsRequest proto;
  proto.set_page_size(static_cast<std::int32_t>(query.page_size));
  proto.set_page_token(ValidUtf8(query.page_token));
  for (const domain::JobState state : query.states) {
    proto.add_states(EnumToProto<v1::JobState>(state));
  }
  for (const domain::JobKind kind : query.kinds) {
    proto.add_kinds(EnumToProto<v1::JobKind>(kind));
  }
  proto.set_project(ValidUtf8(query.project));
  for (const auto& [key, value] : query.labels) {
    (*proto.mutable_labels())[ValidUtf8(key)] = ValidUtf8(value);
  }
  proto.set_name_prefix(ValidUtf8(query.name_prefix));
  proto.set_created_from_unix_ms(query.created_from_unix_ms);
  proto.set_created_before_unix_ms(query.created_before_unix_ms);
  proto.set_order(EnumToProto<v1::JobOrder>(query.order));
  proto.set_submitted_by(ValidUtf8(query.submitted_by));
  return proto;
}

Result<domain::JobQuery> FromProto(const v1::ListJobsRequest& proto) {
  domain::JobQuery query;
  query.page_size = proto.page_size();
  query.page_token = proto.page_token();
  for (const int state : proto.states()) {
    TYLLM_ASSIGN(const auto known, EnumFromProto<domain::JobState>(state, "states"));
    query.states.push_back(known);
  }
  for (const int kind : proto.kinds()) {
    TYLLM_ASSIGN(const auto known, EnumFromProto<domain::JobKind>(kind, "kinds"));
    query.kinds.push_back(known);
  }
  query.project = proto.project();
  query.labels = {proto.labels().begin(), proto.labels().end()};
  query.name_prefix = proto.name_prefix();
  query.created_from_unix_ms = proto.created_from_unix_ms();
  query.created_before_unix_ms = proto.created_before_unix_ms();
  TYLLM_ASSIGN(query.order, EnumFromProtoOr(proto.order(), query.order, "order"));
  query.submitted_by = proto.submitted_by();
  return query;
}

v1::ListJobsResponse ToProto(const domain::JobPage& page) {
  v1::ListJobsResponse proto;
  for (const domain::JobView& job : page.jobs) {
    *proto.add_jobs() = ToProto(job);
  }
  proto.set_next_page_token(page.next_page_token);
  return proto;
}

Result<domain::JobPage> FromProto(const v1::ListJobsResponse& proto) {
  domain::JobPage page;
  for (const v1::Job& job : proto.jobs()) {
    TYLLM_ASSIGN(auto view, FromProto(job).Annotate("job " + job.id()));
    page.jobs.push_back(std::move(view));
  }
  page.next_page_token = proto.next_page_token();
  return page;
}

v1::WatchJobResponse ToProto(const domain::JobEvent& event) {
  v1::WatchJobResponse proto;
  proto.set_event(event.number);
  proto.set_unix_ms(event.unix_ms);
  proto.set_text(ValidUtf8(event.text));
  proto.set_job_state(EnumToProto<v1::JobState>(event.job_state));
  if (event.task) {
    *proto.mutable_task() = ToProto(*event.task);
  }
  proto.set_by(ValidUtf8(event.by));
  return proto;
}

Result<domain::JobEvent> FromProto(const v1::WatchJobResponse& proto) {
  domain::JobEvent event;
  event.number = proto.event();
  event.unix_ms = proto.unix_ms();
  event.text = proto.text();
  TYLLM_ASSIGN(event.job_state, EnumFromProto<domain::JobState>(proto.job_state(), "job_state"));
  if (proto.has_task()) {
    TYLLM_ASSIGN(event.task, FromProto(proto.task()).Annotate("task"));
  }
  event.by = proto.by();
  return event;
}

v1::ReadLogResponse ToProto(domain::LogChunk chunk) {
  v1::ReadLogResponse proto;
  proto.set_offset(chunk.offset);
  proto.set_data(std::move(chunk.data));
  proto.set_attempt(chunk.attempt);
  proto.set_ended(chunk.ended);
  return proto;
}

domain::LogChunk FromProto(v1::ReadLogResponse proto) {
  domain::LogChunk chunk;
  chunk.attempt = proto.attempt();
  chunk.offset = proto.offset();
  chunk.data = std::move(*proto.mutable_data());
  chunk.ended = proto.ended();
  return chunk;
}

}  // namespace tyllm::wire
