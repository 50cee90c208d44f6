// SPDX-License-Identifier: Apache-2.0
#include "common/wire/projects.h"

#include "common/wire/text.h"

namespace tyllm::wire {

v1::Project ToProto(const domain::Project& project) {
  v1::Project proto;
  proto.set_name(ValidUtf8(project.name));
  proto.set_weight(project.weight);
  if (project.max_queued_jobs) {
    proto.set_max_queued_jobs(*project.max_queued_jobs);
  }
  if (project.max_running_tasks) {
    proto.set_max_running_tasks(*project.max_running_tasks);
  }
  if (project.max_stored_bytes) {
    proto.set_max_stored_bytes(*project.max_stored_bytes);
  }
  return proto;
}

domain::Project FromProto(const v1::Project& proto) {
  domain::Project project;
  project.name = proto.name();
  project.weight = proto.weight() == 0 ? project.weight : proto.weight();
  if (proto.has_max_queued_jobs()) {
    project.max_queued_jobs = proto.max_queued_jobs();
  }
  if (proto.has_max_running_tasks()) {
    project.max_running_tasks = proto.max_running_tasks();
  }
  if (proto.has_max_stored_bytes()) {
    project.max_stored_bytes = proto.max_stored_bytes();
  }
  return project;
}

v1::ProjectUse ToProto(const domain::ProjectUse& use) {
  v1::ProjectUse proto;
  *proto.mutable_project() = ToProto(use.project);
  proto.mutable_project()->set_etag(use.etag);
  proto.set_queued_jobs(use.queued_jobs);
  proto.set_running_tasks(use.running_tasks);
  proto.set_stored_bytes(use.stored_bytes);
  proto.set_device_seconds(use.device_seconds);
  proto.set_share(use.share);
  proto.set_due(use.due);
  return proto;
}

domain::ProjectUse FromProto(const v1::ProjectUse& proto) {
  domain::ProjectUse use;
  use.project = FromProto(proto.project());
  use.etag = proto.project().etag();
  use.queued_jobs = proto.queued_jobs();
  use.running_tasks = proto.running_tasks();
  use.stored_bytes = proto.stored_bytes();
  use.device_seconds = proto.device_seconds();
  use.share = proto.share();
  use.due = proto.due();
  return use;
}

v1::ListProjectsRequest ToProto(const domain::ProjectQuery& query) {
  v1::ListProjectsRequest proto;
  proto.set_page_size(static_cast<std::int32_t>(query.page_size));
  proto.set_page_token(ValidUtf8(query.page_token));
  return proto;
}

domain::ProjectQuery FromProto(const v1::ListProjectsRequest& proto) {
  return {.page_size = proto.page_size(), .page_token = proto.page_token()};
}

v1::ListProjectsResponse ToProto(const domain::ProjectPage& page) {
  v1::ListProjectsResponse proto;
  for (const domain::ProjectUse& use : page.projects) {
    *proto.add_projects() = ToProto(use);
  }
  proto.set_next_page_token(page.next_page_token);
  return proto;
}

domain::ProjectPage FromProto(const v1::ListProjectsResponse& proto) {
  domain::ProjectPage page;
  for (const v1::ProjectUse& use : proto.projects()) {
    page.projects.push_back(FromProto(use));
  }
  page.next_page_token = proto.next_page_token();
  return page;
}

}  // namespace tyllm::wire
