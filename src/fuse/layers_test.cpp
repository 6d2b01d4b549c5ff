// Copy-on-write: a tree of two layers, of which the lower one stays as it is.
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "base/temporary_folder.h"
#include "fuse/testing.h"

namespace doppel::fuse {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kRoot = FUSE_ROOT_ID;

class Layers : public testing::TestWithParam<Owners::Kind> {
  protected:
    void SetUp() override {
        for (const char* name : {"upper", "lower"}) fs::create_directory(folder_ / name);
        fs::create_directories(lower("folder/below"));
        put(lower("file"), "content");
        put(lower("folder/one"), "1");
        put(lower("folder/two"), "22");
        fs::create_symlink("file", lower("link"));
        fs::create_hard_link(lower("file"), lower("hard"));
        start();
        before_ = tree();
    }
    void TearDown() override { EXPECT_EQ(tree(), before_) << "the lower layer was changed"; }
    void start() {
        ServerOptions options;
        options.tree.owners = GetParam();
        options.tree.descriptors = 16;
        options.lower = UniqueFd(open((folder_ / "lower").c_str(), O_RDONLY | O_DIRECTORY));
        auto server =
            Server::create(UniqueFd(open((folder_ / "upper").c_str(), O_RDONLY | O_DIRECTORY)), std::move(options));
        ASSERT_TRUE(server.has_value());
        server_ = std::move(*server);
        client_ = std::make_unique<TestClient>(*server_);
        client_->init();
    }
    fs::path lower(const std::string& name) const { return folder_.path() / "lower" / name; }
    static void put(const fs::path& path, const std::string& content) { std::ofstream(path) << content; }
    std::map<std::string, std::string> tree() const {
        std::map<std::string, std::string> found;
        for (const auto& entry : fs::recursive_directory_iterator(folder_.path() / "lower")) {
            std::ifstream file(entry.path());
            found[entry.path()] = entry.is_regular_file() ? std::string(std::istreambuf_iterator<char>(file), {}) : "-";
        }
        return found;
    }
    std::string content(uint64_t folder, const std::string& name) {
        const uint64_t node = client_->node(folder, name);
        const Answer opened = client_->open(node, O_RDONLY);
        if (opened.error != 0) return "error " + std::to_string(opened.error);
        const uint64_t handle = opened.as<fuse_open_out>().fh;
        std::string found = client_->read(node, handle);
        client_->release(node, handle);
        return found;
    }
    int write(uint64_t folder, const std::string& name, const std::string& text, uint64_t offset = 0) {
        const uint64_t node = client_->node(folder, name);
        const Answer opened = client_->open(node, O_RDWR);
        if (opened.error != 0) return opened.error;
        const uint64_t handle = opened.as<fuse_open_out>().fh;
        const int error = client_->write(node, handle, offset, text).error;
        client_->release(node, handle);
        return error;
    }
    int remove(uint64_t folder, const std::string& name) { return client_->ask(FUSE_UNLINK, folder, text(name)).error; }
    int remove_folder(uint64_t folder, const std::string& name) {
        return client_->ask(FUSE_RMDIR, folder, text(name)).error;
    }
    std::set<std::string> list(uint64_t folder) {
        std::set<std::string> names;
        fuse_read_in in{};
        in.fh = client_->ask(FUSE_OPENDIR, folder, fuse_open_in{}).as<fuse_open_out>().fh;
        in.size = 200;
        while (true) {
            const Answer answer = client_->ask(FUSE_READDIR, folder, in);
            if (answer.error != 0 || answer.body.empty()) return names;
            for (size_t at = 0; at < answer.body.size();) {
                const auto entry = answer.as<fuse_dirent>(at);
                const auto* name = reinterpret_cast<const char*>(answer.body.data() + at + FUSE_NAME_OFFSET);
                const std::string whole(name, entry.namelen);
                EXPECT_TRUE(whole == "." || whole == ".." || names.insert(whole).second) << whole;
                at += FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + entry.namelen);
                in.offset = entry.off;
            }
        }
    }

