#include "machine/boot/loader.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine/boot/test_files.h"

namespace doppel::machine::boot {
namespace {

using testing::HasSubstr;
using namespace test;

constexpr uint64_t kMebibyte = 1 << 20;
constexpr uint64_t kBase = 0x8000'0000;

KernelImage kernel_of(Bytes file) {
    auto kernel = unpack_kernel(std::move(file), "k");
    EXPECT_TRUE(kernel) << kernel.error().message();
    return std::move(*kernel);
}

FirmwareImage firmware_of(Bytes file) {
    auto firmware = read_firmware_image(std::move(file), "f");
    EXPECT_TRUE(firmware) << firmware.error().message();
    return std::move(*firmware);
}

std::string error_of(const BootParts& parts, Ram ram) {
    const auto layout = plan_boot(parts, ram);
    return layout ? "no error" : layout.error().message();
}

Bytes read_back(const memory::GuestMemory& memory, uint64_t address, size_t size) {
    Bytes bytes(size);
    EXPECT_TRUE(memory.read(address, bytes));
    return bytes;
}

TEST(BootPlan, PutsAnImageAtItsOffsetAndTheRestHigh) {
    const KernelImage kernel = kernel_of(make_image());
    const Bytes initrd(5000, 7);
    const auto layout = plan_boot({.kernel = &kernel, .initrd = initrd}, {kBase, 64 * kMebibyte});
    ASSERT_TRUE(layout) << layout.error().message();
    EXPECT_EQ(layout->entry, kBase + 2 * kMebibyte);
    EXPECT_EQ(layout->kernel_start, kBase + 2 * kMebibyte);
    EXPECT_EQ(layout->kernel_end, kBase + 3 * kMebibyte);
    EXPECT_EQ(layout->initrd_start, kBase + 64 * kMebibyte - 8192);
    EXPECT_EQ(layout->initrd_end, layout->initrd_start + 5000);
    EXPECT_EQ(layout->device_tree, layout->initrd_start - kDeviceTreeRoom);
}

TEST(BootPlan, RoundsTheStartOfRamUpToTwoMebibytes) {
    const KernelImage kernel = kernel_of(make_image(8192, {.text_offset = 0}));
    const auto layout = plan_boot({.kernel = &kernel}, {kBase + 4096, 64 * kMebibyte});
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->entry, kBase + 2 * kMebibyte);
    EXPECT_EQ(layout->initrd_start, layout->initrd_end);
}

TEST(BootPlan, KeepsInitrdAndDeviceTreeInTheFirstTwoGibibytesOfRam) {
    const KernelImage kernel = kernel_of(make_image());
    const Bytes initrd(4096);
    const auto layout = plan_boot({.kernel = &kernel, .initrd = initrd}, {kBase, uint64_t{64} << 30});
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->initrd_end, kBase + (uint64_t{2} << 30));
}

TEST(BootPlan, TellsHowMuchMemoryAKernelNeeds) {
    const KernelImage kernel = kernel_of(make_image(8192, {.image_size = 45 * kMebibyte}));
    EXPECT_EQ(error_of({.kernel = &kernel}, {kBase, 16 * kMebibyte}),
              "boot: kernel k: needs 45.0 MiB at 0x80200000, the machine has 16.0 MiB; use --memory 64M or more");
    EXPECT_EQ(error_of({.kernel = &kernel}, {kBase, 64 * kMebibyte}), "no error");
    EXPECT_THAT(error_of({.kernel = &kernel}, {kBase, kMebibyte}), HasSubstr("use --memory 64M or more"));
}

TEST(BootPlan, TellsHowMuchMemoryAnInitrdNeeds) {
    const KernelImage kernel = kernel_of(make_image());
    const Bytes initrd(14 * kMebibyte);
    EXPECT_EQ(error_of({.kernel = &kernel, .initrd = initrd, .initrd_path = "i"}, {kBase, 16 * kMebibyte}),
              "boot: initrd i: needs 14.0 MiB besides the rest, the machine has 16.0 MiB; use --memory 32M or more");
    EXPECT_EQ(error_of({.kernel = &kernel, .initrd = initrd}, {kBase, 32 * kMebibyte}), "no error");
}

