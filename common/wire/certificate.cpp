// SPDX-License-Identifier: Apache-2.0
#include "common/wire/certificate.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <optional>

namespace tyllm::wire {

namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }

  void operator()(X509* certificate) const { X509_free(certificate); }
};

std::optional<std::int64_t> EndOf(const X509& certificate) {
  std::tm end{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(&certificate), &end) != 1) {
    return std::nullopt;
  }
  return ::timegm(&end);
}

}  // namespace

Result<std::int64_t> CertificateEnd(const Path& file) {
  TYLLM_ASSIGN(const std::string pem, LocalFileSystem().Read(file).Annotate("TLS certificate"));
  const std::unique_ptr<BIO, Free> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  TYLLM_CHECK(bio != nullptr);
  std::optional<std::int64_t> earliest;
  while (const std::unique_ptr<X509, Free> certificate{
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    const std::optional<std::int64_t> end = EndOf(*certificate);
    if (!end) {
      return InvalidArgument("TLS certificate: " + file.string() +
                             " has a certificate without a time at which it ends; make a new one");
    }
    earliest = std::min(earliest.value_or(*end), *end);
  }
  ERR_clear_error();  // that there is no further one
  if (!earliest) {
    return InvalidArgument("TLS certificate: " + file.string() +
                           " has no X.509 certificate, expected one and its chain in PEM");
  }
  return *earliest;
}

}  // namespace tyllm::wire