    TemporaryFolder folder_;
    std::unique_ptr<Server> server_;
    std::unique_ptr<TestClient> client_;
    std::map<std::string, std::string> before_;
};

using Names = std::set<std::string>;

TEST_P(Layers, ShowWhatLiesBelow) {
    EXPECT_EQ(content(kRoot, "file"), "content");
    EXPECT_EQ(list(kRoot), (Names{"file", "folder", "hard", "link"}));
    EXPECT_EQ(list(client_->node(kRoot, "folder")), (Names{"below", "one", "two"}));
    EXPECT_TRUE(fs::is_empty(folder_ / "upper"));
    EXPECT_NE(client_->init().as<fuse_init_out>().flags & FUSE_WRITEBACK_CACHE, 0u) << "nobody else writes";
}

TEST_P(Layers, CopyWhatIsChanged) {
    const uint64_t folder = client_->node(kRoot, "folder");
    const uint64_t one = client_->node(folder, "one");
    const uint64_t early = client_->open(one, O_RDONLY).as<fuse_open_out>().fh;
    EXPECT_EQ(write(folder, "one", "changed"), 0);
    EXPECT_EQ(client_->node(folder, "one"), one) << "it is the same file";
    EXPECT_EQ(content(folder, "one"), "changed");
    EXPECT_EQ(client_->read(one, early), "changed") << "for who had it open too";
    EXPECT_EQ(list(folder), (Names{"below", "one", "two"}));
    fuse_setattr_in mode{};
    mode.valid = FATTR_MODE;
    mode.mode = 0600;
    EXPECT_EQ(client_->set(client_->node(folder, "below"), mode).as<fuse_attr_out>().attr.mode, S_IFDIR | 0600u);
    EXPECT_EQ(client_->set(client_->node(kRoot, "file"), mode).as<fuse_attr_out>().attr.size, 7u);
    EXPECT_EQ(client_->ask(FUSE_LINK, folder, fuse_link_in{client_->node(kRoot, "link")}, text("new")).error, 0);
    EXPECT_EQ(client_->ask(FUSE_READLINK, client_->node(folder, "new")).body.size(), 4u);
}

TEST_P(Layers, KeepHardLinksOneFileWhileTheyAreKnown) {
    const uint64_t file = client_->node(kRoot, "file");
    EXPECT_EQ(client_->node(kRoot, "hard"), file);
    EXPECT_EQ(write(kRoot, "file", "CON"), 0);
    EXPECT_EQ(content(kRoot, "hard"), "CONtent");
}

TEST_P(Layers, HideWhatIsRemoved) {
    const uint64_t folder = client_->node(kRoot, "folder");
    const uint64_t one = client_->node(folder, "one");
    const uint64_t handle = client_->open(one, O_RDONLY).as<fuse_open_out>().fh;
    EXPECT_EQ(remove_folder(kRoot, "folder"), ENOTEMPTY);
    EXPECT_EQ(remove(folder, "one"), 0);
    EXPECT_EQ(remove(folder, "one"), ENOENT);
    EXPECT_EQ(client_->read(one, handle), "1") << "it is open";
    EXPECT_EQ(client_->open(one, O_RDWR).error, 0) << "and can be changed";
    EXPECT_EQ(list(folder), (Names{"below", "two"}));
    EXPECT_EQ(remove(folder, "two"), 0);
    EXPECT_EQ(remove(folder, "below"), EISDIR);
    EXPECT_EQ(remove_folder(folder, "below"), 0);
    EXPECT_EQ(list(folder), Names{});
    EXPECT_EQ(remove_folder(kRoot, "folder"), 0);
    EXPECT_EQ(list(kRoot), (Names{"file", "hard", "link"}));
    start();
    EXPECT_EQ(list(kRoot), (Names{"file", "hard", "link"})) << "in the next session too";
}

