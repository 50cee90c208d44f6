// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/vendor/vendor.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <optional>

#include "common/base/child_process.h"
#include "common/base/mapped_file.h"
#include "common/domain/tools.h"
#include "worker/artifact/layout.h"
#include "worker/compile/vendor/driver.h"

namespace tyllm::compile {
namespace {

namespace fs = std::filesystem;

constexpr int kNotInstalled = 3;
constexpr std::chrono::seconds kProbeLimit{30};
/// How long what is in the pipe is still read after the toolchain ended: what it started may hold
/// the other end for ever.
constexpr std::chrono::seconds kDrainLimit{2};
constexpr std::chrono::milliseconds kQuiet{100};

/// What a marked line says; every key may be absent.
struct Said {
  std::string stage;
  std::int64_t done = 0;
  std::int64_t total = 0;
  std::string message;
  std::string version;
  std::string missing;
  std::string reason;
  std::string python;
};

Path Absolute(const Path& path) {
  std::error_code error;
  const Path absolute = fs::weakly_canonical(path, error);
  return error ? path : absolute;
}

std::string Replaced(std::string text, std::string_view from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

format::Json RequestOf(const Preparation& preparation, int jobs, const std::string& version,
                       const Path& tree) {
  const domain::CompileOptions& options = preparation.options;
  return {{"model_path", Absolute(preparation.model.checkpoint.directory()).string()},
          {"artifacts_path", Absolute(tree).string()},
          {"max_kv_cache_size", options.max_kv},
          {"seq_len_list", options.seq_lens},
          {"dies", options.dies},
          {"embedding_as_input", options.embedding_as_input},
          {"lm_die_remap", options.lm_die_remap},
          {"attention_dies", options.attention_dies},
          {"reduce_group", options.reduce_group},
          {"jit_device", "cpu"},
          {"threads", std::max(1, jobs)},
          {"version", version}};
}

}  // namespace
}  // namespace tyllm::compile

template <>
struct tyllm::format::Members<tyllm::compile::Said> {
  using S = tyllm::compile::Said;
  static constexpr auto kTable = std::tuple{
      Member{"stage", &S::stage},     Member{"done", &S::done},
      Member{"total", &S::total},     Member{"message", &S::message},
      Member{"version", &S::version}, Member{"missing", &S::missing},
      Member{"reason", &S::reason},   Member{"python", &S::python},
  };
};

namespace tyllm::compile {
namespace {

/// Reads what the toolchain prints, line by line.
class Listener {
 public:
  Listener(const OnVendorLine& on_line, domain::ProgressSink& progress)
      : on_line_(on_line), progress_(progress) {}

  void Take(std::string_view bytes) {
    text_ += bytes;
    std::size_t begin = 0;
    for (std::size_t end = text_.find('\n'); end != std::string::npos;
         end = text_.find('\n', begin)) {
      Line(std::string_view(text_).substr(begin, end - begin));
      begin = end + 1;
    }
    text_.erase(0, begin);
  }

  void Finish() {
    if (!text_.empty()) {
      Line(text_);
    }
  }

  const std::string& version() const { return version_; }

  /// What it said it lacks; empty: nothing.
  const std::string& missing() const { return missing_; }

  const std::string& last_line() const { return last_line_; }

 private:
  void Line(std::string_view line) {
    if (!line.starts_with(kVendorMark)) {
      last_line_ = line.empty() ? last_line_ : std::string(line);
      if (on_line_) {
        on_line_(line);
      }
      return;
    }
    const Result<format::Json> json = format::ParseJson(line.substr(kVendorMark.size()), "line");
    const Result<Said> said =
        json.ok() ? format::FromJson<Said>(*json, "line") : Result<Said>(json.status());
    if (!said.ok()) {
      return;
    }
    if (!said->stage.empty()) {
      progress_.Report({said->stage, said->done, said->total, "steps", said->message});
    }
    version_ = said->version.empty() ? version_ : said->version;
    if (!said->missing.empty()) {
      missing_ = "module '" + said->missing + "' in " + said->python + " (" + said->reason + ")";
    }
  }

