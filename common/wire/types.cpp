// SPDX-License-Identifier: Apache-2.0
#include "common/wire/types.h"

#include "common/wire/enums.h"
#include "common/wire/members.h"
#include "common/wire/text.h"

namespace tyllm::wire {

static_assert(v1::QuantizeMethod_MAX == domain::kQuantizeMethodNames.rows().size());
static_assert(v1::CalibrationSet_MAX == domain::kCalibrationSetNames.rows().size());
static_assert(v1::QuantizedFormat_MAX == domain::kQuantizedFormatNames.rows().size());
static_assert(v1::AnswerMode_MAX == domain::kAnswerModeNames.rows().size());
static_assert(v1::CompileTarget_MAX == domain::kCompileTargetNames.rows().size());
static_assert(v1::HeadNumbers_MAX == domain::kHeadNumbersNames.rows().size());
static_assert(v1::ActivationNumbers_MAX == domain::kActivationNumbersNames.rows().size());
static_assert(v1::Modality_MAX == domain::kModalityNames.rows().size());
static_assert(v1::TaskKind_MAX == domain::kTaskKindNames.rows().size());
static_assert(v1::Blame_MAX == domain::kBlameNames.rows().size());
static_assert(v1::MemoryKind_MAX == domain::kMemoryKindNames.rows().size());

v1::BlobId ToProto(const BlobId& id) {
  v1::BlobId proto;
  proto.set_sha256(id.sha256.Hex());
  proto.set_size(id.size);
  return proto;
}

Result<BlobId> FromProto(const v1::BlobId& id) {
  TYLLM_ASSIGN(const Sha256 sha256, Sha256::FromHex(id.sha256()).Annotate("sha256"));
  return BlobId{sha256, id.size()};
}

namespace {

template <typename Proto, typename T>
Proto Written(const T& options) {
  Proto proto;
  WriteMembers(options, proto);
  return proto;
}

template <typename T>
Result<T> ReadOptions(const google::protobuf::Message& proto) {
  T options;
  TYLLM_TRY(ReadMembers(proto, "", options));
  return options;
}

}  // namespace

v1::QuantizeOptions ToProto(const domain::QuantizeOptions& options) {
  return Written<v1::QuantizeOptions>(options);
}

Result<domain::QuantizeOptions> FromProto(const v1::QuantizeOptions& proto) {
  return ReadOptions<domain::QuantizeOptions>(proto);
}

v1::ConvertOptions ToProto(const domain::ConvertOptions& options) {
  return Written<v1::ConvertOptions>(options);
}

Result<domain::ConvertOptions> FromProto(const v1::ConvertOptions& proto) {
  return ReadOptions<domain::ConvertOptions>(proto);
}

v1::EvaluateOptions ToProto(const domain::EvaluateOptions& options) {
  return Written<v1::EvaluateOptions>(options);
}

Result<domain::EvaluateOptions> FromProto(const v1::EvaluateOptions& proto) {
  return ReadOptions<domain::EvaluateOptions>(proto);
}

v1::CompileOptions ToProto(const domain::CompileOptions& options) {
  return Written<v1::CompileOptions>(options);
}

Result<domain::CompileOptions> FromProto(const v1::CompileOptions& proto) {
  return ReadOptions<domain::CompileOptions>(proto);
}

v1::TaskSpec ToProto(const domain::TaskSpec& spec) {
  v1::TaskSpec proto;
  proto.set_kind(EnumToProto<v1::TaskKind>(spec.kind));
  proto.set_name(ValidUtf8(spec.name));
  *proto.mutable_quantize() = ToProto(spec.quantize);
  *proto.mutable_convert() = ToProto(spec.convert);
  *proto.mutable_evaluate() = ToProto(spec.evaluate);
  *proto.mutable_compile() = ToProto(spec.compile);
  proto.set_die(spec.die);
  proto.set_compiler(ValidUtf8(spec.compiler));
  return proto;
}

Result<domain::TaskSpec> FromProto(const v1::TaskSpec& proto) {
  domain::TaskSpec spec;
  TYLLM_ASSIGN(spec.kind, EnumFromProto<domain::TaskKind>(proto.kind(), "kind"));
  spec.name = proto.name();
  TYLLM_ASSIGN(spec.quantize, FromProto(proto.quantize()).Annotate("quantize"));
  TYLLM_ASSIGN(spec.convert, FromProto(proto.convert()).Annotate("convert"));
  TYLLM_ASSIGN(spec.evaluate, FromProto(proto.evaluate()).Annotate("evaluate"));
  TYLLM_ASSIGN(spec.compile, FromProto(proto.compile()).Annotate("compile"));
  spec.die = proto.die();
  spec.compiler = proto.compiler();
  return spec;
}

v1::Failure ToProto(const domain::Failure& failure) {
  v1::Failure proto;
  proto.set_blame(EnumToProto<v1::Blame>(failure.blame));
  proto.set_reason(ValidUtf8(failure.reason));
  proto.set_message(ValidUtf8(failure.message));
  proto.set_stage(ValidUtf8(failure.stage));
  proto.set_exit_code(failure.exit_code);
  proto.set_signal(failure.signal);
  proto.set_retryable(failure.retryable);
  proto.set_log_tail(ValidUtf8(failure.log_tail));
  if (failure.out_of_memory) {
    proto.set_out_of_memory(EnumToProto<v1::MemoryKind>(*failure.out_of_memory));
  }
  proto.set_action(ValidUtf8(failure.action));
  proto.set_worker(ValidUtf8(failure.worker));
  proto.set_attempt(failure.attempt);
  proto.set_log_bytes(failure.log_bytes);
  return proto;
}

Result<domain::Failure> FromProto(const v1::Failure& proto) {
  domain::Failure failure;
  TYLLM_ASSIGN(failure.blame, EnumFromProto<domain::Blame>(proto.blame(), "blame"));
  failure.reason = proto.reason();
  failure.message = proto.message();
  failure.stage = proto.stage();
  failure.exit_code = proto.exit_code();
  failure.signal = proto.signal();
  failure.retryable = proto.retryable();
  failure.log_tail = proto.log_tail();
  if (proto.out_of_memory() != v1::MEMORY_KIND_UNSPECIFIED) {
    TYLLM_ASSIGN(failure.out_of_memory,
                 EnumFromProto<domain::MemoryKind>(proto.out_of_memory(), "out_of_memory"));
  }
  failure.action = proto.action();
  failure.worker = proto.worker();
  failure.attempt = proto.attempt();
  failure.log_bytes = proto.log_bytes();
  return failure;
}

v1::Progress ToProto(const domain::Progress& progress) {
  v1::Progress proto;
  proto.set_stage(ValidUtf8(progress.stage));
  proto.set_done(progress.done);
  proto.set_total(progress.total);
  proto.set_unit(ValidUtf8(progress.unit));
  proto.set_message(ValidUtf8(progress.message));
  return proto;
}

domain::Progress FromProto(const v1::Progress& proto) {
  return {proto.stage(), proto.done(), proto.total(), proto.unit(), proto.message()};
}

}  // namespace tyllm::wire