TEST(BootPlan, LeavesRoomForTheDeviceTree) {
    const KernelImage kernel = kernel_of(make_image(8192, {.image_size = 14 * kMebibyte - 4096}));
    EXPECT_THAT(error_of({.kernel = &kernel}, {kBase, 16 * kMebibyte}),
                HasSubstr("boot: device tree: needs 128.0 KiB"));
}

TEST(BootPlan, PutsAFirmwareAtItsPhysicalAddressesAndStartsIt) {
    TestElf written;
    written.segments = {{0x1000, kBase, Bytes(64), 4096}};
    written.entry = 0x1010;
    const Bytes file = written.build();
    const FirmwareImage firmware = firmware_of(file);
    const KernelImage kernel = kernel_of(make_image());
    const auto layout = plan_boot({.firmware = &firmware, .kernel = &kernel}, {kBase, 64 * kMebibyte});
    ASSERT_TRUE(layout) << layout.error().message();
    EXPECT_EQ(layout->entry, kBase + 0x10);
    EXPECT_EQ(layout->next_stage, kBase + 2 * kMebibyte);
}

TEST(BootPlan, MovesFirmwareThatRunsAnywhereToTheStartOfRam) {
    TestElf written;
    written.type = ET_DYN;
    written.segments = {{0, 0, Bytes(64, 1), 64}, {0x4000, 0x4000, Bytes(64, 2), 8192}};
    written.entry = 8;
    const FirmwareImage firmware = firmware_of(written.build());
    const auto layout = plan_boot({.firmware = &firmware}, {kBase, 64 * kMebibyte});
    ASSERT_TRUE(layout) << layout.error().message();
    EXPECT_EQ(layout->entry, kBase + 8);
    EXPECT_EQ(layout->firmware_bias, kBase);
    memory::GuestMemory memory;
    ASSERT_TRUE(memory.add_region(kBase, 64 * kMebibyte));
    ASSERT_TRUE(load_boot(memory, *layout, {.firmware = &firmware}, Bytes(8)));
    EXPECT_EQ(memory.load<uint8_t>(kBase + 63), 1);
    EXPECT_EQ(memory.load<uint8_t>(kBase + 0x4000), 2);
}

TEST(BootPlan, PutsRawFirmwareAtTheStartOfRamAndRawCodeBehindIt) {
    const FirmwareImage firmware = firmware_of(Bytes(5000, 0x93));
    auto stage = unpack_kernel(Bytes(6000, 0x13), "u-boot.bin", /*raw_accepted=*/true);
    ASSERT_TRUE(stage) << stage.error().message();
    const Bytes initrd(5000, 7);
    const BootParts parts{.firmware = &firmware, .kernel = &*stage, .initrd = initrd};
    const auto layout = plan_boot(parts, {kBase, 64 * kMebibyte});
    ASSERT_TRUE(layout) << layout.error().message();
    EXPECT_EQ(layout->entry, kBase);
    EXPECT_EQ(layout->next_stage, kBase + 2 * kMebibyte);
    // U-Boot moves itself to the end of RAM, past what lies there.
    EXPECT_EQ(layout->initrd_start, kBase + 32 * kMebibyte);
    memory::GuestMemory memory;
    ASSERT_TRUE(memory.add_region(kBase, 64 * kMebibyte));
    ASSERT_TRUE(load_boot(memory, *layout, parts, Bytes(8)));
    EXPECT_EQ(read_back(memory, kBase, 5000), firmware.bytes);
    EXPECT_EQ(read_back(memory, kBase + 2 * kMebibyte, 6000), stage->bytes);
    EXPECT_EQ(read_back(memory, layout->initrd_start, 5000), initrd);
}