  const OnVendorLine& on_line_;
  domain::ProgressSink& progress_;
  std::string text_;
  std::string version_ = "unknown";
  std::string missing_;
  std::string last_line_;
};

Status NotInstalled(const VendorSettings& settings, const std::string& why) {
  return Unavailable("the vendor's toolchain is not installed here: '" + settings.command.front() +
                     "': " + why +
                     "; name a Python or a container that has it (--vendor-command, or "
                     "tytvm_command of the "
                     "worker's configuration), or compile with --target sim")
      .With(domain::kMissingToolFact, std::string(domain::kVendorTool));
}

/// Reads once what is there. Whether more can come.
bool TakeSome(const Fd& pipe, Listener& listener) {
  std::array<char, 1 << 16> buffer;
  const ssize_t count = ::read(pipe.get(), buffer.data(), buffer.size());
  if (count > 0) {
    listener.Take({buffer.data(), static_cast<std::size_t>(count)});
  }
  return count > 0 || (count < 0 && errno == EINTR);
}

int MillisecondsUntil(std::chrono::steady_clock::time_point moment) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(moment - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
}

/// Passes on what it prints until it has ended, whoever else holds the other end of the pipe.
Status ListenUntilItEnds(const ChildProcess& child, const Fd& pipe,
                         std::chrono::steady_clock::time_point deadline, Listener& listener,
                         const VendorSettings& settings) {
  std::array<pollfd, 2> waiting{{{child.exit_fd(), POLLIN, 0}, {pipe.get(), POLLIN, 0}}};
  while (waiting[0].revents == 0) {
    if (std::chrono::steady_clock::now() >= deadline) {
      child.SignalGroup(SIGKILL);
      return DeadlineExceeded(
          "the vendor's toolchain was still running after " +
          std::to_string(std::chrono::duration_cast<std::chrono::seconds>(settings.limit).count()) +
          " s and was ended, expected it to be done; its last line: " + listener.last_line());
    }
    if (::poll(waiting.data(), waiting.size(), MillisecondsUntil(deadline)) < 0) {
      continue;  // a signal; what the last one said of the pipe is over
    }
    if (waiting[1].revents != 0 && !TakeSome(pipe, listener)) {
      waiting[1].fd = -1;  // nobody writes any more
    }
  }
  return OkStatus();
}

/// What it had printed before it ended.
void Drain(const Fd& pipe, Listener& listener) {
  const auto deadline = std::chrono::steady_clock::now() + kDrainLimit;
  pollfd waiting{pipe.get(), POLLIN, 0};
  while (std::chrono::steady_clock::now() < deadline &&
         ::poll(&waiting, 1, static_cast<int>(kQuiet.count())) > 0 && TakeSome(pipe, listener)) {
  }
}

Result<ExitStatus> RunAndListen(const CommandLine& command, Listener& listener,
                                const VendorSettings& settings) {
  TYLLM_ASSIGN(Pipe pipe, MakePipe());
  CommandLine with_output = command;
  with_output.descriptors = {{pipe.write.get(), 1}, {pipe.write.get(), 2}};
  with_output.ends_with_us = true;
  Result<ChildProcess> child = ChildProcess::Spawn(with_output);
  if (!child.ok()) {
    return NotInstalled(settings, child.status().message());
  }
  pipe.write = Fd();
  const auto deadline = std::chrono::steady_clock::now() + settings.limit;
  TYLLM_TRY(ListenUntilItEnds(*child, pipe.read, deadline, listener, settings));
  Drain(pipe.read, listener);
  listener.Finish();
  child->SignalGroup(
      SIGKILL);  // what it left running; it is not reaped yet, so the group is its own
  return child->Wait(std::chrono::milliseconds(0));
}

/// Folders that the toolchain must see.
struct Folders {
  const Path& model;
  const Path& out;
  const Path& scratch;
};

/// Starts the driver with a request, and waits for its end.
Status Drive(FileSystem& files, const VendorSettings& settings, const format::Json& what,
             const Folders& folders, Listener& listener) {
  TYLLM_TRY(CheckVendorCommand(settings));
  const Path script = Absolute(folders.scratch) / "tytvm_driver.py";
  const Path request = Absolute(folders.scratch) / "tytvm_request.json";
  TYLLM_TRY(files.CreateDirectories(folders.scratch));
  TYLLM_TRY(WriteFileAtomically(files, script, VendorDriver()));
  TYLLM_TRY(WriteFileAtomically(files, request, format::PrettyJson(what)));
  CommandLine command;
  for (const std::string& word : settings.command) {
    std::string filled = Replaced(word, "{model}", Absolute(folders.model).string());
    filled = Replaced(filled, "{out}", Absolute(folders.out).string());
    command.argv.push_back(Replaced(filled, "{scratch}", Absolute(folders.scratch).string()));
  }
  command.argv.insert(command.argv.end(), {script.string(), request.string()});
  TYLLM_ASSIGN(const ExitStatus exit, RunAndListen(command, listener, settings));
  if (!listener.missing().empty()) {
    return NotInstalled(settings, listener.missing());
  }
  if (exit.code == 127 || exit.code == kNotInstalled) {
    return NotInstalled(settings, "it ended with " + exit.ToString());
  }
  if (!exit.ok()) {
    return Internal("the vendor's toolchain ended with " + exit.ToString() +
                    "; its last line: " + listener.last_line());
  }
  return OkStatus();
}

/// Names that a bucket has on a die, besides its programs.
std::vector<Path> ParamsOf(const Preparation& preparation) {
  std::vector<Path> paths;
  for (std::int64_t die = 0; die < preparation.options.dies; ++die) {
    paths.push_back(artifact::CommonParams(die));
    for (const std::int64_t bucket : preparation.options.seq_lens) {
      paths.push_back(artifact::ConstantParams(die, bucket));
      paths.push_back(artifact::BindingParams(die, bucket));
    }
  }
  return paths;
}

/// Buckets of more than 8 tokens have one program or both, by release.
bool IsOptional(const plan::ProgramId& program) {
  return program.bucket > 8 && program.kind == plan::ProgramKind::kLlm;
}

std::string ProblemOf(const Path& path, bool is_params) {
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(path, error);
  if (error) {
    return "is missing";
  }
  if (bytes == 0) {
    return "is empty";
  }
  if (!is_params) {
    return {};
  }
  constexpr std::uint64_t kMagic = 0xF7E58D4F05049CB7;
  std::uint64_t mark = 0;
  const Result<MappedFile> file = MappedFile::Open(path);
  if (file.ok() && file->bytes().size() >= sizeof(mark)) {
    std::memcpy(&mark, file->bytes().data(), sizeof(mark));
  }
  return mark == kMagic ? "" : "is not a parameter dictionary of TVM";
}

}  // namespace

Status CheckVendorCommand(const VendorSettings& settings) {
  if (!settings.command.empty()) {
    return OkStatus();
  }
  return Unavailable(
             "no command for the vendor's toolchain is configured; name one with "
             "--vendor-command, or tytvm.command of the worker's configuration")
      .With(domain::kMissingToolFact, std::string(domain::kVendorTool));
}

Result<VendorRun> RunVendor(FileSystem& files, const Preparation& preparation,
                            const VendorSettings& settings, int jobs, const std::string& version,
                            const Path& tree, const Path& scratch, const OnVendorLine& on_line,
                            domain::ProgressSink& progress) {
  Listener listener(on_line, progress);
  TYLLM_TRY(
      Drive(files, settings, RequestOf(preparation, jobs, version, tree),
            {.model = preparation.model.checkpoint.directory(), .out = tree, .scratch = scratch},
            listener));
  return VendorRun{listener.version()};
}

Result<VendorRun> ProbeVendor(FileSystem& files, const VendorSettings& settings,
                              const Path& scratch) {
  VendorSettings short_run = settings;
  short_run.limit = kProbeLimit;
  domain::NoProgress progress;
  Listener listener({}, progress);
  TYLLM_TRY(Drive(files, short_run, {{"probe", true}, {"threads", 1}},
                  {.model = scratch, .out = scratch, .scratch = scratch}, listener));
  return VendorRun{listener.version()};
}

Status CheckVendorTree(const Preparation& preparation, const Path& tree) {
  std::string problems;
  std::int64_t count = 0;
  const auto look = [&](const Path& path, bool is_params) {
    if (const std::string why = ProblemOf(tree / path, is_params); !why.empty()) {
      problems += "\n- " + path.string() + " " + why;
      ++count;
    }
  };
  for (const Path& path : ParamsOf(preparation)) {
    look(path, true);
  }
  for (const plan::ProgramId& program : preparation.programs) {
    for (std::int64_t die = 0; die < preparation.options.dies && !IsOptional(program); ++die) {
      look(artifact::ProgramObject(program, die), false);
    }
  }
  look(artifact::kBufferConfigFile, false);
  look(artifact::kConfigFile, false);
  std::error_code error;
  if (!fs::exists(tree / artifact::kEmptyFile, error)) {
    problems += "\n- " + std::string(artifact::kEmptyFile) + " is missing";
    ++count;
  }
  return count == 0 ? OkStatus()
                    : DataLoss("the vendor's toolchain left a tree with " + std::to_string(count) +
                               (count == 1 ? " problem:" : " problems:") + problems);
}

}  // namespace tyllm::compile
