// SPDX-License-Identifier: Apache-2.0
#include "server/web/status_page.h"

#include <gtest/gtest.h>

#include "server/web/html.h"

namespace tyllm::server::web {
namespace {

TEST(Html, EverythingThatMeansSomethingIsEscaped) {
  EXPECT_EQ(Escaped("<b onclick=\"x('y')\">&"),
            "&lt;b onclick=&quot;x(&#39;y&#39;)&quot;&gt;&amp;");
}

TEST(StatusPage, NamesFromOutsideCannotBecomeMarkup) {
  const std::string evil = "<script>alert(1)</script>";
  domain::JobView job;
  job.id = {7};
  job.spec.name = evil;
  job.failure = domain::Failure{};
  job.failure->message = evil;
  job.submitted_by = evil;
  domain::WorkerView worker;
  worker.name = evil;
  worker.capabilities.device = evil;
  worker.capabilities.toolchain_version = evil;
  domain::ServerInfo info;
  info.version = evil;
  const std::string html = StatusHtml(info, {job}, {worker});
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_NE(html.find("j7"), std::string::npos);
  EXPECT_NE(html.find("&lt;script&gt;"), std::string::npos);
}

TEST(StatusPage, WhoSubmittedJobsIsShownWhereSomebodyHasAName) {
  domain::JobView job;
  job.id = {7};
  EXPECT_EQ(StatusHtml({}, {job}, {}).find("<th>by</th>"), std::string::npos);
  domain::JobView of_ada = job;
  of_ada.submitted_by = "ada";
  const std::string html = StatusHtml({}, {job, of_ada}, {});
  EXPECT_NE(html.find("<th>by</th>"), std::string::npos) << html;
  EXPECT_NE(html.find("<td>ada</td>"), std::string::npos) << html;
}

}  // namespace
}  // namespace tyllm::server::web
