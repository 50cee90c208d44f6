// SPDX-License-Identifier: Apache-2.0
#pragma once

struct sqlite3_pcache_methods2;

namespace tyllm::server::store {

/// Has SQLite keep its pages in a cache of ours: found by their numbers in a table, their states
/// apart from what is on them, and none sought where none can be
/// (docs/adr/0118-pages-by-their-numbers.md). For the whole process; does nothing when SQLite has
/// been used before.
void InstallPageCache();

/// What SQLite calls then (sqlite3.h, sqlite3_pcache_methods2).
const sqlite3_pcache_methods2& PageCacheMethods();

}  // namespace tyllm::server::store
