#!/usr/bin/env python3
"""Runs clang-tidy 19 over the files of a build folder.

Usage: tidy.py BUILD_DIR FOLDER...

A file's clean result is remembered by the digest of everything it depends on (the file, every header of the
project, the configuration, the command), so that an unchanged file is not read again. The memory is a folder,
TYLLM_TIDY_CACHE or ~/.cache/tyllm-tidy.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("TYLLM_TIDY_CACHE", pathlib.Path.home() / ".cache/tyllm-tidy"))


def includes(path, seen):
    """Adds the project's headers that `path` reaches."""
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith('#include "'):
            header = ROOT / line.split('"')[1]
            if header not in seen and header.is_file():
                seen.add(header)
                includes(header, seen)


def key_of(source, command):
    seen = {source}
    includes(source, seen)
    digest = hashlib.sha256(command.replace(str(ROOT), "").encode())
    digest.update((ROOT / ".clang-tidy").read_bytes())
    for path in sorted(seen):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def check(build, entry):
    source = pathlib.Path(entry["file"])
    mark = CACHE / key_of(source, entry["command"])
    if mark.exists():
        return True, ""
    # -w: the compiler's own warnings are g++'s business; some of its options clang does not even know.
    run = subprocess.run(
        ["clang-tidy-19", "--quiet", "--extra-arg=-w", "-p", build, str(source)], capture_output=True, text=True, check=False)
    if run.returncode == 0:
        mark.touch()
    return run.returncode == 0, run.stdout


def main():
    build, folders = sys.argv[1], [ROOT / folder for folder in sys.argv[2:]]
    CACHE.mkdir(parents=True, exist_ok=True)
    entries = json.loads((pathlib.Path(build) / "compile_commands.json").read_text())
    files = {}
    for entry in entries:
        path = pathlib.Path(entry["file"])
        if any(path.is_relative_to(folder) for folder in folders):
            files.setdefault(entry["file"], entry)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda entry: check(build, entry), files.values())
        for name, (clean, output) in zip(files, results):
            if not clean:
                failed += 1
                print(f"{pathlib.Path(name).relative_to(ROOT)}:\n{output}")
    print(f"clang-tidy: {len(files) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
