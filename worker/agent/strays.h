// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace tyllm::agent {

/// What a job started and what left its process group (setsid, daemons). Such processes come to
/// this one when their parents end, and are known by a variable that they inherit.

/// Name of the variable; the value names the job.
inline constexpr const char* kJobVariable = "TYLLM_JOB";

/// From now on processes without parent, of those that descend from this one, become its children.
void AdoptStrays();

/// Kills and reaps the adopted processes of a job that has ended, and what they leave in turn.
void EndStrays(const std::string& job);

/// Reaps adopted processes that have ended by themselves. The kernel gives them to the main thread:
/// children that other threads wait for are left alone. Called by the main thread, now and then.
void ReapStrays();

}  // namespace tyllm::agent
