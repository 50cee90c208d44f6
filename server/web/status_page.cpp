// SPDX-License-Identifier: Apache-2.0
#include "server/web/status_page.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/telemetry/log.h"
#include "server/core/list_jobs.h"
#include "server/core/list_workers.h"
#include "server/core/server_info.h"
#include "server/web/html.h"

namespace tyllm::server::web {

namespace {

constexpr std::string_view kHead =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta http-equiv=\"refresh\" content=\"5\"><title>tyllm farm</title>\n"
    "<style>body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em}"
    "table{border-collapse:collapse;width:100%;margin-bottom:2em}"
    "th,td{text-align:left;padding:.3em .8em;border-bottom:1px solid #ddd;vertical-align:top}"
    "th{font-weight:600;color:#555}.failed{color:#b00020}.succeeded{color:#176b2c}</style>"
    "</head><body>\n";

void AddRow(std::string& html, std::string_view tag, const std::vector<std::string>& cells) {
  html += "<tr>";
  for (const std::string& cell : cells) {
    html += "<" + std::string(tag) + ">" + cell + "</" + std::string(tag) + ">";
  }
  html += "</tr>\n";
}

std::string TimeCell(std::int64_t unix_ms) {
  return unix_ms == 0 ? "" : telemetry::IsoTime(unix_ms);
}

std::string StateCell(domain::JobState state) {
  const std::string name(domain::kJobStateNames.Name(state));
  return "<span class=\"" + name + "\">" + name + "</span>";
}

// Who submitted them is a column where somebody is known by a name.
void AddJobs(std::string& html, const std::vector<domain::JobView>& jobs) {
  html += "<h2>Jobs</h2>\n<table>\n";
  const bool have_names = std::ranges::any_of(
      jobs, [](const domain::JobView& job) { return !job.submitted_by.empty(); });
  std::vector<std::string> head = {"job", "kind", "model", "state", "created", "ended", "why"};
  if (have_names) {
    head.emplace_back("by");
  }
  AddRow(html, "th", head);
  for (const domain::JobView& job : jobs) {
    std::vector<std::string> cells = {job.id.ToString(),
                                      std::string(domain::kJobKindNames.Name(job.spec.kind)),
                                      Escaped(job.spec.name),
                                      StateCell(job.state),
                                      TimeCell(job.created_unix_ms),
                                      TimeCell(job.ended_unix_ms),
                                      job.failure ? Escaped(job.failure->message) : ""};
    if (have_names) {
      cells.push_back(Escaped(job.submitted_by));
    }
    AddRow(html, "td", cells);
  }
  html += "</table>\n";
}

// "offline", "online", "benched", or what a person asked of a worker that is online.
std::string StateOf(const domain::WorkerView& worker) {
  if (!worker.online) {
    return "offline";
  }
  return worker.order.mode == domain::WorkerMode::kActive
             ? (worker.bench ? "benched" : "online")
             : std::string(domain::kWorkerModeNames.Name(worker.order.mode));
}

void AddWorkers(std::string& html, const std::vector<domain::WorkerView>& workers) {
  html += "<h2>Workers</h2>\n<table>\n";
  AddRow(html, "th", {"worker", "state", "device", "slots", "runs", "version", "seen"});
  for (const domain::WorkerView& worker : workers) {
    std::string tasks;
    for (const domain::TaskId task : worker.tasks) {
      tasks += (tasks.empty() ? "" : " ") + task.ToString();
    }
    AddRow(html, "td",
           {Escaped(worker.name), StateOf(worker), Escaped(worker.capabilities.device),
            std::to_string(worker.capabilities.slots), tasks,
            Escaped(worker.capabilities.toolchain_version), TimeCell(worker.last_seen_unix_ms)});
  }
  html += "</table>\n";
}

}  // namespace

std::string StatusHtml(const domain::ServerInfo& info, const std::vector<domain::JobView>& jobs,
                       const std::vector<domain::WorkerView>& workers) {
  std::string html(kHead);
  html += "<h1>tyllm farm</h1>\n<p>Version " + Escaped(info.version) + ", started " +
          TimeCell(info.started_unix_ms) + ", " + std::to_string(info.blob_bytes >> 20) +
          " MiB of blobs. Jobs:";
  for (const auto& [state, count] : info.jobs_by_state) {
    html += " " + std::to_string(count) + " " + std::string(domain::kJobStateNames.Name(state));
  }
  html += "</p>\n";
  AddJobs(html, jobs);
  AddWorkers(html, workers);
  html += "</body></html>\n";
  return html;
}

boost::asio::awaitable<Result<Page>> ShowStatus(const Sources& sources) {
  TYLLM_CO_ASSIGN(const auto info, co_await core::GetServerInfo(sources.farm));
  domain::JobQuery newest;  // by name: g++ 12 destroys a braced temporary within co_await twice
  TYLLM_CO_ASSIGN(const auto jobs, co_await core::ListJobs(sources.farm, std::move(newest)));
  TYLLM_CO_ASSIGN(const auto workers, co_await core::ListWorkers(sources.farm));
  Page page;
  page.content_type = "text/html; charset=utf-8";
  page.body = StatusHtml(info, jobs.jobs, workers);
  co_return page;
}

}  // namespace tyllm::server::web
