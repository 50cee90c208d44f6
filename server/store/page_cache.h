// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace tyllm::server::store {

/// Has SQLite keep pages as it does by itself, but spares it from going through all of them after
/// most commits (docs/adr/0116-pages-that-are-not-there.md). For the whole process; does nothing
/// when SQLite has been used before.
void InstallPageCache();

}  // namespace tyllm::server::store
