// SPDX-License-Identifier: Apache-2.0
#include "server/app/config.h"

#include <charconv>
#include <cstdlib>

#include "server/app/config_file.h"

namespace tyllm::server::app {

namespace {

template <typename... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};

Status WrongValue(std::string_view what, std::string_view text, const std::string& expected) {
  return InvalidArgument(std::string(what) + " is '" + std::string(text) + "', expected " +
                         expected);
}

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
    }
    quoted += c;
  }
  return quoted + '"';
}

std::string ValueText(const Setting& setting, const ServerConfig& config) {
  return std::visit(
      Overloaded{[&](std::string ServerConfig::* m) { return Quoted(config.*m); },
                 [&](bool ServerConfig::* m) { return std::string(config.*m ? "true" : "false"); },
                 [&](std::int64_t ServerConfig::* m) { return std::to_string(config.*m); },
                 [&]<typename E>(E ServerConfig::* m) {
                   return Quoted(NamesOf(config.*m).Name(config.*m));
                 }},
      setting.member);
}

Status CheckAddress(std::string_view key, const std::string& address) {
  const std::size_t colon = address.rfind(':');
  int port = -1;
  if (colon != std::string::npos && colon > 0) {
    const char* const end = address.data() + address.size();
    const auto [last, error] = std::from_chars(address.data() + colon + 1, end, port);
    if (error == std::errc() && last == end && port >= 0 && port <= 65535) {
      return OkStatus();
    }
  }
  return WrongValue(key, address, "HOST:PORT with a port from 0 (any free one) to 65535");
}

Status Check(const ServerConfig& config) {
  if (config.data.empty()) {
    return InvalidArgument("data is empty, expected the name of a folder");
  }
  TYLLM_TRY(CheckAddress("listen", config.listen));
  return CheckAddress("http", config.http);
}

}  // namespace

std::string Setting::environment() const {
  std::string name = "TYLLM_SERVER_";
  for (const char c : key) {
    name += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  }
  return name;
}

std::string Setting::flag() const {
  std::string name = "--";
  for (const char c : key) {
    name += c == '.' || c == '_' ? '-' : c;
  }
  return name;
}

std::optional<std::string> FromEnvironment(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

Status SetFromText(const Setting& setting, std::string_view text, std::string_view what,
                   ServerConfig& config) {
  const auto set_number = [&](std::int64_t ServerConfig::* m) -> Status {
    std::int64_t value = 0;
    const auto [last, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || last != text.data() + text.size() || value < setting.least ||
        value > setting.most) {
      return WrongValue(what, text,
                        "a whole number from " + std::to_string(setting.least) + " to " +
                            std::to_string(setting.most));
    }
    config.*m = value;
    return OkStatus();
  };
  const auto set_truth = [&](bool ServerConfig::* m) -> Status {
    if (text != "true" && text != "false") {
      return WrongValue(what, text, "true or false");
    }
    config.*m = text == "true";
    return OkStatus();
  };
  const auto set_text = [&](std::string ServerConfig::* m) -> Status {
    config.*m = std::string(text);
    return OkStatus();
  };
  const auto set_name = [&]<typename E>(E ServerConfig::* m) -> Status {
    TYLLM_ASSIGN(config.*m, NamesOf(E{}).Parse(text).Annotate(what));
    return OkStatus();
  };
  return std::visit(Overloaded{set_text, set_truth, set_number, set_name}, setting.member);
}

Result<LoadedConfig> LoadConfig(const ConfigSources& sources) {
  LoadedConfig loaded;
  const auto read = [&](const Setting& setting, std::string_view text, const std::string& what,
                        Origin origin) {
    loaded.origins[static_cast<std::size_t>(&setting - kSettings.data())] = origin;
    return SetFromText(setting, text, what, loaded.config);
  };
  std::string file = sources.file;
  if (file.empty()) {
    file = sources.environment("TYLLM_SERVER_CONFIG").value_or("");
  }
  if (!file.empty()) {
    TYLLM_ASSIGN(const auto values, ReadConfigFile(file));
    for (const FileValue& value : values) {
      TYLLM_TRY(read(*value.setting, value.text, value.what, Origin::kFile));
    }
  }
  for (const Setting& setting : kSettings) {
    if (const auto text = sources.environment(setting.environment())) {
      TYLLM_TRY(read(setting, *text, "environment variable " + setting.environment(),
                     Origin::kEnvironment));
    }
  }
  for (const Setting& setting : kSettings) {
    if (const auto it = sources.flags.find(std::string(setting.key)); it != sources.flags.end()) {
      TYLLM_TRY(read(setting, it->second, setting.flag(), Origin::kFlag));
    }
  }
  TYLLM_TRY(Check(loaded.config));
  return loaded;
}

std::string ToToml(const LoadedConfig& loaded) {
  std::string toml;
  for (std::size_t i = 0; i < kSettings.size(); ++i) {
    toml += std::string(kSettings[i].key) + " = " + ValueText(kSettings[i], loaded.config) +
            "  # " + std::string(kOriginNames.Name(loaded.origins[i])) + "\n";
  }
  return toml;
}

}  // namespace tyllm::server::app
