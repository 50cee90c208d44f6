// SPDX-License-Identifier: Apache-2.0
#include "common/wire/types.h"

#include "common/wire/enums.h"
#include "common/wire/text.h"

namespace tyllm::wire {

static_assert(v1::QuantizeMethod_MAX == domain::kQuantizeMethodNames.rows().size());
static_assert(v1::CalibrationSet_MAX == domain::kCalibrationSetNames.rows().size());
static_assert(v1::QuantizedFormat_MAX == domain::kQuantizedFormatNames.rows().size());
static_assert(v1::AnswerMode_MAX == domain::kAnswerModeNames.rows().size());
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

v1::CalibrationOptions ToProto(const domain::CalibrationOptions& options) {
  v1::CalibrationOptions proto;
  proto.set_set(EnumToProto<v1::CalibrationSet>(options.set));
  proto.set_column(ValidUtf8(options.column));
  proto.set_concat(options.concat);
  proto.set_pad(options.pad);
  proto.set_isolate_documents(options.isolate_documents);
  proto.set_chat_template(options.chat_template);
  proto.set_seed(options.seed);
  return proto;
}

Result<domain::CalibrationOptions> FromProto(const v1::CalibrationOptions& proto) {
  domain::CalibrationOptions options;
  TYLLM_ASSIGN(options.set, EnumFromProtoOr(proto.set(), options.set, "calibration.set"));
  options.column = proto.column();
  options.concat = proto.has_concat() ? proto.concat() : options.concat;
  options.pad = proto.pad();
  options.isolate_documents = proto.isolate_documents();
  options.chat_template = proto.chat_template();
  options.seed = proto.seed();
  return options;
}

}  // namespace

v1::QuantizeOptions ToProto(const domain::QuantizeOptions& options) {
  v1::QuantizeOptions proto;
  proto.set_method(EnumToProto<v1::QuantizeMethod>(options.method));
  proto.set_group_size(options.group_size);
  proto.set_samples(options.samples);
  proto.set_seq_len(options.seq_len);
  proto.set_clip(options.clip);
  for (const std::string& pattern : options.keep_float) {
    proto.add_keep_float(ValidUtf8(pattern));
  }
  proto.set_format(EnumToProto<v1::QuantizedFormat>(options.format));
  *proto.mutable_calibration() = ToProto(options.calibration);
  return proto;
}

Result<domain::QuantizeOptions> FromProto(const v1::QuantizeOptions& proto) {
  domain::QuantizeOptions options;
  TYLLM_ASSIGN(options.method, EnumFromProtoOr(proto.method(), options.method, "method"));
  TYLLM_ASSIGN(options.format, EnumFromProtoOr(proto.format(), options.format, "format"));
  options.group_size = proto.has_group_size() ? proto.group_size() : options.group_size;
  options.samples = proto.has_samples() ? proto.samples() : options.samples;
  options.seq_len = proto.has_seq_len() ? proto.seq_len() : options.seq_len;
  options.clip = proto.has_clip() ? proto.clip() : options.clip;
  options.keep_float.assign(proto.keep_float().begin(), proto.keep_float().end());
  TYLLM_ASSIGN(options.calibration, FromProto(proto.calibration()));
  return options;
}

v1::ConvertOptions ToProto(const domain::ConvertOptions& options) {
  v1::ConvertOptions proto;
  proto.set_quant_type(EnumToProto<v1::QuantizedFormat>(options.quant_type));
  return proto;
}

Result<domain::ConvertOptions> FromProto(const v1::ConvertOptions& proto) {
  domain::ConvertOptions options;
  TYLLM_ASSIGN(options.quant_type,
               EnumFromProtoOr(proto.quant_type(), options.quant_type, "quant_type"));
  return options;
}

v1::EvaluateOptions ToProto(const domain::EvaluateOptions& options) {
  v1::EvaluateOptions proto;
  proto.set_window(options.window);
  proto.set_max_windows(options.max_windows);
  proto.set_shots(options.shots);
  proto.set_max_questions(options.max_questions);
  proto.set_answers(EnumToProto<v1::AnswerMode>(options.answers));
  proto.set_answer_tokens(options.answer_tokens);
  for (const std::string& prompt : options.prompts) {
    proto.add_prompts(ValidUtf8(prompt));
  }
  proto.set_max_tokens(options.max_tokens);
  for (const std::string& condition : options.fail_if) {
    proto.add_fail_if(ValidUtf8(condition));
  }
  return proto;
}

