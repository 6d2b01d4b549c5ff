#include "cli/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/temporary_folder.h"

namespace doppel::cli {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class PlanTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = fs::temp_directory_path() / "doppel-plan-XXXXXX";
        folder_ = mkdtemp(pattern.data());
    }
    void TearDown() override { fs::remove_all(folder_); }

    Result<Plan> plan(const std::vector<std::string>& words) {
        const auto arguments = Arguments::parse(*find_verb(verbs(), "run"), words);
        if (!arguments) return fail(arguments.error());
        return make_plan(*arguments, image::Catalog(folder_ / "images"));
    }
    std::string usage(const std::vector<std::string>& words) { return error(words, ErrorKind::kUsage); }
    std::string failure(const std::vector<std::string>& words) { return error(words, ErrorKind::kFailed); }
    std::string file(const std::string& name, std::string_view content) {
        std::ofstream(folder_ / name) << content;
        return folder_ / name;
    }

    fs::path folder_;

  private:
    std::string error(const std::vector<std::string>& words, ErrorKind kind) {
        const auto made = plan(words);
        if (made) return "accepted";
        EXPECT_EQ(made.error().kind, kind) << made.error().message();
        return made.error().message();
    }
};

TEST_F(PlanTest, TakesAKernelForAMachine) {
    const auto made = plan({"--kernel", "Image", "--initrd", "i", "--append", "quiet", "--cpus", "4", "--memory", "2G",
                            "--console", "file:log", "--no-reboot"});
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ(made->level.value, "machine");
    EXPECT_EQ(made->arch.value, "riscv64");
    EXPECT_EQ(made->engine.value, DOPPEL_TRANSLATE ? "translate" : "interpret");
    const auto& s = made->specification;
    EXPECT_EQ(s.kernel, "Image");
    EXPECT_EQ(s.initrd, "i");
    EXPECT_EQ(s.append, "quiet");
    EXPECT_EQ(s.cpus, 4u);
    EXPECT_EQ(s.memory, uint64_t{2} << 30);
    EXPECT_EQ(s.console, (machine::ConsoleChoice{machine::ConsoleKind::kFile, "log"}));
    EXPECT_TRUE(s.no_reboot);
}

TEST_F(PlanTest, TakesFlashOnceOrTwice) {
    const auto once = plan({"--flash", "code.fd,ro"});
    ASSERT_TRUE(once) << once.error().message();
    EXPECT_EQ(once->level.why, "--flash is a machine's");
    EXPECT_EQ(once->specification.code_flash, (machine::FlashChoice{"code.fd", true}));
    const auto twice = plan({"--firmware", "fw", "--flash", "code.fd", "--flash=vars.fd", "tiny"});
    ASSERT_TRUE(twice) << twice.error().message();
    EXPECT_EQ(twice->specification.variable_flash, (machine::FlashChoice{"vars.fd", false}));
    EXPECT_THAT(usage({"--flash", "a", "--flash", "b", "--flash", "c"}),
                HasSubstr("--flash: is given more than twice"));
    EXPECT_THAT(usage({"--flash", ",ro"}), HasSubstr("--flash: its value is empty"));
}

TEST_F(PlanTest, RunsFirmwareAloneOrBeforeAKernel) {
    EXPECT_EQ(plan({"--firmware", "fw.elf"})->specification.firmware, "fw.elf");
    EXPECT_EQ(plan({"--firmware", "fw.elf", "--kernel", "k"})->specification.kernel, "k");
    EXPECT_EQ(plan({"--firmware", "fw.elf", "tiny"})->image, "tiny");
}

TEST_F(PlanTest, PutsTheOptionsOverTheImage) {
    auto made = plan({"--append", "debug", "tiny"});
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ(made->image, "tiny");
    image::Image image;
    image.name = "tiny";
    image.arch = "riscv64";
    image.kind = "machine";
    image.append = "console=ttyS0";
    image.directory = "/images/tiny-riscv64";
    ASSERT_TRUE(add_image(*made, image, throwaway_disk(image)));
    EXPECT_EQ(made->specification.kernel, "/images/tiny-riscv64/kernel");
    EXPECT_EQ(made->specification.initrd, "/images/tiny-riscv64/initrd");
    EXPECT_EQ(made->specification.append, "console=ttyS0 debug");

    auto own = plan({"--kernel", "mine", "tiny"});
    ASSERT_TRUE(own) << own.error().message();
    ASSERT_TRUE(add_image(*own, image, throwaway_disk(image)));
    EXPECT_EQ(own->specification.kernel, "mine");
    EXPECT_EQ(own->specification.initrd, "/images/tiny-riscv64/initrd");
}

