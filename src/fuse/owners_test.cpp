#include "fuse/owners.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <filesystem>

#include "base/temporary_folder.h"
#include "fuse/testing.h"

namespace doppel::fuse {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kRoot = FUSE_ROOT_ID;

TEST(Owners, WriteAndReadOneText) {
    const Ownership device{S_IFCHR | 0666, 0, 5, 1, 3};
    EXPECT_EQ(text_of(device), "20666 0 5 1 3");
    EXPECT_EQ(ownership_from(text_of(device)), device);
    for (const char* text : {"", "x", "644", "644 0 0 0", "644 0 0 0 0 ", "644  0 0 0 0", "644 0 0 0 -1",
                             "777777 0 0 0 0", "644 4294967296 0 0 0"})
        EXPECT_EQ(ownership_from(text), std::nullopt) << text;
}

class MappedOwners : public testing::Test {
  protected:
    void SetUp() override { serve(0); }
    void serve(uint32_t seen_as) {
        ServerOptions options;
        options.tree.seen_as = seen_as;
        options.tree.owners = Owners::Kind::kMapped;
        server_ = std::move(
            *Server::create(UniqueFd(open(folder_.path().c_str(), O_RDONLY | O_DIRECTORY)), std::move(options)));
        client_ = std::make_unique<TestClient>(*server_);
        ASSERT_EQ(client_->init().error, 0);
    }
    std::string stored(const std::string& name) const {
        char text[100];
        const ssize_t length = lgetxattr((folder_ / name).c_str(), kStatAttribute, text, sizeof text);
        return length < 0 ? "" : std::string(text, static_cast<size_t>(length));
    }
    struct stat host(const std::string& name) const {
        struct stat status {};
        EXPECT_EQ(lstat((folder_ / name).c_str(), &status), 0) << name;
        return status;
    }
    void expect(uint64_t node, uint32_t mode, uint32_t uid, uint32_t gid) {
        const fuse_attr attr = client_->attr(node);
        EXPECT_EQ(attr.mode, mode);
        EXPECT_EQ(attr.uid, uid);
        EXPECT_EQ(attr.gid, gid);
    }
    Answer give(uint64_t node, uint32_t uid, uint32_t gid) {
        fuse_setattr_in in{};
        in.valid = FATTR_UID | FATTR_GID;
        in.uid = uid;
        in.gid = gid;
        return client_->set(node, in);
    }
    Answer change_mode(uint64_t node, uint32_t mode) {
        fuse_setattr_in in{};
        in.valid = FATTR_MODE;
        in.mode = mode;
        return client_->set(node, in);
    }

