// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "client/api/submission.h"
#include "client/cli/commands.h"
#include "client/cli/follow.h"
#include "client/cli/job_command.h"
#include "client/cli/show.h"
#include "client/cli/show_explanation.h"
#include "client/cli/start_options.h"
#include "client/cli/tell.h"
#include "client/cli/transfer.h"
#include "common/cli/task_option_rows.h"
#include "common/domain/explanation_json.h"
#include "common/format/image_pairs.h"

namespace tyllm::client {

namespace {

// Of a pipeline's evaluation, when nothing is said: about 100,000 tokens.
constexpr std::int64_t kPipelineWindows = 200;

struct Request {
  domain::JobSpec spec;
  Path model;
  std::optional<Path> calibration;
  std::optional<Path> text;
  std::optional<Path> reference;
  std::optional<Path> questions;
  std::optional<Path> visual_questions;
  std::vector<std::string> images;
  std::vector<std::string> videos;
  std::optional<Path> tokenizer;
  std::vector<std::string> labels;
  std::int64_t priority = 0;
  std::vector<std::string> requirements;
  StartOptions start;
  std::string request_id;  ///< empty: follows from the request
  bool again = false;      ///< make another job, though the request may have made one
  bool validate = false;
  bool wait = false;
  std::optional<Path> fetch;
  bool json = false;
};

Status AddLabels(const std::vector<std::string>& labels, domain::JobSpec& spec) {
  for (const std::string& label : labels) {
    const std::size_t equals = label.find('=');
    if (equals == std::string::npos || equals == 0) {
      return InvalidArgument("--label is '" + label + "', expected NAME=VALUE");
    }
    spec.labels[label.substr(0, equals)] = label.substr(equals + 1);
  }
  return OkStatus();
}

// "gpu_memory_bytes>=80000000000", "label.zone=a", "device~cuda" (preferred), "tool.video" (there).
Status AddRequirements(const std::vector<std::string>& texts, domain::JobSpec& spec) {
  for (const std::string& text : texts) {
    const std::size_t sign = text.find_first_of("=>~");
    if (sign == std::string::npos && !text.empty()) {
      spec.requirements.push_back({text, domain::MatchRule::kPresent, ""});
      continue;
    }
    const bool least = sign != std::string::npos && text.substr(sign, 2) == ">=";
    if (sign == std::string::npos || sign == 0 || (text[sign] == '>' && !least)) {
      return InvalidArgument(
          "--require is '" + text +
          "', expected PROPERTY=VALUE, PROPERTY>=NUMBER, PROPERTY~VALUE or PROPERTY");
    }
    const domain::MatchRule rule = least               ? domain::MatchRule::kMinimum
                                   : text[sign] == '~' ? domain::MatchRule::kPreferred
                                                       : domain::MatchRule::kExact;
    spec.requirements.push_back({text.substr(0, sign), rule, text.substr(sign + (least ? 2 : 1))});
  }
  return OkStatus();
}

Status UploadInto(Farm& farm, const Session& session, const std::optional<Path>& path, bool quiet,
                  std::optional<BlobId>& tree) {
  if (path) {
    TYLLM_ASSIGN(tree, Upload(farm, session, *path, quiet));
  }
  return OkStatus();
}

Status UploadAll(Farm& farm, const Session& session, const std::vector<std::string>& paths,
                 bool quiet, std::vector<BlobId>& trees) {
  for (const std::string& path : paths) {
    TYLLM_ASSIGN(trees.emplace_back(), Upload(farm, session, path, quiet));
  }
  return OkStatus();
}

// Of image-text pairs the file and the images of the lines that are used; of texts everything.
Status UploadCalibration(Farm& farm, const Session& session, Request& submission) {
  if (!submission.calibration) {
    return OkStatus();
  }
  TYLLM_ASSIGN(const std::optional<Path> pairs, format::FindPairFile(*submission.calibration));
  if (!pairs) {
    return UploadInto(farm, session, submission.calibration, submission.json,
                      submission.spec.calibration);
  }
  TYLLM_ASSIGN(const std::vector<format::ImagePair> samples,
               format::ReadImagePairs(*pairs, submission.spec.quantize.samples));
  const Path root = pairs->parent_path();
  std::vector<Path> files = {pairs->filename()};
  for (const format::ImagePair& sample : samples) {
    for (const Path& image : sample.Images()) {
      files.push_back(image.lexically_relative(root.lexically_normal()));
    }
  }
  TYLLM_ASSIGN(submission.spec.calibration,
               UploadFiles(farm, session, root, files, submission.json));
  return OkStatus();
}

// Uploads what the job needs and completes its request.
Status Prepare(Farm& farm, const Session& session, Request& submission) {
  domain::JobSpec& spec = submission.spec;
  TYLLM_TRY(AddLabels(submission.labels, spec));
  TYLLM_TRY(AddRequirements(submission.requirements, spec));
  if (submission.priority < -1000 || submission.priority > 1000) {
    return InvalidArgument("--priority is " + std::to_string(submission.priority) +
                           ", expected -1000 to 1000");
  }
  spec.priority = static_cast<std::int32_t>(submission.priority);
  if (spec.name.empty()) {
    spec.name = std::filesystem::absolute(submission.model / ".").parent_path().filename().string();
  }
  if (submission.calibration &&
      domain::TakeCalibrationSet(submission.calibration->string(), spec.quantize)) {
    submission.calibration.reset();
  }
  TYLLM_TRY(submission.start.Apply(farm, spec, session.stop()));
  // Before the first byte is sent; of lists of trees only the length is looked at.
  spec.images.resize(submission.images.size());
  spec.videos.resize(submission.videos.size());
  TYLLM_TRY(CheckWithoutTrees(spec));
  spec.images.clear();
  spec.videos.clear();
  TYLLM_ASSIGN(spec.model, Upload(farm, session, submission.model, submission.json));
  TYLLM_TRY(UploadCalibration(farm, session, submission));
  const bool quiet = submission.json;
  TYLLM_TRY(UploadInto(farm, session, submission.text, quiet, spec.text));
  TYLLM_TRY(UploadInto(farm, session, submission.reference, quiet, spec.reference));
  TYLLM_TRY(UploadInto(farm, session, submission.questions, quiet, spec.questions));
  TYLLM_TRY(UploadInto(farm, session, submission.visual_questions, quiet, spec.visual_questions));
  TYLLM_TRY(UploadAll(farm, session, submission.images, quiet, spec.images));
  TYLLM_TRY(UploadAll(farm, session, submission.videos, quiet, spec.videos));
  return UploadInto(farm, session, submission.tokenizer, quiet, spec.tokenizer);
}

// Only says what would happen; the exit code tells whether the job would be accepted.
cli::ExitCode Validate(Farm& farm, const Session& session, const Request& submission) {
  const auto validation = farm.Validate(submission.spec, session.stop());
  if (!validation.ok()) {
    return cli::ReportError(validation.status(), submission.json);
  }
  fmt::print("{}", submission.json ? format::CompactJson(format::ToJson(*validation)) + "\n"
                                   : Describe(*validation));
  const bool refused =
      std::any_of(validation->problems.begin(), validation->problems.end(), [&](const auto& one) {
        return one.reason != domain::kNoWorkerReason || submission.start.refuse_if_no_worker;
      });
  return refused ? cli::ExitCode::kRefused : cli::ExitCode::kOk;
}

// Where no answer came, whether there is a job now is known to the server only. `request_id` is
// empty when it follows from the request.
Status WithWayOn(const Status& status, const std::string& request_id) {
  const cli::ExitCode code = cli::ExitCodeOf(status);
  if (code != cli::ExitCode::kUnreachable && code != cli::ExitCode::kInterrupted) {
    return status;
  }
  return Status(status.code(),
                status.message() +
                    "; it is not known whether the job was taken: the same command " +
                    (request_id.empty() ? "" : "with --request-id " + request_id + " ") +
                    "makes no second one");
}

// A request of which a repetition is the same names itself; one that is to run whatever there is
// gets an id of its own, unless it was given one.
Result<Submission> Submit(Farm& farm, const Session& session, const Request& request) {
  domain::SubmitRequest asked{.request_id = request.request_id,
                              .spec = request.spec,
                              .refuse_if_no_worker = request.start.refuse_if_no_worker};
  if (asked.request_id.empty() && !request.again && !request.spec.no_cache) {
    Result<Submission> made = SubmitOnce(farm, std::move(asked), session.stop());
    TYLLM_TRY(WithWayOn(made.status(), {}));
    return made;
  }
  if (asked.request_id.empty()) {
    asked.request_id = NewRequestId();
  }
  Result<Farm::Submitted> made = farm.Submit(asked, session.stop());
  TYLLM_TRY(WithWayOn(made.status(), asked.request_id));
  return Submission{*std::move(made), asked.request_id};
}

// To standard error: what goes to standard output is the job.
void SayWhatBecameOfIt(const Session& session, const Submission& made) {
  const domain::JobView& job = made.submitted.job;
  Tell("{}", WarningOf(job));
  if (!made.submitted.already_made) {
    Tell("submitted {0}, request {1}; follow it with: {2} watch {0}\n", job.id.ToString(),
         made.request_id, session.CommandLine());
    return;
  }
  Tell(
      "{0} was made by the same request before ({1}) and is {2}: nothing was queued now. "
      "Follow it with: {3} watch {0}; --again makes another job\n",
      job.id.ToString(), made.request_id, domain::kJobStateNames.Name(job.state),
      session.CommandLine());
}

// Follows and fetches as asked; what goes to standard output is the job.
cli::ExitCode Finish(Farm& farm, const Session& session, const Request& submission,
                     const domain::JobView& job) {
  const cli::ExitCode end = FollowJob(farm, session, job.id, submission.json);
  if (end == cli::ExitCode::kInterrupted || end == cli::ExitCode::kUnreachable) {
    return end;
  }
  const auto view = farm.Get(job.id, session.stop());
  if (!view.ok()) {
    return cli::ReportError(view.status(), submission.json);
  }
  if (end == cli::ExitCode::kOk && submission.fetch) {
    const auto folders = FetchOutputs(farm, session, *view, *submission.fetch, submission.json);
    if (session.stop().stop_requested() && !folders.ok()) {
      Tell("{0} has succeeded. Go on with: {1} fetch {0} --out {2}\n", job.id.ToString(),
           session.CommandLine(), submission.fetch->string());
      return cli::ExitCode::kInterrupted;
    }
    if (!folders.ok()) {
      return cli::ReportError(folders.status(), submission.json);
    }
    for (const Path& folder : *folders) {
      Tell("fetched {}\n", folder.string());
    }
  }
  fmt::print("{}",
             submission.json ? format::CompactJson(format::ToJson(*view)) + "\n" : Describe(*view));
  return end;
}

cli::ExitCode Run(const Session& session, Request& submission) {
  const auto farm = session.Connect();
  if (!farm.ok()) {
    return cli::ReportError(farm.status(), submission.json);
  }
  if (const Status ready = Prepare(**farm, session, submission); !ready.ok()) {
    return cli::ReportError(ready, submission.json);
  }
  if (submission.validate) {
    return Validate(**farm, session, submission);
  }
  const auto made = Submit(**farm, session, submission);
  if (!made.ok()) {
    return cli::ReportError(made.status(), submission.json);
  }
  SayWhatBecameOfIt(session, *made);
  const domain::JobView& job = made->submitted.job;
  if (submission.wait || submission.fetch) {
    return Finish(**farm, session, submission, job);
  }
  fmt::print("{}\n",
             submission.json ? format::CompactJson(format::ToJson(job)) : job.id.ToString());
  return cli::ExitCode::kOk;
}

// The options that every kind of job has, and the run function.
std::shared_ptr<Request> DeclareJob(cli::CommandSpec& spec, Session& session,
                                    domain::JobKind kind) {
  auto submission = std::make_shared<Request>();
  submission->spec.kind = kind;
  spec.options = {
      {"--model", "DIR", "model folder to upload; files that the server has are not sent again",
       &submission->model, true},
      {"--name", "NAME", "the model's name, part of output names (default: the folder's)",
       &submission->spec.name},
      {"--label", "NAME=VALUE", "a label of the job; repeatable", &submission->labels},
      {"--no-cache", "", "run even if the farm has the result", &submission->spec.no_cache},
      {"--project", "NAME", "whose share of the farm it uses", &submission->spec.project},
      {"--priority", "N", "within the project, larger first; -1000 to 1000", &submission->priority},
      {"--class", "", "interactive: somebody waits, goes first within limits",
       cli::OneOf(domain::kJobClassNames, &submission->spec.job_class)},
      {"--require", "PROPERTY=VALUE",
       "of the workers of its tasks; also >= for numbers, ~ for a preference; repeatable",
       &submission->requirements},
      {"--request-id", "ID",
       "a job that was made with this id in the last day is not made again (default: an id that "
       "follows from the request)",
       &submission->request_id},
      {"--again", "", "make another job, even if the same request made one in the last day",
       &submission->again},
      {"--validate", "", "upload, then say what would happen, and queue nothing",
       &submission->validate},
      {"--wait", "", "follow the job to its end; the exit code says how it ended",
       &submission->wait},
      {"--fetch", "DIR", "wait, then fetch the outputs into DIR", &submission->fetch},
      {"--json", "", "print the job as one JSON document", &submission->json},
  };
  submission->start.AddTo(spec);
  spec.run = [submission, &session] { return Run(session, *submission); };
  return submission;
}

void AddCalibration(cli::CommandSpec& spec, Request& submission) {
  spec.options.push_back(
      {"--calibration", "PATH",
       "calibration text to upload: a UTF-8 text, JSON lines, a folder of these; JSON lines that "
       "name images are sent with the images of the first --samples lines; "
       "or the name of a set that workers have: wikitext-2 (default), builtin",
       &submission.calibration});
}

void AddTokenizer(cli::CommandSpec& spec, Request& submission) {
  spec.options.push_back({"--source-tokenizer", "DIR",
                          "folder whose tokenizer files go into the compiled model, not the "
                          "model's",
                          &submission.tokenizer});
}

void AddText(cli::CommandSpec& spec, Request& submission) {
  spec.options.push_back({"--perplexity", "FILE",
                          "text to evaluate on (default: the worker's built-in text)",
                          &submission.text});
  spec.options.push_back({"--questions", "PATH",
                          "multiple-choice questions to upload, a CSV file or a folder of them",
                          &submission.questions});
  spec.options.push_back({"--visual-questions", "PATH",
                          "questions about images to upload: a TSV file with the images in it, or "
                          "a folder with one and the images",
                          &submission.visual_questions});
}

}  // namespace

void DeclareSubmitQuantize(cli::CommandSpec& spec, Session& session) {
  const auto submission = DeclareJob(spec, session, domain::JobKind::kQuantize);
  AddCalibration(spec, *submission);
  AddOptions(spec, submission->spec.quantize);
}

void DeclareSubmitConvert(cli::CommandSpec& spec, Session& session) {
  const auto submission = DeclareJob(spec, session, domain::JobKind::kConvert);
  AddOptions(spec, submission->spec.convert);
}

void DeclareSubmitEvaluate(cli::CommandSpec& spec, Session& session) {
  const auto submission = DeclareJob(spec, session, domain::JobKind::kEvaluate);
  AddText(spec, *submission);
  cli::AddMedia(spec, {}, submission->images, submission->videos);
  spec.options.push_back(
      {"--reference", "DIR", "model folder to compare with", &submission->reference});
  AddOptions(spec, submission->spec.evaluate);
}

void DeclareSubmitCompile(cli::CommandSpec& spec, Session& session) {
  const auto submission = DeclareJob(spec, session, domain::JobKind::kCompile);
  AddTokenizer(spec, *submission);
  AddOptions(spec, submission->spec.compile);
}

void DeclareSubmitPipeline(cli::CommandSpec& spec, Session& session) {
  const auto submission = DeclareJob(spec, session, domain::JobKind::kPipeline);
  AddCalibration(spec, *submission);
  AddText(spec, *submission);
  AddTokenizer(spec, *submission);
  // --image is the size that a model is compiled for.
  cli::AddMedia(spec, {"--prompt-image", "--prompt-video"}, submission->images, submission->videos);
  // Enough for a comparison; `--max-windows 0` takes the whole text.
  submission->spec.evaluate.max_windows = kPipelineWindows;
  AddOptions(spec, submission->spec.quantize);
  AddOptions(spec, submission->spec.evaluate);
  AddOptions(spec, submission->spec.convert);
  AddOptions(spec, submission->spec.compile);
  // A pipeline's checkpoint is converted: there is no choice of its format.
  std::erase_if(spec.options, [](const cli::Option& option) { return option.name == "--format"; });
}

}  // namespace tyllm::client