TEST_F(PlanTest, ASystemOnADiskHasANetworkAndItsSharesLieWhereTheyDoOnTheHost) {
    const auto made = plan({"--share", "/srv/files/", "--share", "/srv:/mnt", "debian:trixie"});
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ(made->image, "debian");
    EXPECT_EQ(made->specification.networks.size(), 1u);
    EXPECT_EQ(made->specification.memory, uint64_t{1} << 30);
    EXPECT_EQ(made->specification.shares[0].guest, "/srv/files");
    EXPECT_EQ(made->specification.shares[1].guest, "/mnt");
    const auto alone = plan({"--net", "none", "--memory", "256M", "debian:sid"});
    ASSERT_TRUE(alone) << alone.error().message();
    EXPECT_EQ(alone->image, "debian:sid");
    EXPECT_TRUE(alone->specification.networks.empty());
    EXPECT_EQ(alone->specification.memory, uint64_t{256} << 20);
    EXPECT_TRUE(plan({"tiny"})->specification.networks.empty());
}

TEST_F(PlanTest, WhatAGuestWritesToAnImagesDiskIsThrownAwayUnlessItIsKept) {
    auto made = plan({"--disk", "more.raw", "debian"});
    ASSERT_TRUE(made) << made.error().message();
    image::Image image;
    image.name = "debian";
    image.arch = "riscv64";
    image.kind = "machine";
    image.files = {{"kernel", {}}, {"initrd", {}}, {"disk", {}}};
    image.directory = "/images/debian-riscv64";
    ASSERT_TRUE(add_image(*made, image, throwaway_disk(image)));
    ASSERT_EQ(made->specification.disks.size(), 2u);
    EXPECT_EQ(made->specification.disks[0].path, "/images/debian-riscv64/disk");
    EXPECT_TRUE(made->specification.disks[0].snapshot);
    EXPECT_EQ(made->specification.disks[1].path, "more.raw");
}

TEST_F(PlanTest, ADirectoryIsAMachinesRootThatStaysAsItIs) {
    const TemporaryFolder tree;
    std::filesystem::create_directories(tree / "boot");
    auto made = plan({tree.path().string()});
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ(made->image, "tiny") << "its kernel";
    EXPECT_EQ(made->specification.shares[0].guest, "/");
    EXPECT_TRUE(made->specification.shares[0].snapshot);
    image::Image image;
    image.directory = "/images/tiny-riscv64";
    ASSERT_TRUE(add_image(*made, image, throwaway_disk(image)));
    EXPECT_EQ(made->specification.kernel, "/images/tiny-riscv64/kernel");
    EXPECT_EQ(made->specification.initrd, "");

    for (const char* version : {"6.9.1", "6.12.3"}) std::ofstream(tree / ("boot/vmlinuz-" + std::string(version)));
    const auto own = plan({"--rw", tree.path().string()});
    ASSERT_TRUE(own) << own.error().message();
    EXPECT_EQ(own->image, "");
    EXPECT_EQ(own->specification.kernel, (tree / "boot/vmlinuz-6.12.3").string());
    EXPECT_FALSE(own->specification.shares[0].snapshot);
    EXPECT_THAT(usage({"--rw", "tiny"}), HasSubstr("--rw"));
    EXPECT_THAT(usage({"--initrd", "x", tree.path().string()}), HasSubstr("--initrd"));
}

TEST_F(PlanTest, NeedsSomethingToRun) {
    EXPECT_THAT(usage({}), HasSubstr("nothing to run"));
    EXPECT_THAT(usage({"--initrd", "x"}), HasSubstr("nothing to run"));
    EXPECT_THAT(usage({""}), HasSubstr("WHAT is empty"));
    EXPECT_THAT(usage({"--kernel", ""}), HasSubstr("--kernel: its value is empty"));
}