    TemporaryFolder folder_;
    std::unique_ptr<Server> server_;
    std::unique_ptr<TestClient> client_;
};

TEST_F(MappedOwners, MakeTheHostsUserTheClientsRootAndKeepNothing) {
    const auto file = client_->create(kRoot, "file", 0640);
    expect(file.node, S_IFREG | 0640, 0, 0);
    EXPECT_EQ(stored("file"), "");
    EXPECT_EQ(host("file").st_uid, geteuid());
}

TEST_F(MappedOwners, MakeTheHostsUserWhomeverTheyAreTold) {
    serve(1000);
    client_->uid = client_->gid = 1000;
    const auto file = client_->create(kRoot, "file", 0640);
    expect(file.node, S_IFREG | 0640, 1000, 1000);
    EXPECT_EQ(stored("file"), "");
    EXPECT_EQ(client_->ask(FUSE_SYMLINK, kRoot, text("link") + text("file")).error, 0);
    EXPECT_EQ(host("link").st_mode & S_IFMT, static_cast<mode_t>(S_IFLNK));
    EXPECT_EQ(give(file.node, 0, 0).error, 0);
    expect(file.node, S_IFREG | 0640, 0, 0);
    EXPECT_EQ(stored("file"), "100640 0 0 0 0");
}

TEST_F(MappedOwners, KeepOthersInAnAttribute) {
    client_->uid = 1000;
    client_->gid = 100;
    const auto file = client_->create(kRoot, "file", 0400);
    expect(file.node, S_IFREG | 0400, 1000, 100);
    EXPECT_EQ(stored("file"), "100400 1000 100 0 0");
    EXPECT_EQ(host("file").st_mode & 0777, 0600u) << "the host's user keeps access";
    EXPECT_EQ(give(file.node, 0, 0).error, 0);
    expect(file.node, S_IFREG | 0400, 0, 0);
    EXPECT_EQ(change_mode(file.node, 0644).error, 0);
    EXPECT_EQ(stored("file"), "") << "the host's own says it all again";
    EXPECT_EQ(host("file").st_mode & 0777, 0644u);
}

TEST_F(MappedOwners, KeepSetUserIdBitsFromTheHost) {
    const auto file = client_->create(kRoot, "su", 0755);
    EXPECT_EQ(change_mode(file.node, 04755).error, 0);
    expect(file.node, S_IFREG | 04755, 0, 0);
    EXPECT_EQ(host("su").st_mode & 07777, 0755u);
    client_->set_xattr(file.node, "security.capability", "all");
    EXPECT_EQ(client_->get_xattr(file.node, "security.capability"), "all");
    EXPECT_EQ(client_->write(file.node, file.handle, 0, "x", FUSE_WRITE_KILL_SUIDGID).error, 0);
    expect(file.node, S_IFREG | 0755, 0, 0);
    EXPECT_EQ(client_->get_xattr(file.node, "security.capability"), "error 61");
    EXPECT_EQ(change_mode(file.node, 06755).error, 0);
    EXPECT_EQ(give(file.node, 5, 5).as<fuse_attr_out>().attr.mode, S_IFREG | 0755u) << "a new owner takes them away";
}

TEST_F(MappedOwners, HandFoldersGroupsDown) {
    const uint64_t folder = client_->make_folder(kRoot, "folder").as<fuse_entry_out>().nodeid;
    EXPECT_EQ(give(folder, 0, 50).error, 0);
    EXPECT_EQ(change_mode(folder, 02775).error, 0);
    expect(folder, S_IFDIR | 02775, 0, 50);
    expect(client_->create(folder, "file").node, S_IFREG | 0644, 0, 50);
    expect(client_->make_folder(folder, "below").as<fuse_entry_out>().nodeid, S_IFDIR | 02755, 0, 50);
}

TEST_F(MappedOwners, MakeDevicesThatAreNoneOnTheHost) {
    const Answer made = client_->ask(FUSE_MKNOD, kRoot, fuse_mknod_in{S_IFCHR | 0666, 0x103, 0, 0}, text("null"));
    ASSERT_EQ(made.error, 0);
    const auto attr = made.as<fuse_entry_out>().attr;
    EXPECT_EQ(attr.mode, S_IFCHR | 0666u);
    EXPECT_EQ(attr.rdev, 0x103u);
    EXPECT_TRUE(S_ISREG(host("null").st_mode));
    const Answer pipe = client_->ask(FUSE_MKNOD, kRoot, fuse_mknod_in{S_IFIFO | 0644, 0, 0, 0}, text("pipe"));
    EXPECT_EQ(pipe.as<fuse_entry_out>().attr.mode, S_IFIFO | 0644u);
    EXPECT_TRUE(S_ISREG(host("pipe").st_mode));
    EXPECT_EQ(change_mode(pipe.as<fuse_entry_out>().nodeid, 0600).as<fuse_attr_out>().attr.mode, S_IFIFO | 0600u);
}

TEST_F(MappedOwners, GiveLinksAnOwnerToo) {
    const Answer made = client_->ask(FUSE_SYMLINK, kRoot, text("link") + text("some/target"));
    const uint64_t link = made.as<fuse_entry_out>().nodeid;
    EXPECT_TRUE(S_ISLNK(host("link").st_mode));
    EXPECT_EQ(give(link, 0, 0).error, 0);
    EXPECT_TRUE(S_ISLNK(host("link").st_mode));
    EXPECT_EQ(give(link, 7, 8).error, 0);
    expect(link, S_IFLNK | 0777, 7, 8);
    EXPECT_EQ(client_->node(kRoot, "link"), link);
    const Answer target = client_->ask(FUSE_READLINK, link);
    EXPECT_EQ(std::string(target.body.begin(), target.body.end()), "some/target");
    client_->uid = 9;
    const Answer other = client_->ask(FUSE_SYMLINK, kRoot, text("other") + text("there"));
    EXPECT_EQ(other.as<fuse_entry_out>().attr.uid, 9u);
    EXPECT_EQ(other.as<fuse_entry_out>().attr.mode, S_IFLNK | 0777u);
    EXPECT_EQ(folder_.count(), 2u);
}

TEST_F(MappedOwners, KeepClientsFromTheServersOwnAttributes) {
    client_->uid = 1000;
    const auto file = client_->create(kRoot, "file");
    EXPECT_EQ(client_->set_xattr(file.node, "user.doppel.stat", "104755 0 0 0 0").error, EPERM);
    EXPECT_EQ(client_->ask(FUSE_REMOVEXATTR, file.node, text("user.doppel.stat")).error, EPERM);
    EXPECT_EQ(client_->get_xattr(file.node, "user.doppel.stat"), "error 61");
    EXPECT_EQ(client_->set_xattr(file.node, "trusted.overlay.opaque", "y").error, 0);
    EXPECT_EQ(client_->set_xattr(file.node, "user.mine", "m").error, 0);
    EXPECT_EQ(client_->set_xattr(file.node, "system.posix_acl_access", "m").error, EOPNOTSUPP);
    const Answer names = client_->ask(FUSE_LISTXATTR, file.node, fuse_getxattr_in{1000, 0});
    std::string listed(names.body.begin(), names.body.end());
    std::replace(listed.begin(), listed.end(), '\0', ' ');
    EXPECT_NE(listed.find("trusted.overlay.opaque "), listed.npos);
    EXPECT_NE(listed.find("user.mine "), listed.npos);
    EXPECT_EQ(listed.find("doppel"), listed.npos);
    EXPECT_EQ(
        client_->ask(FUSE_GETXATTR, file.node, fuse_getxattr_in{0, 0}, text("user.mine")).as<fuse_getxattr_out>().size,
        1u);
    EXPECT_EQ(client_->ask(FUSE_LISTXATTR, file.node, fuse_getxattr_in{3, 0}).error, ERANGE);
}

TEST(RealOwners, AreTheHosts) {
    if (geteuid() != 0) GTEST_SKIP() << "only root gives files away";
    TemporaryFolder folder;
    auto server = std::move(*Server::create(UniqueFd(open(folder.path().c_str(), O_RDONLY | O_DIRECTORY)), {}));
    TestClient client(*server);
    client.init();
    client.uid = 1000;
    client.gid = 100;
    client.create(kRoot, "file", 04751);
    client.make_folder(kRoot, "folder", 0700);
    client.ask(FUSE_SYMLINK, kRoot, text("link") + text("target"));
    for (const auto& [name, mode] :
         {std::pair("file", 0104751u), std::pair("folder", 040700u), std::pair("link", 0120777u)}) {
        struct stat status {};
        ASSERT_EQ(lstat((folder / name).c_str(), &status), 0);
        EXPECT_EQ(status.st_uid, 1000u) << name;
        EXPECT_EQ(status.st_gid, 100u) << name;
        EXPECT_EQ(status.st_mode, mode) << name;
    }
    const Answer made = client.ask(FUSE_MKNOD, kRoot, fuse_mknod_in{S_IFBLK | 0666, 0x801, 0, 0}, text("disk"));
    EXPECT_EQ(made.as<fuse_entry_out>().attr.mode, S_IFBLK | 0666u);
    EXPECT_EQ(made.as<fuse_entry_out>().attr.uid, 1000u);
    EXPECT_TRUE(fs::is_regular_file(folder / "disk")) << "no device of a guest's making";
}

}  // namespace
}  // namespace doppel::fuse
