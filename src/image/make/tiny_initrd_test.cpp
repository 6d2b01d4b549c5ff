#include "image/make/tiny_initrd.h"

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <map>

#include "image/make/busybox.h"
#include "image/make/cpio.h"
#include "image/make/process.h"
#include "image/test_folder.h"

namespace doppel::image {

namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::string block(const std::vector<std::string>& names) {
    std::string text;
    for (const auto& name : names) text += name + '\0';
    return text + '\0';
}

const std::vector<std::string> debian_applets{"[",        "[[",     "ash",   "busybox", "cat",   "cttyhack", "halt",
                                              "hostname", "init",   "login", "mkdir",   "mknod", "mount",    "poweroff",
                                              "reboot",   "setsid", "sh",    "tr",      "wc"};

std::span<const uint8_t> bytes(const std::string& text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

TEST(Busybox, NamesItsAppletsInTheMidstOfOtherBytes) {
    using namespace std::string_literals;
    // Debian's build has no NUL in front of the block.
    EXPECT_EQ(busybox_applets(bytes("ELF[\0[[\0 no]"s + block(debian_applets) + "/var/log/wtmp")), debian_applets);
}

TEST(Busybox, KnowsNoAppletsOfOtherPrograms) {
    EXPECT_THAT(busybox_applets({}), IsEmpty());
    EXPECT_THAT(busybox_applets(bytes(block({"[", "[[", "sh"}))), IsEmpty()) << "too few to be a table";
    std::string unsorted = block(debian_applets);
    unsorted.replace(unsorted.find("tr"), 2, "aa");
    EXPECT_THAT(busybox_applets(bytes(unsorted)), IsEmpty());
    std::string cut = block(debian_applets);
    EXPECT_THAT(busybox_applets(bytes(cut.substr(0, cut.size() - 1))), IsEmpty()) << "no end";
    std::string path = block(debian_applets);
    path.replace(path.find("tr"), 2, "t/");
    EXPECT_THAT(busybox_applets(bytes(path)), IsEmpty());
}

struct Unpacked {
    unsigned type;
    unsigned mode;
    std::string content;  // or the link's target
    dev_t device;
    int64_t owner;
};

std::map<std::string, Unpacked> unpack(const std::filesystem::path& path) {
    std::map<std::string, Unpacked> files;
    archive* cpio = archive_read_new();
    archive_read_support_format_cpio(cpio);
    EXPECT_EQ(archive_read_open_filename(cpio, path.c_str(), 1 << 16), ARCHIVE_OK);
    archive_entry* entry = nullptr;
    while (archive_read_next_header(cpio, &entry) == ARCHIVE_OK) {
        Unpacked file{archive_entry_filetype(entry),
                      archive_entry_perm(entry),
                      {},
                      archive_entry_rdev(entry),
                      archive_entry_uid(entry)};
        file.content.resize(static_cast<size_t>(archive_entry_size(entry)));
        archive_read_data(cpio, file.content.data(), file.content.size());
        if (file.type == AE_IFLNK) file.content = archive_entry_symlink(entry);
        files[archive_entry_pathname(entry)] = file;
    }
    archive_read_free(cpio);
    return files;
}

TEST(TinyInitrd, CarriesWhatTheKernelAndAShellNeed) {
    TestFolder directory;
    auto path = directory.path() / "initrd";
    std::string busybox =
        "\x7f"
        "ELF" +
        block(debian_applets);
    ASSERT_TRUE(write_tiny_initrd(path, {bytes(busybox), "hello"}));
    auto files = unpack(path);
    EXPECT_EQ(files.at("bin/busybox").content, busybox);
    EXPECT_EQ(files.at("bin/busybox").mode, 0755u);
    EXPECT_EQ(files.at("bin/sh").type, static_cast<unsigned>(AE_IFLNK));
    EXPECT_EQ(files.at("bin/sh").content, "busybox");
    EXPECT_EQ(files.at("bin/[").content, "busybox");
    EXPECT_FALSE(files.contains("bin/init")) << "process 1 is /init";
    EXPECT_EQ(files.at("usr/bin").content, "/bin");
    EXPECT_EQ(files.at("dev/console").type, static_cast<unsigned>(AE_IFCHR));
    EXPECT_EQ(files.at("dev/console").device, makedev(5, 1));
    EXPECT_EQ(files.at("init").mode, 0755u);
    EXPECT_EQ(files.at("tmp").mode, 01777u);
    EXPECT_EQ(files.at("etc/motd").content, "hello\n");
    for (const auto& [name, file] : files) EXPECT_EQ(file.owner, 0) << name;
}

TEST(TinyInitrd, IsTheSameBytesEachTime) {
    TestFolder directory;
    std::string busybox = block(debian_applets);
    ASSERT_TRUE(write_tiny_initrd(directory.path() / "one", {bytes(busybox), "hello"}));
    ASSERT_TRUE(write_tiny_initrd(directory.path() / "two", {bytes(busybox), "hello"}));
    EXPECT_EQ(TestFolder::read(directory.path() / "one"), TestFolder::read(directory.path() / "two"));
}

TEST(TinyInitrd, HasAnInitThatAShellCanRead) {
    TestFolder directory;
    ASSERT_TRUE(write_tiny_initrd(directory.path() / "initrd", {bytes(block(debian_applets)), "hello"}));
    auto script = directory.write("init", unpack(directory.path() / "initrd").at("init").content);
    auto checked = run({{"sh", "-n", script}});
    ASSERT_TRUE(checked);
    EXPECT_EQ(checked->exit_code, 0) << checked->diagnostics;
}

TEST(TinyInitrd, CarriesModulesWhereModprobeLooks) {
    TestFolder directory;
    auto path = directory.path() / "initrd";
    std::vector<uint8_t> one{'o', 'n', 'e'}, two{'t', 'w', 'o'};
    ASSERT_TRUE(
        write_tiny_initrd(path, {bytes(block(debian_applets)),
                                 "hello",
                                 "6.99-riscv64",
                                 {{"kernel/drivers/one.ko.xz", one},
                                  {"kernel/drivers/char/two.ko", two, {"kernel/drivers/one.ko", "kernel/x.ko"}}}}));
    auto files = unpack(path);
    EXPECT_EQ(files.at("lib/modules/6.99-riscv64/kernel/drivers/one.ko.xz").content, "one");
    EXPECT_EQ(files.at("lib/modules/6.99-riscv64/kernel/drivers/char/two.ko").content, "two");
    EXPECT_EQ(files.at("lib/modules/6.99-riscv64/modules.dep").content,
              "kernel/drivers/one.ko.xz:\nkernel/drivers/char/two.ko: kernel/drivers/one.ko.xz\n");
    EXPECT_EQ(files.at("lib/modules/6.99-riscv64/kernel/drivers/char").type, static_cast<unsigned>(AE_IFDIR));
}

TEST(TinyInitrd, StartsTheAgentIfThereIsOne) {
    TestFolder directory;
    std::vector<uint8_t> agent{'a', 'g', 'e', 'n', 't'};
    std::string busybox = block(debian_applets);
    ASSERT_TRUE(write_tiny_initrd(directory.path() / "with", {bytes(busybox), "hello", "", {}, agent}));
    ASSERT_TRUE(write_tiny_initrd(directory.path() / "without", {bytes(busybox), "hello"}));
    auto with = unpack(directory.path() / "with"), without = unpack(directory.path() / "without");
    EXPECT_EQ(with.at("bin/doppel-agent").content, "agent");
    EXPECT_EQ(with.at("bin/doppel-agent").mode, 0755u);
    EXPECT_THAT(with.at("init").content, HasSubstr("\ndoppel-agent --supervise"));
    EXPECT_FALSE(without.contains("bin/doppel-agent"));
    EXPECT_THAT(without.at("init").content, testing::Not(HasSubstr("agent")));
    auto checked = run({{"sh", "-n", directory.write("script", with.at("init").content)}});
    ASSERT_TRUE(checked);
    EXPECT_EQ(checked->exit_code, 0) << checked->diagnostics;
}

TEST(TinyInitrd, RefusesABusyboxThatLacksACommand) {
    TestFolder directory;
    auto applets = debian_applets;
    std::erase(applets, "login");
    auto written = write_tiny_initrd(directory.path() / "initrd", {bytes(block(applets)), "hello"});
    ASSERT_FALSE(written);
    EXPECT_THAT(written.error().message(), HasSubstr("\"login\""));
}

TEST(Cpio, SaysWhyItCannotBeWritten) {
    TestFolder directory;
    auto missing = CpioWriter::create(directory.path() / "missing" / "initrd");
    ASSERT_FALSE(missing);
    EXPECT_THAT(missing.error().message(), HasSubstr("missing/initrd: No such file"));
    auto full = CpioWriter::create("/dev/full");
    ASSERT_TRUE(full);
    std::string content(1 << 20, 'x');
    auto written = full->file("file", content);
    if (written) written = full->finish();
    ASSERT_FALSE(written);
    EXPECT_THAT(written.error().message(), HasSubstr("No space left"));
}

}  // namespace

}  // namespace doppel::image
