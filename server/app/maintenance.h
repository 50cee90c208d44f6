// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/cli/command.h"

namespace tyllm::server::app {

/// What commands of tyllm-server share: nothing.
struct NoContext {};

void DeclareBackup(cli::CommandSpec& spec, NoContext& context);
void DeclareRestore(cli::CommandSpec& spec, NoContext& context);
void DeclareFsck(cli::CommandSpec& spec, NoContext& context);
void DeclareCompact(cli::CommandSpec& spec, NoContext& context);
void DeclareMigrate(cli::CommandSpec& spec, NoContext& context);

/// Commands of `tyllm-server` besides serving.
inline constexpr cli::CommandRow<NoContext> kMaintenance[] = {
    {"backup", "", "copy queue, blobs and logs, also while the server runs", DeclareBackup},
    {"restore", "", "make a data folder of a backup", DeclareRestore},
    {"fsck", "", "check a data folder or a backup", DeclareFsck},
    {"compact", "", "give the disk what the queue's file no longer needs", DeclareCompact},
    {"migrate", "", "bring the queue's schema up to date", DeclareMigrate},
};

}  // namespace tyllm::server::app
