#include "fuse/server.h"

#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "base/temporary_folder.h"
#include "fuse/testing.h"

namespace doppel::fuse {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kRoot = FUSE_ROOT_ID;

struct Share {
    explicit Share(TreeOptions tree = {}) {
        fs::create_directory(folder / "shared");
        ServerOptions options;
        options.tree = tree;
        server = std::move(*Server::create(UniqueFd(open(root().c_str(), O_RDONLY | O_DIRECTORY)), std::move(options)));
        server->start_thread();
        client = std::make_unique<TestClient>(*server);
        EXPECT_EQ(client->init().error, 0);
    }
    fs::path root() const { return folder / "shared"; }
    void put(const std::string& name, const std::string& content) const { std::ofstream(root() / name) << content; }
    std::string get(const std::string& name) const {
        std::ifstream file(root() / name);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    TestClient* operator->() const { return client.get(); }

    TemporaryFolder folder;
    std::unique_ptr<Server> server;
    std::unique_ptr<TestClient> client;
};

TEST(FuseServer, AgreesOnAProtocolAndRefusesOldOnes) {
    Share share;
    const auto out = share->init().as<fuse_init_out>();
    EXPECT_EQ(out.major, 7u);
    EXPECT_EQ(out.max_write, 1u << 20);
    EXPECT_EQ(out.max_pages, 256u);
    EXPECT_EQ(out.flags & FUSE_WRITEBACK_CACHE, 0u) << "the host writes too";
    EXPECT_NE(out.flags & FUSE_POSIX_LOCKS, 0u);
    EXPECT_EQ(share->init(FUSE_KERNEL_MINOR_VERSION, FUSE_POSIX_LOCKS).as<fuse_init_out>().flags, FUSE_POSIX_LOCKS);
    EXPECT_EQ(share->init(30).error, EPROTO);
}

TEST(FuseServer, AnswersNothingBeforeASessionBegins) {
    Share share;
    EXPECT_EQ(share->ask(FUSE_DESTROY, kRoot).error, 0);
    EXPECT_EQ(share->ask(FUSE_GETATTR, kRoot, fuse_getattr_in{}).error, EIO);
    EXPECT_EQ(share->init().error, 0);
    EXPECT_EQ(share->ask(FUSE_GETATTR, kRoot, fuse_getattr_in{}).error, 0);
}

TEST(FuseServer, RefusesWhatItDoesNotKnow) {
    Share share;
    for (uint32_t opcode : {uint32_t{0}, uint32_t{FUSE_IOCTL}, uint32_t{FUSE_BMAP}, uint32_t{FUSE_POLL}, 4096u, ~0U})
        EXPECT_EQ(share->ask(opcode, kRoot, Bytes(64)).error, ENOSYS);
    EXPECT_EQ(share->ask(FUSE_GETATTR, 77, fuse_getattr_in{}).error, ESTALE);
    EXPECT_EQ(share->read(kRoot, 99), "error 9");
    EXPECT_EQ(share->ask(FUSE_LOOKUP, kRoot, Bytes{'a'}).error, EINVAL) << "no end of the name";
}

TEST(FuseServer, WritesAndReadsFiles) {
    Share share;
    const auto file = share->create(kRoot, "file");
    ASSERT_EQ(file.error, 0);
    EXPECT_EQ(share->write(file.node, file.handle, 3, "hello").as<fuse_write_out>().size, 5u);
    EXPECT_EQ(share->read(file.node, file.handle), std::string("\0\0\0hello", 8));
    EXPECT_EQ(share->read(file.node, file.handle, 4, 2), "el");
    EXPECT_EQ(share->read(file.node, file.handle, 100), "");
    EXPECT_EQ(share->attr(file.node).size, 8u);
    EXPECT_EQ(share->release(file.node, file.handle).error, 0);
    EXPECT_EQ(share->read(file.node, file.handle), "error 9");
    EXPECT_EQ(share.get("file"), std::string("\0\0\0hello", 8));
    EXPECT_EQ(share->create(kRoot, "file", 0644, O_RDWR | O_EXCL).error, EEXIST);
    EXPECT_EQ(share->create(kRoot, "file").node, file.node);
}

TEST(FuseServer, WritesFarAndTruncates) {
    Share share;
    const auto file = share->create(kRoot, "large");
    constexpr uint64_t kFar = uint64_t{5} << 32;
    EXPECT_EQ(share->write(file.node, file.handle, kFar, "x").error, 0);
    EXPECT_EQ(share->attr(file.node).size, kFar + 1);
    const fuse_lseek_in data{file.handle, 0, SEEK_DATA, 0};
    EXPECT_GT(share->ask(FUSE_LSEEK, file.node, data).as<fuse_lseek_out>().offset, 0u);
    fuse_setattr_in shorter{};
    shorter.valid = FATTR_SIZE;
    shorter.size = 10;
    EXPECT_EQ(share->set(file.node, shorter).as<fuse_attr_out>().attr.size, 10u);
    const fuse_fallocate_in grow{file.handle, 0, 4096, 0, 0};
    EXPECT_EQ(share->ask(FUSE_FALLOCATE, file.node, grow).error, 0);
    EXPECT_EQ(share->attr(file.node).size, 4096u);
    const fuse_fallocate_in wild{file.handle, ~uint64_t{0}, ~uint64_t{0}, 0, 0};
    EXPECT_EQ(share->ask(FUSE_FALLOCATE, file.node, wild).error, EFBIG);
    EXPECT_EQ(share->write(file.node, file.handle, ~uint64_t{0} - 1, "x").error, EFBIG);
}

TEST(FuseServer, CopiesRangesOnTheHost) {
    Share share;
    share.put("from", "0123456789");
    const uint64_t from = share->node(kRoot, "from");
    const uint64_t source = share->open(from, O_RDONLY).as<fuse_open_out>().fh;
    const auto to = share->create(kRoot, "to");
    const fuse_copy_file_range_in in{source, 2, to.node, to.handle, 1, 4, 0};
    EXPECT_EQ(share->ask(FUSE_COPY_FILE_RANGE, from, in).as<fuse_write_out>().size, 4u);
    EXPECT_EQ(share.get("to"), std::string("\0", 1) + "2345");
}

TEST(FuseServer, NamesStayInsideTheFolder) {
    Share share;
    std::ofstream(share.folder / "secret") << "no";
    fs::create_symlink("../secret", share.root() / "link");
    fs::create_directory_symlink("..", share.root() / "up");
    for (const char* name : {"..", ".", "", "../secret", "link/x", "/etc/passwd"})
        EXPECT_EQ(share->look_up(kRoot, name).error, EINVAL) << name;
    EXPECT_EQ(share->look_up(kRoot, std::string(256, 'a')).error, ENAMETOOLONG);
    const uint64_t link = share->node(kRoot, "link"), up = share->node(kRoot, "up");
    EXPECT_EQ(share->attr(link).mode & S_IFMT, static_cast<unsigned>(S_IFLNK));
    EXPECT_NE(share->open(link).error, 0);
    EXPECT_NE(share->open(link, O_RDONLY).error, 0);
    EXPECT_NE(share->look_up(up, "secret").error, 0);
    EXPECT_NE(share->ask(FUSE_OPENDIR, up, fuse_open_in{}).error, 0);
    const Answer target = share->ask(FUSE_READLINK, link);
    EXPECT_EQ(std::string(target.body.begin(), target.body.end()), "../secret");
    EXPECT_NE(share->create(kRoot, "link").error, 0) << "a link is never followed";
}

TEST(FuseServer, OpensNoSpecialFileOfTheHost) {
    Share share;
    ASSERT_EQ(mkfifo((share.root() / "fifo").c_str(), 0666), 0);
    const uint64_t fifo = share->node(kRoot, "fifo");
    EXPECT_EQ(share->attr(fifo).mode & S_IFMT, static_cast<unsigned>(S_IFIFO));
    EXPECT_EQ(share->open(fifo).error, EPERM);
    EXPECT_EQ(share->create(kRoot, "fifo").error, EPERM);
}

TEST(FuseServer, KeepsUnlinkedFilesThatAreOpen) {
    Share share;
    const auto file = share->create(kRoot, "file");
    share->write(file.node, file.handle, 0, "still here");
    EXPECT_EQ(share->ask(FUSE_UNLINK, kRoot, text("file")).error, 0);
    EXPECT_EQ(share->look_up(kRoot, "file").error, ENOENT);
    EXPECT_EQ(share->attr(file.node).nlink, 0u);
    EXPECT_EQ(share->read(file.node, file.handle), "still here");
    fuse_setattr_in mode{};
    mode.valid = FATTR_MODE;
    mode.mode = 0600;
    EXPECT_EQ(share->set(file.node, mode).as<fuse_attr_out>().attr.mode, S_IFREG | 0600u);
    EXPECT_EQ(share->open(file.node).error, 0) << "by the node alone";
    // The name's next file is another one.
    EXPECT_NE(share->create(kRoot, "file").node, file.node);
    EXPECT_EQ(share->attr(file.node).size, 10u);
}

TEST(FuseServer, KnowsHardLinksAsOneFile) {
    Share share;
    const auto file = share->create(kRoot, "one");
    const auto linked = share->ask(FUSE_LINK, kRoot, fuse_link_in{file.node}, text("two")).as<fuse_entry_out>();
    EXPECT_EQ(linked.nodeid, file.node);
    EXPECT_EQ(linked.attr.nlink, 2u);
    EXPECT_EQ(share->ask(FUSE_UNLINK, kRoot, text("one")).error, 0);
    EXPECT_EQ(share->attr(file.node).nlink, 1u);
    EXPECT_EQ(share->ask(FUSE_UNLINK, kRoot, text("two")).error, 0);
    EXPECT_EQ(share->attr(file.node).nlink, 0u);
}

TEST(FuseServer, LinksFilesThatHadNoName) {
    Share share;
    const Answer made = share->ask(FUSE_TMPFILE, kRoot, fuse_create_in{O_RDWR, S_IFREG | 0640, 0, 0}, text("#1"));
    ASSERT_EQ(made.error, 0);
    const uint64_t node = made.as<fuse_entry_out>().nodeid;
    share->write(node, made.as<fuse_open_out>(sizeof(fuse_entry_out)).fh, 0, "content");
    EXPECT_TRUE(fs::is_empty(share.root()));
    EXPECT_EQ(share->ask(FUSE_LINK, kRoot, fuse_link_in{node}, text("named")).as<fuse_entry_out>().nodeid, node);
    EXPECT_EQ(share.get("named"), "content");
}

TEST(FuseServer, RenamesWithAllFlags) {
    Share share;
    share.put("a", "a");
    share.put("b", "b");
    share->make_folder(kRoot, "folder");
    const uint64_t a = share->node(kRoot, "a"), b = share->node(kRoot, "b"), folder = share->node(kRoot, "folder");
    EXPECT_EQ(share->rename(kRoot, "a", kRoot, "b", RENAME_NOREPLACE).error, EEXIST);
    EXPECT_EQ(share->rename(kRoot, "a", kRoot, "b", RENAME_EXCHANGE).error, 0);
    EXPECT_EQ(share->node(kRoot, "a"), b);
    EXPECT_EQ(share->node(kRoot, "b"), a);
    EXPECT_EQ(share->rename(kRoot, "b", folder, "c").error, 0);
    EXPECT_EQ(share->attr(a).size, 1u);
    EXPECT_EQ(share->rename(kRoot, "folder", kRoot, "moved").error, 0);
    EXPECT_EQ(share.get("moved/c"), "a");
    EXPECT_EQ(share->attr(a).size, 1u) << "found where its folder went";
    EXPECT_EQ(share->rename(kRoot, "a", folder, "c").error, 0) << "over a file that the client knows";
    EXPECT_EQ(share->attr(a).nlink, 0u);
    EXPECT_EQ(share->rename(kRoot, "moved", folder, "inside").error, EINVAL);
    EXPECT_EQ(share->rename(kRoot, "moved", kRoot, "x", 64).error, EINVAL);
}

std::set<std::string> list(Share& share, uint64_t folder, uint32_t opcode, uint32_t room) {
    std::set<std::string> names;
    const uint64_t handle = share->ask(FUSE_OPENDIR, folder, fuse_open_in{}).as<fuse_open_out>().fh;
    fuse_read_in in{};
    in.fh = handle;
    in.size = room;
    while (true) {
        const Answer answer = share->ask(opcode, folder, in);
        if (answer.error != 0 || answer.body.empty()) return names;
        for (size_t at = 0; at < answer.body.size();) {
            const bool plus = opcode == FUSE_READDIRPLUS;
            const auto node = answer.as<fuse_entry_out>(at);
            if (plus) at += sizeof node;
            const auto entry = answer.as<fuse_dirent>(at);
            std::string name(answer.body.begin() + static_cast<ptrdiff_t>(at + FUSE_NAME_OFFSET),
                             answer.body.begin() + static_cast<ptrdiff_t>(at + FUSE_NAME_OFFSET + entry.namelen));
            EXPECT_TRUE(!plus || name == "." || name == ".." || node.nodeid != 0) << name;
            EXPECT_TRUE(names.insert(name).second) << name << " came twice";
            at += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + entry.namelen);
            in.offset = entry.off;
        }
    }
}

TEST(FuseServer, ListsLargeFoldersInPieces) {
    Share share;
    std::set<std::string> names{".", ".."};
    for (int i = 0; i < 2000; i++) names.insert("file-with-a-name-" + std::to_string(i));
    for (const auto& name : names)
        if (name[0] != '.') share.put(name, "");
    EXPECT_EQ(list(share, kRoot, FUSE_READDIR, 4096), names);
    EXPECT_EQ(list(share, kRoot, FUSE_READDIRPLUS, 4096), names);
    EXPECT_EQ(list(share, kRoot, FUSE_READDIRPLUS, 65536), names);
}

TEST(FuseServer, CountsLookupsExactly) {
    Share share;
    share.put("file", "x");
    const uint64_t node = share->node(kRoot, "file");
    EXPECT_EQ(share->node(kRoot, "file"), node);
    share->forget(node, 1);
    EXPECT_EQ(share->attr(node).size, 1u);
    EXPECT_FALSE(
        share->ask(FUSE_BATCH_FORGET, 0, fuse_batch_forget_in{1, 0}, bytes_of(fuse_forget_one{node, 1})).answered);
    EXPECT_EQ(share->ask(FUSE_GETATTR, node, fuse_getattr_in{}).error, ESTALE);
    EXPECT_NE(share->node(kRoot, "file"), 0u);
    share->forget(kRoot, 1000);
    EXPECT_EQ(share->ask(FUSE_GETATTR, kRoot, fuse_getattr_in{}).error, 0);
}

TEST(FuseServer, ReachesMoreFilesThanItKeepsOpen) {
    Share share({.descriptors = 4});
    std::vector<uint64_t> folders{kRoot};
    for (int i = 0; i < 30; i++)
        folders.push_back(share->make_folder(folders.back(), "deeper").as<fuse_entry_out>().nodeid);
    for (auto at = folders.rbegin(); at != folders.rend(); ++at) EXPECT_NE(share->attr(*at).ino, 0u);
    EXPECT_EQ(share->create(folders.back(), "file").error, 0);
    // What the host puts in a file's place is not that file.
    const uint64_t far = share->node(folders.back(), "file");
    fs::path path = share.root();
    for (int i = 0; i < 30; i++) path /= "deeper";
    fs::remove(path / "file");
    std::ofstream(path / "another") << "kept, so that the number is not used again";
    std::ofstream(path / "file") << "another";
    for (const uint64_t folder : folders) share->attr(folder);
    EXPECT_EQ(share->ask(FUSE_GETATTR, far, fuse_getattr_in{}).error, ESTALE);
    EXPECT_NE(share->node(folders.back(), "file"), far);
}

TEST(FuseServer, RefusesChangesOfAReadOnlyShare) {
    Share share({.read_only = true});
    share.put("file", "content");
    const uint64_t file = share->node(kRoot, "file");
    EXPECT_EQ(share->open(file).error, EROFS);
    EXPECT_EQ(share->open(file, O_RDONLY | O_TRUNC).error, EROFS);
    const uint64_t handle = share->open(file, O_RDONLY).as<fuse_open_out>().fh;
    EXPECT_EQ(share->read(file, handle), "content");
    EXPECT_EQ(share->create(kRoot, "new").error, EROFS);
    EXPECT_EQ(share->make_folder(kRoot, "new").error, EROFS);
    EXPECT_EQ(share->ask(FUSE_UNLINK, kRoot, text("file")).error, EROFS);
    EXPECT_EQ(share->rename(kRoot, "file", kRoot, "new").error, EROFS);
    EXPECT_EQ(share->set_xattr(file, "user.x", "y").error, EROFS);
    EXPECT_EQ(share->write(file, handle, 0, "x").error, EROFS);
    EXPECT_EQ(share->set(file, fuse_setattr_in{}).error, EROFS);
    EXPECT_EQ(share.get("file"), "content");
}

TEST(FuseServer, TellsWhenACacheIsStillGood) {
    Share share;
    share.put("file", "x");
    fs::last_write_time(share.root() / "file", fs::file_time_type::clock::now() - std::chrono::hours(1));
    const uint64_t file = share->node(kRoot, "file");
    const auto keeps = [&] {
        return (share->open(file, O_RDONLY).as<fuse_open_out>().open_flags & FOPEN_KEEP_CACHE) != 0;
    };
    EXPECT_FALSE(keeps()) << "it was never open";
    usleep(150'000);  // older than the coarsest clock, from here on
    keeps();
    EXPECT_TRUE(keeps());
    share.put("file", "y");
    EXPECT_FALSE(keeps());
}

TEST(FuseServer, EndsASessionWhole) {
    Share share;
    const auto file = share->create(kRoot, "file");
    share->init();
    EXPECT_EQ(share->read(file.node, file.handle), "error 9");
    EXPECT_EQ(share->ask(FUSE_GETATTR, file.node, fuse_getattr_in{}).error, ESTALE);
    EXPECT_NE(share->node(kRoot, "file"), 0u);
}

TEST(FuseServer, GoesOnWithASessionThatWasSaved) {
    Share share;
    const uint64_t folder = share->make_folder(kRoot, "folder").as<fuse_entry_out>().nodeid;
    const auto file = share->create(folder, "file"), gone = share->create(folder, "gone");
    share->write(file.node, file.handle, 0, "content");
    share->ask(FUSE_UNLINK, folder, text("gone"));
    StateWriter writer;
    share.server->save(writer);
    const auto document = writer.finish();

    auto again = std::move(*Server::create(UniqueFd(open(share.root().c_str(), O_RDONLY | O_DIRECTORY)), {}));
    auto reader = StateReader::parse(document);
    ASSERT_TRUE(reader.has_value());
    ASSERT_TRUE(again->restore(*reader).has_value());
    TestClient client(*again);
    EXPECT_EQ(client.read(file.node, file.handle), "content");
    EXPECT_EQ(client.node(folder, "file"), file.node);
    EXPECT_EQ(client.ask(FUSE_GETATTR, gone.node, fuse_getattr_in{}).error, ESTALE);
    EXPECT_EQ(client.read(gone.node, gone.handle), "error 9");
    EXPECT_GT(client.create(folder, "new").node, gone.node) << "no number is used twice";
    StateWriter second;
    again->save(second);
    SessionState wild;
    wild.nodes = {5};
    EXPECT_FALSE(wild.check().has_value());
    wild.next_node = 6;
    wild.parents = wild.lookups = {1};
    wild.names = std::string("..") + '\0';
    EXPECT_FALSE(wild.check().has_value());
    wild.names = std::string("name") + '\0';
    EXPECT_TRUE(wild.check().has_value());
}

TEST(FuseServer, SyncsAndTellsOfTheFileSystem) {
    Share share;
    const auto file = share->create(kRoot, "file");
    EXPECT_EQ(share->ask(FUSE_FSYNC, file.node, fuse_fsync_in{file.handle, 1, 0}).error, 0);
    EXPECT_EQ(share->ask(FUSE_SYNCFS, kRoot, fuse_syncfs_in{}).error, 0);
    EXPECT_GT(share->ask(FUSE_STATFS, kRoot).as<fuse_statfs_out>().st.blocks, 0u);
    fuse_setattr_in times{};
    times.valid = FATTR_MTIME;
    times.mtime = 1234567890;
    times.mtimensec = 42;
    EXPECT_EQ(share->set(file.node, times).as<fuse_attr_out>().attr.mtime, 1234567890u);
    EXPECT_EQ(share->attr(file.node).mtimensec, 42u);
}

}  // namespace
}  // namespace doppel::fuse