TEST(BootPlan, PutsAnInitrdBehindWhatLiesInTheMiddle) {
    const FirmwareImage firmware = firmware_of(Bytes(5000, 0x93));
    const KernelImage kernel = kernel_of(make_image(8192, {.image_size = 20 * kMebibyte}));
    const Bytes initrd(5000, 7);
    const BootParts parts{.firmware = &firmware, .kernel = &kernel, .initrd = initrd};
    EXPECT_EQ(plan_boot(parts, {kBase, 32 * kMebibyte})->initrd_start, kBase + 22 * kMebibyte);
    // Where nothing is left there, it lies as high as it can.
    EXPECT_EQ(plan_boot(parts, {kBase, 22 * kMebibyte + 8192 + kDeviceTreeRoom})->initrd_start, kBase + 22 * kMebibyte);
    EXPECT_THAT(error_of(parts, {kBase, 22 * kMebibyte + 4096}), HasSubstr("boot: initrd: needs"));
}

TEST(BootPlan, StartsWhatIsInFlashUnlessThereIsAKernel) {
    constexpr uint64_t kFlash = 0x2000'0000;
    const auto alone = plan_boot({.flash = kFlash}, {kBase, 16 * kMebibyte});
    ASSERT_TRUE(alone) << alone.error().message();
    EXPECT_EQ(alone->entry, kFlash);
    const FirmwareImage firmware = firmware_of(Bytes(5000, 0x93));
    const auto behind = plan_boot({.firmware = &firmware, .flash = kFlash}, {kBase, 16 * kMebibyte});
    ASSERT_TRUE(behind);
    EXPECT_EQ(behind->entry, kBase);
    EXPECT_EQ(behind->next_stage, kFlash);
    const KernelImage kernel = kernel_of(make_image());
    EXPECT_EQ(plan_boot({.kernel = &kernel, .flash = kFlash}, {kBase, 16 * kMebibyte})->entry, kBase + 2 * kMebibyte);
    EXPECT_THAT(error_of({}, {kBase, 16 * kMebibyte}), HasSubstr("nothing to boot"));
}

TEST(BootPlan, WorksAroundAFirmwareAtTheTopOfRam) {
    TestElf written;
    written.entry = kBase + 15 * kMebibyte;
    written.segments = {{written.entry, written.entry, Bytes(64), kMebibyte - 64}};
    const Bytes file = written.build();
    const FirmwareImage firmware = firmware_of(file);
    const auto layout = plan_boot({.firmware = &firmware}, {kBase, 16 * kMebibyte});
    ASSERT_TRUE(layout) << layout.error().message();
    EXPECT_EQ(layout->device_tree, kBase + 15 * kMebibyte - kDeviceTreeRoom);
    EXPECT_EQ(layout->next_stage, std::nullopt);
}

TEST(BootPlan, RefusesFirmwareThatLiesElsewhere) {
    TestElf written;
    written.segments = {{0x1000, 0x1000, Bytes(64), 64}};
    written.entry = 0x1000;
    const Bytes low = written.build();
    const FirmwareImage below = firmware_of(low);
    EXPECT_EQ(error_of({.firmware = &below}, {kBase, 16 * kMebibyte}),
              "boot: firmware f: belongs at 0x1000, below the machine's memory, which starts at 0x80000000; "
              "link it for an address in memory");
    written.segments = {{UINT64_MAX - 63, UINT64_MAX - 63, Bytes(64), 64}};
    written.entry = UINT64_MAX - 63;
    const Bytes high = written.build();
    const FirmwareImage above = firmware_of(high);
    EXPECT_THAT(error_of({.firmware = &above}, {kBase, 16 * kMebibyte}),
                HasSubstr("boot: firmware f: needs 64 B at 0xffff"));
}

TEST(BootPlan, RefusesFirmwareAndKernelInOnePlace) {
    TestElf written;
    written.segments = {{kBase, kBase, Bytes(64), 3 * kMebibyte}};
    const Bytes file = written.build();
    const FirmwareImage firmware = firmware_of(file);
    const KernelImage kernel = kernel_of(make_image());
    EXPECT_EQ(
        error_of({.firmware = &firmware, .kernel = &kernel}, {kBase, 64 * kMebibyte}),
        "boot: kernel k: belongs at 0x80200000, where the firmware f lies already; link them for different addresses");
}

