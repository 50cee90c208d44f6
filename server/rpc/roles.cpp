// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/roles.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>

#include <algorithm>
#include <array>

#include "common/base/wildcard.h"
#include "common/wire/text.h"

namespace tyllm::server::rpc {

namespace {

/// Of all methods whose name begins so, unless an earlier row fits.
struct MethodRow {
  std::string_view begins;
  std::array<std::optional<Role>, 3> roles;
};

// Health and reflection are gRPC's own services, open to whoever has a certificate.
constexpr std::array kMethods{
    MethodRow{"JobService.", {Role::kClient, Role::kAdmin}},
    MethodRow{"BlobService.", {Role::kClient, Role::kWorker, Role::kAdmin}},
    MethodRow{"WorkerService.", {Role::kWorker}},
    MethodRow{"AdminService.GetServerInfo", {Role::kClient, Role::kAdmin}},
    MethodRow{"AdminService.ListWorkers", {Role::kClient, Role::kAdmin}},
    MethodRow{"AdminService.ListProjects", {Role::kClient, Role::kAdmin}},
    MethodRow{"AdminService.", {Role::kAdmin}},
};

std::string_view Trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(' ');
  return begin == std::string_view::npos
             ? std::string_view()
             : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

bool Has(const std::vector<std::string>& patterns, const std::vector<std::string>& names) {
  return std::ranges::any_of(patterns, [&](const std::string& pattern) {
    return std::ranges::any_of(
        names, [&](const std::string& name) { return FitsWildcard(pattern, name); });
  });
}

std::string Joined(const std::vector<std::string>& texts, std::string_view between) {
  std::string all;
  for (const std::string& text : texts) {
    all += (all.empty() ? "" : std::string(between)) + text;
  }
  return all;
}

}  // namespace

const std::vector<std::string>& Roles::Of(Role role) const {
  switch (role) {
    case Role::kClient:
      return client;
    case Role::kWorker:
      return worker;
    case Role::kAdmin:
      return admin;
  }
  return admin;
}

Result<std::vector<std::string>> ParsePatterns(std::string_view list) {
  std::vector<std::string> patterns;
  while (!Trimmed(list).empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    patterns.emplace_back(Trimmed(list.substr(0, comma)));
    if (patterns.back().empty()) {
      return InvalidArgument(
          "has an empty name, expected names of certificates with commas between");
    }
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return patterns;
}

std::optional<std::vector<std::string>> NamesOf(const grpc::AuthContext& caller) {
  const auto security = caller.FindPropertyValues(GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME);
  if (security.empty() || security[0] != GRPC_SSL_TRANSPORT_SECURITY_TYPE) {
    return std::nullopt;
  }
  std::vector<std::string> names;
  for (const char* const property : {GRPC_X509_CN_PROPERTY_NAME, GRPC_X509_SAN_PROPERTY_NAME}) {
    for (const grpc::string_ref& name : caller.FindPropertyValues(property)) {
      names.emplace_back(name.data(), name.size());
    }
  }
  return names;
}

std::string CallerOf(const grpc::AuthContext& caller) {
  constexpr std::size_t kLongestName = 256;
  for (const std::string& name : NamesOf(caller).value_or(std::vector<std::string>())) {
    if (!name.empty()) {
      return wire::ValidUtf8(name.substr(0, kLongestName));
    }
  }
  return {};
}

std::vector<Role> RolesFor(std::string_view method) {
  std::vector<Role> roles;
  const auto* const row = std::ranges::find_if(
      kMethods, [&](const MethodRow& one) { return method.starts_with(one.begins); });
  if (row != kMethods.end()) {
    for (const std::optional<Role>& role : row->roles) {
      if (role) {
        roles.push_back(*role);
      }
    }
  }
  return roles;
}

Status CheckCaller(const Roles& roles, const std::vector<std::string>& names,
                   std::string_view method) {
  std::vector<std::string> wanted;
  for (const Role role : RolesFor(method)) {
    if (Has(roles.Of(role), names)) {
      return OkStatus();
    }
    wanted.emplace_back(kRoleNames.Name(role));
  }
  return PermissionDenied(
      "the certificate of " + (names.empty() ? "no name" : "'" + Joined(names, "', '") + "'") +
      " does not have the role that " + std::string(method) + " needs (" + Joined(wanted, " or ") +
      "); use another certificate, or have the server give it the role (its settings roles." +
      Joined(wanted, ", roles.") + ")");
}

}  // namespace tyllm::server::rpc
