// SPDX-License-Identifier: Apache-2.0
#include "worker/app/installed.h"

#include <system_error>

#include "worker/app/config.h"

namespace tyllm::app {

Path ProgramFolder() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
}

Result<Path> InstalledFile(const Path& name) {
  const Path installed = (ProgramFolder() / "../share/tyllm" / name).lexically_normal();
  const Path source = Path(TYLLM_DATA_SOURCE) / name;
  std::error_code error;
  for (const Path& path : {installed, source}) {
    if (std::filesystem::is_regular_file(path, error)) {
      return path;
    }
  }
  return Unavailable("the program's own file " + name.string() + " is neither " +
                     installed.string() + " nor " + source.string() +
                     "; install tyllm again, or name a file of your own");
}

Result<Path> CalibrationFile(domain::CalibrationSet set) {
  switch (set) {
    case domain::CalibrationSet::kWikitext2:
      return InstalledFile("wikitext-2/valid.txt");
    case domain::CalibrationSet::kBuiltin:
      return InstalledFile("calibration/builtin.jsonl");
  }
  return Internal("a calibration set without a file");
}

Path DefaultCache() {
  if (const std::string own = EnvironmentVariable("TYLLM_CACHE"); !own.empty()) {
    return own;
  }
  if (const std::string xdg = EnvironmentVariable("XDG_CACHE_HOME"); !xdg.empty()) {
    return Path(xdg) / "tyllm";
  }
  const std::string home = EnvironmentVariable("HOME");
  return home.empty() ? Path() : Path(home) / ".cache" / "tyllm";
}

}  // namespace tyllm::app