TEST(BootPlan, RefusesToBootNothing) {
    const auto layout = plan_boot({}, {kBase, 16 * kMebibyte});
    ASSERT_FALSE(layout);
    EXPECT_EQ(layout.error().kind, ErrorKind::kUsage);
}

TEST(BootPlan, RefusesFirmwareWithoutAnEntryInMemory) {
    TestElf written;
    written.entry = 4;
    const Bytes file = written.build();
    const FirmwareImage firmware = firmware_of(file);
    EXPECT_EQ(error_of({.firmware = &firmware}, {kBase, 16 * kMebibyte}),
              "boot: firmware f: its entry 0x4 lies in none of its loaded segments; correct its linker script");
}

TEST(BootPlan, RefusesAUserProgramLinkedForLowAddresses) {
    TestElf written;
    written.entry = 0x10000;
    written.segments = {{0x10000, 0x10000, Bytes(64), 64}};
    const KernelImage kernel = kernel_of(written.build());
    EXPECT_THAT(error_of({.kernel = &kernel}, {kBase, 16 * kMebibyte}),
                HasSubstr("kernel k: belongs at 0x10000, below"));
}

TEST(BootPlan, RefusesASegmentThatTheBiasWouldWrapAround) {
    TestElf written;
    written.entry = 0xffffffff80000000;
    written.segments = {{written.entry, 0, Bytes(64), 64}, {0x1000, UINT64_MAX - 4096, Bytes(64), 64}};
    const KernelImage kernel = kernel_of(written.build());
    EXPECT_THAT(error_of({.kernel = &kernel}, {kBase, 64 * kMebibyte}),
                HasSubstr("beyond the end of the address space"));
}

class BootLoad : public testing::Test {
  protected:
    BootLoad() {
        EXPECT_TRUE(memory_.add_region(ram_.base, ram_.size));
        EXPECT_TRUE(memory_.fill(ram_.base, ram_.size, 0xaa));  // what an earlier boot left
    }
    Ram ram_{kBase, 16 * kMebibyte};
    memory::GuestMemory memory_;
};

TEST_F(BootLoad, CopiesEverythingAndZeroesTheBss) {
    const KernelImage kernel = kernel_of(make_image(8192));
    const Bytes initrd(5000, 7);
    const Bytes tree(3001, 9);
    const BootParts parts{.kernel = &kernel, .initrd = initrd};
    const auto layout = plan_boot(parts, ram_);
    ASSERT_TRUE(layout);
    const auto loaded = load_boot(memory_, *layout, parts, tree);
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(read_back(memory_, layout->kernel_start, 8192), kernel.bytes);
    EXPECT_EQ(read_back(memory_, layout->kernel_start + 8192, kMebibyte - 8192), Bytes(kMebibyte - 8192));
    EXPECT_EQ(read_back(memory_, layout->kernel_end, 1), Bytes{0xaa});
    EXPECT_EQ(read_back(memory_, layout->initrd_start, 5000), initrd);
    EXPECT_EQ(read_back(memory_, layout->device_tree, 3001), tree);
}

TEST_F(BootLoad, PutsVmlinuxWhereItsImageWouldBe) {
    TestElf written;
    written.entry = 0xffffffff80001000;
    written.segments = {{0xffffffff80000000, 0, Bytes(0x2000, 1), 0x2000},
                        {0xffffffff80400000, 0x400000, Bytes(5, 2), 100}};
    const KernelImage kernel = kernel_of(written.build());
    const BootParts parts{.kernel = &kernel};
    const auto layout = plan_boot(parts, ram_);
    ASSERT_TRUE(layout) << layout.error().message();
    EXPECT_EQ(layout->entry, kBase + 2 * kMebibyte + 0x1000);
    ASSERT_TRUE(load_boot(memory_, *layout, parts, Bytes(8)));
    EXPECT_EQ(read_back(memory_, kBase + 2 * kMebibyte, 0x2000), Bytes(0x2000, 1));
    Bytes second(100);
    std::fill_n(second.begin(), 5, uint8_t{2});
    EXPECT_EQ(read_back(memory_, kBase + 6 * kMebibyte, 100), second);
}

