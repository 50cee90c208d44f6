// SPDX-License-Identifier: Apache-2.0
#include "common/wire/certificate.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "tests/support/paths.h"
#include "tests/support/temporary_directory.h"

namespace tyllm::wire {
namespace {

/// A certificate, signed by itself, that is valid until `end_unix_s`.
std::string MakeCertificate(std::int64_t end_unix_s) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"),
                                                                &EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), &X509_free);
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), 0);
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), end_unix_s);
  X509_set_pubkey(certificate.get(), key.get());
  X509_sign(certificate.get(), key.get(), EVP_sha256());
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), &BIO_free);
  PEM_write_bio_X509(bio.get(), certificate.get());
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

class Certificates : public ::testing::Test {
 protected:
  Result<std::int64_t> EndOf(const std::string& pem) {
    const Path file = folder_ / "server.pem";
    EXPECT_TRUE(WriteFileAtomically(LocalFileSystem(), file, pem).ok());
    return CertificateEnd(file);
  }

  testing::TemporaryDirectory folder_;
};

TEST_F(Certificates, AChainEndsWithTheFirstOfIt) {
  constexpr std::int64_t kEarly = 1'800'000'000;
  constexpr std::int64_t kLate = 4'000'000'000;  // beyond 2037, the other way of writing times
  EXPECT_EQ(*EndOf(MakeCertificate(kLate)), kLate);
  EXPECT_EQ(*EndOf(MakeCertificate(kLate) + MakeCertificate(kEarly)), kEarly);
  EXPECT_EQ(*EndOf(MakeCertificate(kEarly) + "\n# a comment\n" + MakeCertificate(kLate)), kEarly);
}

TEST_F(Certificates, AKeyInTheSameFileIsPassedOver) {
  const std::string folder = std::string(testing::kTestData) + "/wire/";
  const auto key = LocalFileSystem().Read(folder + "server.key");
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(*EndOf(*key + MakeCertificate(1'900'000'000)), 1'900'000'000);
  EXPECT_EQ(*CertificateEnd(folder + "server.pem"), 4'949'001'408);  // as openssl x509 says
}

TEST_F(Certificates, WhatIsNoneIsNamed) {
  const auto none = EndOf("-----BEGIN NOTHING-----\n-----END NOTHING-----\n");
  EXPECT_EQ(none.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(none.status().message().find("server.pem has no X.509 certificate"), std::string::npos)
      << none.status().message();
  EXPECT_EQ(CertificateEnd(folder_ / "absent.pem").status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace tyllm::wire
