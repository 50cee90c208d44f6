// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/enum_table.h"

namespace grpc {
class AuthContext;
}

namespace tyllm::server::rpc {

/// What callers with a certificate may be. An admin may also do all that a client may.
enum class Role : std::uint8_t { kClient, kWorker, kAdmin };

inline constexpr EnumTable<Role, 3> kRoleNames(
    "role", {{{Role::kClient, "client"}, {Role::kWorker, "worker"}, {Role::kAdmin, "admin"}}});

/// Whose certificates have which role: patterns of names, in which `*` stands for any characters.
struct Roles {
  std::vector<std::string> client;
  std::vector<std::string> worker;
  std::vector<std::string> admin;

  const std::vector<std::string>& Of(Role role) const;
};

/// "alice, gpu-*": kInvalidArgument for an empty one.
Result<std::vector<std::string>> ParsePatterns(std::string_view list);

/// The caller's common name and alternative names; nothing for one that did not come over TLS (the
/// local socket, which is the server's own user's).
std::optional<std::vector<std::string>> NamesOf(const grpc::AuthContext& caller);

/// The name by which the caller is told to others: the first of those; empty: none.
std::string CallerOf(const grpc::AuthContext& caller);

/// The roles of those who may call a method ("JobService.GetJob"), the usual one first; none for a
/// method that no row of the table speaks of.
std::vector<Role> RolesFor(std::string_view method);

/// kPermissionDenied for a caller who has none of them. Says who it is and what would help.
Status CheckCaller(const Roles& roles, const std::vector<std::string>& names,
                   std::string_view method);

}  // namespace tyllm::server::rpc
