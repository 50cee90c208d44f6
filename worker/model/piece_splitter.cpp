// SPDX-License-Identifier: Apache-2.0
#include "worker/model/piece_splitter.h"

#include <string>
#include <vector>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "common/base/handle.h"
#include "worker/model/utf8.h"

namespace tyllm::model {

namespace {

constexpr std::uint32_t kCompileOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
constexpr std::size_t kLongestPattern = 100'000;
// Steps of one match. The published patterns need a few a byte of the piece.
constexpr std::uint32_t kMatchLimit = 5'000'000;
constexpr std::size_t kJitStackStart = 32 << 10;
constexpr std::size_t kJitStackMost = 4 << 20;

struct CodeTraits {
  using Type = pcre2_code*;
  static constexpr Type kNone = nullptr;

  static void Close(Type code) { pcre2_code_free(code); }
};

struct MatchDataTraits {
  using Type = pcre2_match_data*;
  static constexpr Type kNone = nullptr;

  static void Close(Type data) { pcre2_match_data_free(data); }
};

struct MatchContextTraits {
  using Type = pcre2_match_context*;
  static constexpr Type kNone = nullptr;

  static void Close(Type context) { pcre2_match_context_free(context); }
};

struct JitStackTraits {
  using Type = pcre2_jit_stack*;
  static constexpr Type kNone = nullptr;

  static void Close(Type stack) { pcre2_jit_stack_free(stack); }
};

PCRE2_SPTR AsUnits(std::string_view text) {
  // A null pointer is no subject, not even an empty one.
  return reinterpret_cast<PCRE2_SPTR>(text.data() == nullptr ? "" : text.data());  // NOLINT
}

std::string Explain(int error) {
  PCRE2_UCHAR buffer[200] = {};
  pcre2_get_error_message(error, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);  // NOLINT
}

// PCRE2's \s has one character, U+180E, that is no white space since Unicode 6.3 and that the
// reference's \s has not. So the class is spelt out; \S inside a class cannot be and stays.
std::string WithUnicodeSpaces(std::string_view pattern) {
  const std::string spaces = R"(\t-\r\x{85}\p{Z})";
  std::string out;
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    const char next = i + 1 < pattern.size() ? pattern[i + 1] : '\0';
    if (c == '\\' && next == 's') {
      out += in_class ? spaces : std::string("[").append(spaces).append("]");
    } else if (c == '\\' && next == 'S' && !in_class) {
      out.append("[^").append(spaces).append("]");
    } else if (c == '\\') {
      out += pattern.substr(i, 2);
    } else {
      in_class = c == '[' || (in_class && c != ']');
      out += c;
      continue;
    }
    ++i;
  }
  return out;
}

Result<UniqueHandle<CodeTraits>> Compile(const SplitRule& rule) {
  if (rule.pattern.empty() || rule.pattern.size() > kLongestPattern) {
    return InvalidArgument("the pre-tokenizer's pattern has " +
                           std::to_string(rule.pattern.size()) + " bytes, expected 1 to " +
                           std::to_string(kLongestPattern));
  }
  int error = 0;
  PCRE2_SIZE where = 0;
  // PCRE2_LITERAL refuses most other options, also those that cannot matter to it.
  const std::uint32_t options = rule.literal ? PCRE2_LITERAL | PCRE2_UTF : kCompileOptions;
  const std::string pattern = rule.literal ? rule.pattern : WithUnicodeSpaces(rule.pattern);
  UniqueHandle<CodeTraits> code(
      pcre2_compile(AsUnits(pattern), pattern.size(), options, &error, &where, nullptr));
  if (!code) {
    return InvalidArgument("the pre-tokenizer's pattern '" + pattern.substr(0, 300) +
                           "' is not understood at byte " + std::to_string(where) + ": " +
                           Explain(error));
  }
  // Without JIT (it may be switched off) matching is slower and gives the same.
  (void)pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  return code;
}

}  // namespace

struct PieceSplitter::State {
  std::vector<UniqueHandle<CodeTraits>> rules;
};

struct PieceSplitter::Scratch::State {
  UniqueHandle<JitStackTraits> stack;
  UniqueHandle<MatchContextTraits> context;
  std::vector<UniqueHandle<MatchDataTraits>> matches;  // one a rule
};

PieceSplitter::Scratch::Scratch(const PieceSplitter& splitter) : state_(std::make_unique<State>()) {
  state_->stack.Reset(pcre2_jit_stack_create(kJitStackStart, kJitStackMost, nullptr));
  state_->context.Reset(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(state_->context.get(), kMatchLimit);
  pcre2_jit_stack_assign(state_->context.get(), nullptr, state_->stack.get());
  for (const UniqueHandle<CodeTraits>& code : splitter.state_->rules) {
    state_->matches.emplace_back(pcre2_match_data_create_from_pattern(code.get(), nullptr));
  }
}

PieceSplitter::Scratch::Scratch(Scratch&&) noexcept = default;
PieceSplitter::Scratch::~Scratch() = default;

PieceSplitter::PieceSplitter(std::unique_ptr<State> state) : state_(std::move(state)) {}

PieceSplitter::PieceSplitter(PieceSplitter&&) noexcept = default;
PieceSplitter& PieceSplitter::operator=(PieceSplitter&&) noexcept = default;
PieceSplitter::~PieceSplitter() = default;

Result<PieceSplitter> PieceSplitter::Create(std::span<const SplitRule> rules) {
  auto state = std::make_unique<State>();
  for (const SplitRule& rule : rules) {
    TYLLM_ASSIGN(UniqueHandle<CodeTraits> code, Compile(rule));
    state->rules.push_back(std::move(code));
  }
  return PieceSplitter(std::move(state));
}

Status PieceSplitter::Split(std::string_view text, Scratch& scratch, const Emit& emit) const {
  return SplitFrom(0, text, scratch, emit);
}

Status PieceSplitter::SplitFrom(std::size_t rule, std::string_view text, Scratch& scratch,
                                const Emit& emit) const {
  if (text.empty()) {
    return OkStatus();
  }
  if (rule == state_->rules.size()) {
    emit(text);
    return OkStatus();
  }
  pcre2_match_data* match = scratch.state_->matches[rule].get();
  std::size_t emitted = 0;  // everything before it is out
  std::size_t from = 0;     // where matching goes on
  while (from < text.size()) {
    const int found = pcre2_match(state_->rules[rule].get(), AsUnits(text), text.size(), from,
                                  PCRE2_NO_UTF_CHECK, match, scratch.state_->context.get());
    if (found == PCRE2_ERROR_NOMATCH) {
      break;
    }
    if (found < 0) {
      return InvalidArgument("the pre-tokenizer's pattern fails on text near '" +
                             std::string(text.substr(from, 40)) + "': " + Explain(found));
    }
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match);
    if (range[0] < from || range[1] <= range[0]) {  // an empty match cuts nothing
      from += FirstUtf8Unit(text.substr(from)).length;
      continue;
    }
    TYLLM_TRY(SplitFrom(rule + 1, text.substr(emitted, range[0] - emitted), scratch, emit));
    TYLLM_TRY(SplitFrom(rule + 1, text.substr(range[0], range[1] - range[0]), scratch, emit));
    emitted = range[1];
    from = range[1];
  }
  return SplitFrom(rule + 1, text.substr(emitted), scratch, emit);
}

}  // namespace tyllm::model