TEST_F(BootLoad, PutsVmlinuxThereWhateverItsPhysicalAddresses) {
    TestElf written;
    written.entry = 0xffffffff80000000;
    written.segments = {{written.entry, written.entry, Bytes(100, 1), 100}};
    const KernelImage kernel = kernel_of(written.build());
    const auto layout = plan_boot({.kernel = &kernel}, ram_);
    ASSERT_TRUE(layout) << layout.error().message();
    EXPECT_EQ(layout->entry, kBase + 2 * kMebibyte);
    ASSERT_TRUE(load_boot(memory_, *layout, {.kernel = &kernel}, Bytes(8)));
    EXPECT_EQ(read_back(memory_, kBase + 2 * kMebibyte, 100), Bytes(100, 1));
}

TEST_F(BootLoad, LeavesOutTheLinkersHeaderPageBelowRam) {
    TestElf written;
    written.entry = kBase;
    written.segments = {{kBase, kBase, Bytes(0x10, 5), 0x20}};
    Bytes file = written.build();
    const size_t program = TestElf::program_header(0);
    const size_t skipped = load_le<uint64_t>(file.data() + program + offsetof(Elf64_Phdr, p_offset));
    put(file, program + offsetof(Elf64_Phdr, p_offset), uint64_t{0});
    put(file, program + offsetof(Elf64_Phdr, p_vaddr), kBase - skipped);
    put(file, program + offsetof(Elf64_Phdr, p_paddr), kBase - skipped);
    put(file, program + offsetof(Elf64_Phdr, p_filesz), uint64_t{skipped + 0x10});
    put(file, program + offsetof(Elf64_Phdr, p_memsz), uint64_t{skipped + 0x20});
    const FirmwareImage firmware = firmware_of(file);
    const auto layout = plan_boot({.firmware = &firmware}, ram_);
    ASSERT_TRUE(layout) << layout.error().message();
    EXPECT_EQ(layout->entry, kBase);
    ASSERT_TRUE(load_boot(memory_, *layout, {.firmware = &firmware}, Bytes(8)));
    Bytes expected(0x20);
    std::fill_n(expected.begin(), 0x10, uint8_t{5});
    EXPECT_EQ(read_back(memory_, kBase, 0x20), expected);
}

TEST_F(BootLoad, PutsAnElfKernelLinkedForRamWhereItBelongs) {
    TestElf written;
    written.entry = kBase + 0x200000;
    written.segments = {{written.entry, written.entry, Bytes(100, 3), 100}};
    const KernelImage kernel = kernel_of(written.build());
    const auto layout = plan_boot({.kernel = &kernel}, ram_);
    ASSERT_TRUE(layout) << layout.error().message();
    EXPECT_EQ(layout->entry, written.entry);
    ASSERT_TRUE(load_boot(memory_, *layout, {.kernel = &kernel}, Bytes(8)));
    EXPECT_EQ(read_back(memory_, written.entry, 100), Bytes(100, 3));
}

TEST_F(BootLoad, RefusesADeviceTreeLargerThanItsRoom) {
    const KernelImage kernel = kernel_of(make_image());
    const auto layout = plan_boot({.kernel = &kernel}, ram_);
    ASSERT_TRUE(layout);
    const auto loaded = load_boot(memory_, *layout, {.kernel = &kernel}, Bytes(kDeviceTreeRoom + 1));
    ASSERT_FALSE(loaded);
    EXPECT_THAT(loaded.error().message(), HasSubstr("shorten the command line"));
}

TEST_F(BootLoad, ReportsMemoryThatIsNotThere) {
    const KernelImage kernel = kernel_of(make_image());
    const auto layout = plan_boot({.kernel = &kernel}, {kBase + (uint64_t{1} << 32), 16 * kMebibyte});
    ASSERT_TRUE(layout);
    EXPECT_FALSE(load_boot(memory_, *layout, {.kernel = &kernel}, Bytes(8)));
}

}  // namespace
}  // namespace doppel::machine::boot