TEST_F(PlanTest, ChecksRangesBeforeAnImageIsMade) {
    EXPECT_THAT(usage({"--cpus", "0", "tiny"}), HasSubstr("--cpus"));
    EXPECT_THAT(usage({"--cpus", "4294967297", "tiny"}), HasSubstr("--cpus"));
    EXPECT_THAT(usage({"--memory", "1K", "tiny"}), HasSubstr("--memory"));
    EXPECT_THAT(usage({"--memory", "2T", "tiny"}), HasSubstr("--memory"));
    EXPECT_THAT(usage({"--engine", "translate", "--code-cache", "512K", "tiny"}), HasSubstr("not between 1M and 1G"));
    EXPECT_THAT(usage({"--engine", "translate", "--code-cache", "2G", "tiny"}), HasSubstr("--code-cache"));
    EXPECT_THAT(usage({"--engine", "translate", "--code-cache", "some", "tiny"}), HasSubstr("--code-cache"));
    EXPECT_THAT(usage({"--engine", "interpret", "--code-cache", "8M", "tiny"}), HasSubstr("does not apply"));
    EXPECT_THAT(usage({"--engine", "interpret", "--translate-without", "links", "tiny"}), HasSubstr("does not apply"));
    EXPECT_THAT(usage({"--engine", "translate", "--translate-without", "links,speed", "tiny"}),
                HasSubstr("links,speed is no list of techniques; give all, or some of windows, "));
    EXPECT_THAT(usage({"--engine", "translate", "--translate-without", "", "tiny"}), HasSubstr("its value is empty"));
    EXPECT_THAT(usage({"--engine", "interpret", "--translation-cache", "off", "tiny"}), HasSubstr("does not apply"));
    EXPECT_THAT(usage({"--engine", "interpret", "--translation-cache-size", "8M", "tiny"}),
                HasSubstr("does not apply"));
    EXPECT_THAT(usage({"--engine", "interpret", "--trace", "irq,translate", "tiny"}), HasSubstr("does not apply"));
    EXPECT_THAT(usage({"--stats=", "tiny"}), HasSubstr("--stats: its value is empty"));
    EXPECT_THAT(usage({"--console", "tty", "tiny"}), HasSubstr("--console"));
    EXPECT_THAT(usage({"--agent", "stdio", "tiny"}), HasSubstr("--agent"));
    EXPECT_THAT(usage({"--json", "tiny"}), HasSubstr("--explain"));
    EXPECT_THAT(usage({"--console", "none", "-i", "tiny"}), HasSubstr("-i: does not apply"));
}

TEST_F(PlanTest, TakesWhatCarriesDevicesAndSocketsOfTheGuest) {
    EXPECT_THAT(usage({"--virtio", "usb", "tiny"}), HasSubstr("no transport"));
    EXPECT_THAT(usage({"--vsock", "", "tiny"}), HasSubstr("no vsock"));
    EXPECT_THAT(usage({"--vsock", "file,cid=x", "tiny"}), HasSubstr("no vsock"));
    EXPECT_THAT(usage({"--vsock", "file,cid=2", "tiny"}), HasSubstr("no guest's"));
    EXPECT_THAT(usage({"--as", "container", "--vsock", "file", "x"}), HasSubstr("only a machine has it"));
}

TEST_F(PlanTest, TakesDisksForAMachine) {
    const auto made = plan({"--kernel", "Image", "--disk", "a.img,ro", "--disk=b.qcow2,snapshot,serial=b"});
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ(made->specification.disks,
              (std::vector<machine::DiskChoice>{{.path = "a.img", .read_only = true},
                                                {.path = "b.qcow2", .snapshot = true, .serial = "b"}}));
    EXPECT_THAT(usage({"--kernel", "Image", "--disk", "a,rw"}), HasSubstr("rw is no option of a disk"));
    EXPECT_THAT(usage({"--as", "program", "--disk", "a"}), HasSubstr("only a machine has it"));
    std::vector<std::string> many{"--kernel", "Image"};
    for (size_t i = 0; i <= machine::kMaxDisks; i++) many.insert(many.end(), {"--disk", "d"});
    EXPECT_THAT(usage(many), HasSubstr("--disk: is given more than 16 times"));
}

TEST_F(PlanTest, StartsADiskWithAKernelOrFirmware) {
    const std::string disk = file("d", "QFI\xfb");
    for (const char* starter : {"--kernel", "--firmware", "--flash"}) {
        const auto made = plan({starter, "x", "--disk", "second", disk});
        ASSERT_TRUE(made) << made.error().message();
        EXPECT_EQ(made->level.value, "machine");
        ASSERT_EQ(made->specification.disks.size(), 2u);
        EXPECT_EQ(made->specification.disks[0], machine::DiskChoice{.path = disk});
        EXPECT_TRUE(made->image.empty());
    }
    EXPECT_THAT(failure({"--kernel", "x", disk, "ls"}), HasSubstr("command inside a machine"));
    EXPECT_THAT(failure({"--kernel", "x", file("v", "KDMV")}), HasSubstr("a VMDK disk, which doppel cannot read"));
}