Result<domain::EvaluateOptions> FromProto(const v1::EvaluateOptions& proto) {
  domain::EvaluateOptions options;
  TYLLM_ASSIGN(options.answers, EnumFromProtoOr(proto.answers(), options.answers, "answers"));
  options.window = proto.has_window() ? proto.window() : options.window;
  options.max_windows = proto.has_max_windows() ? proto.max_windows() : options.max_windows;
  options.shots = proto.has_shots() ? proto.shots() : options.shots;
  options.max_questions = proto.has_max_questions() ? proto.max_questions() : options.max_questions;
  options.answer_tokens = proto.has_answer_tokens() ? proto.answer_tokens() : options.answer_tokens;
  options.prompts.assign(proto.prompts().begin(), proto.prompts().end());
  options.max_tokens = proto.has_max_tokens() ? proto.max_tokens() : options.max_tokens;
  options.fail_if.assign(proto.fail_if().begin(), proto.fail_if().end());
  return options;
}

v1::CompileOptions ToProto(const domain::CompileOptions& options) {
  v1::CompileOptions proto;
  proto.set_dies(options.dies);
  proto.mutable_seq_lens()->Add(options.seq_lens.begin(), options.seq_lens.end());
  proto.set_max_kv(options.max_kv);
  proto.set_embedding_as_input(options.embedding_as_input);
  proto.mutable_lm_die_remap()->Add(options.lm_die_remap.begin(), options.lm_die_remap.end());
  proto.set_keep_source(options.keep_source);
  proto.set_target_cpu(ValidUtf8(options.target_cpu));
  proto.set_attention_dies(options.attention_dies);
  proto.set_reduce_group(options.reduce_group);
  proto.set_target(EnumToProto<v1::CompileTarget>(options.target));
  proto.set_head(EnumToProto<v1::HeadNumbers>(options.head));
  proto.set_activations(EnumToProto<v1::ActivationNumbers>(options.activations));
  v1::VisualOptions& visual = *proto.mutable_visual();
  visual.set_image(ValidUtf8(options.visual.image));
  visual.set_modality(EnumToProto<v1::Modality>(options.visual.modality));
  visual.set_frames(options.visual.frames);
  visual.mutable_vm_die_remap()->Add(options.visual.vm_die_remap.begin(),
                                     options.visual.vm_die_remap.end());
  visual.set_text_only(options.visual.text_only);
  return proto;
}

Result<domain::CompileOptions> FromProto(const v1::CompileOptions& proto) {
  domain::CompileOptions options;
  options.dies = proto.has_dies() ? proto.dies() : options.dies;
  if (!proto.seq_lens().empty()) {
    options.seq_lens.assign(proto.seq_lens().begin(), proto.seq_lens().end());
  }
  options.max_kv = proto.has_max_kv() ? proto.max_kv() : options.max_kv;
  options.embedding_as_input = proto.embedding_as_input();
  options.lm_die_remap.assign(proto.lm_die_remap().begin(), proto.lm_die_remap().end());
  options.keep_source = proto.keep_source();
  options.target_cpu = proto.has_target_cpu() ? proto.target_cpu() : options.target_cpu;
  options.attention_dies = proto.attention_dies();
  options.reduce_group = proto.reduce_group();
  TYLLM_ASSIGN(options.target, EnumFromProtoOr(proto.target(), options.target, "target"));
  TYLLM_ASSIGN(options.head, EnumFromProtoOr(proto.head(), options.head, "head"));
  TYLLM_ASSIGN(options.activations,
               EnumFromProtoOr(proto.activations(), options.activations, "activations"));
  const v1::VisualOptions& visual = proto.visual();
  if (visual.has_image()) {
    options.visual.image = visual.image();
  }
  TYLLM_ASSIGN(options.visual.modality,
               EnumFromProtoOr(visual.modality(), options.visual.modality, "modality"));
  if (visual.has_frames()) {
    options.visual.frames = visual.frames();
  }
  options.visual.vm_die_remap.assign(visual.vm_die_remap().begin(), visual.vm_die_remap().end());
  options.visual.text_only = visual.text_only();
  return options;
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
