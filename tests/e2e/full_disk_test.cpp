// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "tests/e2e/farm.h"
#include "tests/support/paths.h"

// A server whose disk is full says so, takes nothing, answers rightly, and comes back by itself.
namespace tyllm::testing {
namespace {

namespace fs = std::filesystem;

class FullDisk : public ::testing::Test {
 protected:
  FullDisk() {
    farm_.server_environment = {
        "FULL_DISK_FILE=" + Mark().string(),
        "LD_PRELOAD=" + std::string(kProgramFolder) + "/../tests/libfull_disk_preload.so"};
    farm_.StartServer();
  }

  fs::path Mark() const { return farm_.folder() / "full"; }

  void Fill() { std::ofstream(Mark()) << "full"; }

  void MakeRoom() { fs::remove(Mark()); }

  Ran Submit(const std::string& group_size) const {
    return farm_.Client({"--patience", "1", "submit", "quantize", "--method", "rtn", "--group-size",
                         group_size, "--model", DemoModel()});
  }

  bool BecomesHealthy(bool healthy) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::chrono::steady_clock::now() < deadline) {
      if ((farm_.Health().find(" 200 ") != std::string::npos) == healthy) {
        return true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));  // asks a process; bounded
    }
    return false;
  }

  Farm farm_;
};

TEST_F(FullDisk, NothingIsAcceptedNothingIsLostAndRoomIsEnoughToGoOn) {
  ASSERT_EQ(Submit("16").out, "j1\n");
  EXPECT_TRUE(BecomesHealthy(true));
  Fill();
  const Ran refused = Submit("32");
  EXPECT_EQ(refused.code, 8) << refused.err;  // out of resources
  EXPECT_TRUE(BecomesHealthy(false)) << farm_.Health();
  EXPECT_EQ(farm_.Status("j1")["state"], "queued");
  EXPECT_EQ(farm_.Client({"list", "--json"}).Json().size(), 1U);
  MakeRoom();
  EXPECT_TRUE(BecomesHealthy(true)) << farm_.Health();
  EXPECT_EQ(Submit("32").code, 0);
  EXPECT_EQ(farm_.Client({"list", "--json"}).Json().size(), 2U);
  farm_.KillServer();
  farm_.StartServer();
  EXPECT_EQ(farm_.Client({"list", "--json"}).Json().size(), 2U);
  EXPECT_EQ(farm_.StopServer(), 0);
}

}  // namespace
}  // namespace tyllm::testing