TEST_F(PlanTest, StartsADiskThroughFirmwareWhenNoOptionSaysWhatStarts) {
    const fs::path firmware = folder_ / "firmware/usr/share/qemu-efi-riscv64";
    fs::create_directories(firmware);
    const std::string code = firmware / "RISCV_VIRT_CODE.fd";
    std::ofstream(code) << "code";
    const std::string disk = file("d", "QFI\xfb");
    auto made = plan({"--disk", "second,ro", disk});
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ(made->specification.code_flash, (machine::FlashChoice{.path = code, .read_only = true}));
    EXPECT_EQ(made->specification.disks,
              (std::vector<machine::DiskChoice>{{.path = disk}, {.path = "second", .read_only = true}}));
    EXPECT_EQ(made->specification.networks.size(), 1u);
    EXPECT_EQ(made->specification.memory, uint64_t{1} << 30);
    EXPECT_THAT(made->level.why, HasSubstr("a qcow2 disk, started by " + code));

    made = plan({"--disk", "raw,snapshot", "--net", "none", "--memory", "512M"});
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ(made->specification.code_flash, (machine::FlashChoice{.path = code, .read_only = true}));
    EXPECT_EQ(made->specification.disks, (std::vector<machine::DiskChoice>{{.path = "raw", .snapshot = true}}));
    EXPECT_TRUE(made->specification.networks.empty());
    EXPECT_EQ(made->specification.memory, uint64_t{512} << 20);

    EXPECT_THAT(usage({"--append", "quiet", disk}), HasSubstr("does not apply to a disk that starts by itself"));
    EXPECT_THAT(usage({"--initrd", "i", "--disk", "raw"}), HasSubstr("does not apply to a disk that starts by itself"));
    EXPECT_THAT(failure({disk, "ls"}), HasSubstr("command inside a machine"));
}

TEST_F(PlanTest, KnowsWhatIsNotBuiltFromWhatIsWrong) {
    EXPECT_THAT(failure({"--arch", "x86_64", "tiny"}), HasSubstr("not built yet"));
    EXPECT_THAT(usage({"--arch", "z80", "tiny"}), HasSubstr("no architecture"));
    EXPECT_THAT(failure({"--engine", "kvm", "tiny"}), HasSubstr("not built yet"));
    EXPECT_THAT(usage({"--engine", "steam", "tiny"}), HasSubstr("no engine"));
    EXPECT_THAT(failure({"--as", "container", "tiny"}), HasSubstr("not built yet"));
    EXPECT_THAT(usage({"--as", "program", "--kernel", "k"}), HasSubstr("only a machine has it"));
    EXPECT_THAT(usage({"--as", "cloud", "tiny"}), HasSubstr("no level"));
    EXPECT_THAT(failure({"tiny", "ls"}), HasSubstr("command inside a machine"));
}

TEST_F(PlanTest, TakesANameForAnImageAndNeverForAFile) {
    EXPECT_THAT(failure({"no-such-image"}), HasSubstr("doppel image ls"));
    const fs::path before = fs::current_path();
    fs::current_path(folder_);
    file("guest", "#!/bin/sh\n");
    EXPECT_THAT(failure({"guest"}), HasSubstr("say ./guest"));
    EXPECT_THAT(failure({"./guest"}), HasSubstr("a script, and running one as a program is not built yet"));
    fs::current_path(before);
}

TEST_F(PlanTest, NamesTheLevelOfAPath) {
    EXPECT_THAT(failure({"--as", "container", folder_}), HasSubstr("a root tree, and running one as a container"));
    EXPECT_THAT(failure({"--as", "program", file("d", "QFI\xfb")}),
                HasSubstr("a qcow2 disk, and running one as a program"));
    EXPECT_THAT(failure({file("z", "\x1f\x8b")}), HasSubstr("as a container"));
    EXPECT_THAT(failure({file("w", "words")}), HasSubstr("--disk"));
    EXPECT_THAT(failure({file("k", std::string(0x38, 'x') + "RSC\x05")}), HasSubstr("use --kernel"));
    EXPECT_THAT(failure({folder_ / "missing"}), HasSubstr("No such file"));
}

}  // namespace
}  // namespace doppel::cli
