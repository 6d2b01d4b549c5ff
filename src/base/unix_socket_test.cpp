#include "base/unix_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/temporary_folder.h"

namespace doppel {
namespace {

class UnixSocket : public testing::Test {
  protected:
    bool connects() const {
        UniqueFd client(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
        // EAGAIN: others wait to be accepted already.
        return connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
               errno == EAGAIN;
    }
    TemporaryFolder folder;
    std::filesystem::path path = folder.path() / "socket";
};

TEST_F(UnixSocket, IsReachedByItsOwnerOnly) {
    auto listener = listen_on_unix_socket(path, "open");
    ASSERT_TRUE(listener) << listener.error().message();
    struct stat status {};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    EXPECT_TRUE(connects());
}

TEST_F(UnixSocket, ReplacesADeadOneButNothingElse) {
    { ASSERT_TRUE(listen_on_unix_socket(path, "open")); }
    EXPECT_FALSE(connects());
    auto listener = listen_on_unix_socket(path, "open");
    ASSERT_TRUE(listener) << "the dead one is in the way";
    EXPECT_TRUE(connects());
    EXPECT_FALSE(listen_on_unix_socket(path, "open")) << "somebody listens";
    EXPECT_TRUE(connects());

    auto file = folder.path() / "file";
    std::ofstream(file) << "content";
    auto refused = listen_on_unix_socket(file, "open console");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message().rfind("open console: " + file.string() + ": ", 0), 0u);
    EXPECT_EQ(std::filesystem::file_size(file), 7u);
}

TEST_F(UnixSocket, RefusesAPathThatDoesNotFit) {
    EXPECT_FALSE(listen_on_unix_socket(folder.path() / std::string(kMaxSocketPath, 'x'), "open"));
}

}  // namespace
}  // namespace doppel
