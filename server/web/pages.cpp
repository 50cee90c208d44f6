// SPDX-License-Identifier: Apache-2.0
#include "server/web/pages.h"

#include <array>

#include "server/web/health.h"
#include "server/web/scrape.h"
#include "server/web/status_page.h"

namespace tyllm::server::web {

namespace {

using boost::asio::awaitable;

awaitable<Result<Page>> ShowHealth(const Sources& sources) {
  const Status health = HealthOf(sources.farm, sources.files, sources.data);
  sources.farm.intake.Set(health);  // who was told that it is not well is not taken after that
  Page page;
  page.status = health.ok() ? 200 : 503;
  page.body = health.ok() ? "ok\n" : health.message() + "\n";
  co_return page;
}

awaitable<Result<Page>> ShowMetrics(const Sources& sources) {
  co_await Scrape(sources);
  Page page;
  page.content_type = "text/plain; version=0.0.4; charset=utf-8";
  page.body = sources.metrics.Text();
  co_return page;
}

struct Route {
  std::string_view path;
  awaitable<Result<Page>> (*show)(const Sources& sources);
};

constexpr std::array kRoutes{
    Route{"/", ShowStatus},
    Route{"/healthz", ShowHealth},
    Route{"/metrics", ShowMetrics},
};

awaitable<Result<Page>> Show(const Sources& sources, std::string path) {
  for (const Route& route : kRoutes) {
    if (route.path == path) {
      co_return co_await route.show(sources);
    }
  }
  co_return NotFound("there is no such page; there are /, /healthz and /metrics");
}

}  // namespace

HttpServer::Handler MakePages(const Sources& sources) {
  // A coroutine must not be a capturing lambda; this one only hands the captures over.
  return [sources](std::string path) { return Show(sources, std::move(path)); };
}

}  // namespace tyllm::server::web