TEST_P(Layers, TakeNamesAgainThatWereHidden) {
    const uint64_t folder = client_->node(kRoot, "folder");
    for (const char* name : {"one", "two"}) EXPECT_EQ(remove(folder, name), 0);
    EXPECT_EQ(remove_folder(folder, "below"), 0);
    EXPECT_EQ(remove_folder(kRoot, "folder"), 0);
    const uint64_t again = client_->make_folder(kRoot, "folder").as<fuse_entry_out>().nodeid;
    EXPECT_EQ(list(again), Names{}) << "what was in it stays gone";
    EXPECT_EQ(client_->create(again, "one", 0644, O_RDWR | O_EXCL).error, 0);
    EXPECT_EQ(content(again, "one"), "");
    EXPECT_EQ(remove(kRoot, "file"), 0);
    EXPECT_EQ(client_->ask(FUSE_SYMLINK, kRoot, text("file") + text("there")).error, 0);
    EXPECT_EQ(client_->ask(FUSE_SYMLINK, kRoot, text("link") + text("there")).error, EEXIST);
    EXPECT_EQ(client_->make_folder(kRoot, "hard").error, EEXIST);
    start();
    EXPECT_EQ(list(kRoot), (Names{"file", "folder", "hard", "link"}));
    EXPECT_EQ(list(client_->node(kRoot, "folder")), Names{"one"});
}

TEST_P(Layers, RenameFilesAndOwnFolders) {
    const uint64_t folder = client_->node(kRoot, "folder"), file = client_->node(kRoot, "file");
    EXPECT_EQ(client_->rename(kRoot, "folder", kRoot, "other").error, EXDEV) << "mv copies it then";
    EXPECT_EQ(client_->rename(kRoot, "file", folder, "two").error, 0);
    EXPECT_EQ(client_->node(folder, "two"), file);
    EXPECT_EQ(content(folder, "two"), "content");
    EXPECT_EQ(client_->look_up(kRoot, "file").error, ENOENT);
    EXPECT_EQ(client_->rename(folder, "two", kRoot, "link", RENAME_NOREPLACE).error, EEXIST);
    EXPECT_EQ(client_->rename(folder, "two", kRoot, "link", RENAME_EXCHANGE).error, 0);
    EXPECT_EQ(content(kRoot, "link"), "content");
    client_->make_folder(kRoot, "own");
    EXPECT_EQ(client_->rename(kRoot, "own", folder, "below").error, 0) << "over an empty folder";
    EXPECT_EQ(client_->rename(folder, "below", kRoot, "file").error, 0) << "to a name that was hidden";
    EXPECT_EQ(list(kRoot), (Names{"file", "folder", "hard", "link"}));
    EXPECT_EQ(list(folder), (Names{"one", "two"}));
}

TEST_P(Layers, CopyLargeFilesWithTheirHoles) {
    std::ofstream(lower("large")).close();
    fs::resize_file(lower("large"), 3 << 20);
    std::fstream(lower("large")).seekp(2 << 20) << "in the middle";
    before_ = tree();
    EXPECT_EQ(write(kRoot, "large", "begin"), 0);
    const fuse_attr attr = client_->attr(client_->node(kRoot, "large"));
    EXPECT_EQ(attr.size, 3u << 20);
    EXPECT_LT(attr.blocks, 1000u);
    EXPECT_EQ(client_->ask(FUSE_LSEEK, 0, fuse_lseek_in{}).error, ENOSYS) << "the client knows later content";
    const uint64_t node = client_->node(kRoot, "large");
    EXPECT_EQ(client_->read(node, client_->open(node).as<fuse_open_out>().fh, 2 << 20, 13), "in the middle");
}

TEST_P(Layers, LetNoClientHideNamesItself) {
    const auto in = fuse_mknod_in{S_IFCHR | 0600, 0, 0, 0};
    EXPECT_EQ(client_->ask(FUSE_MKNOD, kRoot, in, text("device")).error, EPERM);
    EXPECT_EQ(client_->set_xattr(client_->node(kRoot, "folder"), "user.doppel.opaque", "y").error, EPERM);
}

INSTANTIATE_TEST_SUITE_P(Owners, Layers, testing::Values(Owners::Kind::kReal, Owners::Kind::kMapped));

}  // namespace
}  // namespace doppel::fuse
