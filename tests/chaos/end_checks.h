// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "tests/chaos/farm_client.h"
#include "tests/chaos/scribe.h"

// What must be true of a farm that has come to rest. Failures of the test where it is not.
namespace tyllm::testing {

/// Outputs of a job that succeeded are whole, have the digests that name them, and were made by the
/// attempt that the queue says; the log of that attempt is whole.
void CheckResults(FarmClient& client, const v1::Job& job);

/// Every log byte that the server acknowledged can be read and is right.
void CheckLogs(FarmClient& client, const Scribe::Memory& memory);

/// Nothing is held any more.
void CheckSlots(FarmClient& client);

/// The queue's file after the server has ended: sound, with nothing half done. `requests`: that
/// were accepted.
void CheckDatabase(const std::filesystem::path& file, std::size_t requests);

}  // namespace tyllm::testing
