#include <gtest/gtest.h>

#include "storage/qcow2/image_testing.h"

namespace doppel::storage::qcow2 {
namespace {

constexpr CreateOptions kPlain{.size = 4 << 20, .cluster_size = 4096};

Status write(Image& image, uint64_t offset, uint64_t length, uint8_t value) {
    const std::vector<uint8_t> bytes(length, value);
    return finish(image.write(offset, Buffers(std::span(bytes))));
}

uint8_t read_byte(Image& image, uint64_t offset) {
    std::array<uint8_t, 1> byte{};
    EXPECT_TRUE(finish(image.read(offset, Buffers(std::span(byte)))).ok());
    return byte[0];
}

// The first entry of the L1 table, and of the L2 table that it points to, as offsets in the file.
uint64_t l1_of(const TestImage& test) {
    return load_be<uint64_t>(&test.file.bytes[40]);
}
uint64_t l2_of(const TestImage& test) {
    return load_be<uint64_t>(&test.file.bytes[l1_of(test)]) & kOffsetMask;
}

TEST(Qcow2Image, GoesOnAfterADiskWasFullAndHasRoomAgain) {
    TestImage test(kPlain);
    auto image = test.open();
    ASSERT_TRUE(write(*image, 0, 100000, 1).ok());
    for (uint64_t room : {500000u, 550000u, 700000u}) {
        test.file.fault = [&](uint64_t offset, uint64_t length, bool writing) {
            return writing && offset + length > room ? kNoSpace : kOk;
        };
        const Status status = write(*image, 200000, 1000000, 2);
        EXPECT_TRUE(status.no_space());
        EXPECT_EQ(read_byte(*image, 99999), 1);
    }
    test.file.fault = nullptr;
    EXPECT_TRUE(write(*image, 200000, 1000000, 3).ok());
    EXPECT_EQ(read_byte(*image, 1199999), 3);
    EXPECT_TRUE(finish(image->close()).ok());
    test.expect_clean();
}

TEST(Qcow2Image, KeepsWhatAFailedFlushDidNotWrite) {
    TestImage test(kPlain);
    auto image = test.open();
    ASSERT_TRUE(write(*image, 0, 300000, 1).ok());
    for (int failing = 0; failing < 12; failing++) {
        int request = 0;
        test.file.fault = [&](uint64_t, uint64_t, bool writing) {
            return writing && request++ == failing ? kIoError : kOk;
        };
        (void)finish(image->flush());
    }
    test.file.fault = nullptr;
    EXPECT_TRUE(finish(image->flush()).ok());
    image.reset();  // as a crash would end it
    image = test.open();
    EXPECT_EQ(read_byte(*image, 299999), 1);
    EXPECT_EQ(test.check_now().corruptions, 0u);
}

TEST(Qcow2Image, ReportsHostErrorsAndLeavesTheRestAlone) {
    TestImage test(kPlain);
    auto image = test.open();
    ASSERT_TRUE(write(*image, 0, 65536, 1).ok());
    test.file.fault = [](uint64_t, uint64_t, bool writing) { return writing ? kIoError : kOk; };
    EXPECT_EQ(write(*image, 1 << 20, 4096, 2), kIoError);
    test.file.fault = nullptr;
    EXPECT_TRUE(write(*image, 2 << 20, 4096, 3).ok());
    EXPECT_EQ(read_byte(*image, 1 << 20), 0);
    EXPECT_TRUE(finish(image->close()).ok());
    test.expect_clean();
}

TEST(Qcow2Image, CountsLazyRefcountsAnewAfterACrash) {
    CreateOptions options = kPlain;
    options.lazy_refcounts = true;
    TestImage test(options);
    auto image = test.open();
    ASSERT_TRUE(write(*image, 5000, 100000, 7).ok());
    ASSERT_TRUE(finish(image->flush()).ok());
    image.reset();
    EXPECT_GT(test.check_now().corruptions, 0u);
    image = test.open(false);  // reading takes no refcounts
    EXPECT_EQ(read_byte(*image, 104999), 7);
    image = test.open();
    EXPECT_EQ(read_byte(*image, 104999), 7);
    EXPECT_TRUE(finish(image->close()).ok());
    test.expect_clean();
}

TEST(Qcow2Image, StopsWritingWhenItsTablesAreCorrupt) {
    TestImage test(kPlain);
    auto image = test.open();
    ASSERT_TRUE(write(*image, 0, 8192, 1).ok());
    ASSERT_TRUE(finish(image->close()).ok());
    image.reset();
    const uint64_t entry = l2_of(test);
    store_be<uint64_t>(&test.file.bytes[entry], load_be<uint64_t>(&test.file.bytes[entry]) | 512);
    image = test.open();
    std::array<uint8_t, 1> byte{};
    EXPECT_EQ(finish(image->read(0, Buffers(std::span(byte)))), kIoError);
    EXPECT_EQ(write(*image, 1 << 20, 10, 1), kIoError);
    EXPECT_EQ(finish(image->flush()), kIoError);
    image.reset();
    EXPECT_FALSE(test.try_open().has_value());
    EXPECT_TRUE(test.try_open(false).has_value());
    test.check_now(Repair::kAll);
    test.expect_clean();
    image = test.open();
    EXPECT_EQ(read_byte(*image, 4096), 1);
    EXPECT_EQ(read_byte(*image, 0), 0);
}

TEST(Qcow2Image, WritesNoDataOverItsOwnTables) {
    TestImage test(kPlain);
    auto image = test.open();
    ASSERT_TRUE(write(*image, 0, 4096, 1).ok());
    ASSERT_TRUE(finish(image->close()).ok());
    for (const uint64_t victim : {l1_of(test), load_be<uint64_t>(&test.file.bytes[48])}) {
        const auto good = test.file.bytes;
        store_be<uint64_t>(&test.file.bytes[l2_of(test)], victim | kCopied);
        image = test.open();
        EXPECT_EQ(write(*image, 0, 4096, 0xff), kIoError);
        EXPECT_TRUE(std::equal(&good[victim], &good[victim] + 8, &test.file.bytes[victim]));
        image.reset();
        test.file.bytes = good;
    }
}

TEST(Qcow2Image, ClearsUnknownAutoclearFeaturesWhenItWrites) {
    TestImage test(kPlain);
    test.file.bytes[88] = 0x40;
    auto image = test.open();
    EXPECT_EQ(read_byte(*image, 0), 0);
    EXPECT_TRUE(finish(image->close()).ok());
    EXPECT_EQ(test.file.bytes[88], 0x40);
    image = test.open();
    EXPECT_TRUE(write(*image, 0, 10, 1).ok());
    EXPECT_EQ(test.file.bytes[88], 0);
}

TEST(Qcow2Image, GivesRoomBackAndUsesItAgain) {
    TestImage test(kPlain);
    auto image = test.open();
    for (int i = 0; i < 20; i++) {
        ASSERT_TRUE(write(*image, 0, 1 << 20, 1).ok());
        ASSERT_TRUE(finish(image->discard(0, 1 << 20)).ok());
        ASSERT_TRUE(finish(image->flush()).ok());
    }
    EXPECT_TRUE(finish(image->close()).ok());
    EXPECT_LT(test.file.bytes.size(), 4u << 20);
    test.expect_clean();
}

TEST(Qcow2Image, ResizesWithoutBringingOldDataBack) {
    TestImage test(kPlain);
    auto image = test.open();
    ASSERT_TRUE(write(*image, 0, kPlain.size, 5).ok());
    ASSERT_TRUE(finish(image->resize(100001, Preallocation::kOff)).has_value());
    EXPECT_EQ(image->size(), 100001u);
    ASSERT_TRUE(finish(image->resize(64 << 20, Preallocation::kOff)).has_value());
    EXPECT_EQ(read_byte(*image, 100000), 5);
    EXPECT_EQ(read_byte(*image, 100001), 0);
    EXPECT_EQ(read_byte(*image, kPlain.size - 1), 0);
    EXPECT_TRUE(write(*image, (64 << 20) - 10, 10, 6).ok());
    EXPECT_TRUE(finish(image->close()).ok());
    test.expect_clean();
    image = test.open();
    EXPECT_EQ(read_byte(*image, (64 << 20) - 1), 6);
}

TEST(Qcow2Image, HidesALargerBackingDiskWhenItGrows) {
    TestImage test({.size = 10000, .cluster_size = 4096});
    test.backing.bytes.assign(100000, 9);
    auto image = test.open();
    ASSERT_TRUE(finish(image->resize(200000, Preallocation::kOff)).has_value());
    EXPECT_EQ(read_byte(*image, 9999), 9);
    EXPECT_EQ(read_byte(*image, 10000), 0);
    EXPECT_EQ(read_byte(*image, 99999), 0);
    EXPECT_TRUE(finish(image->close()).ok());
    test.expect_clean();
}

TEST(Qcow2Image, PreallocatesEveryCluster) {
    for (const bool extended : {false, true}) {
        TestImage test({.size = 3 << 20, .cluster_size = 16384, .extended_l2 = extended});
        auto image = test.open();
        ASSERT_TRUE(finish(image->preallocate(0, Preallocation::kMetadata)).ok());
        EXPECT_EQ(read_byte(*image, 1 << 20), 0);
        ASSERT_TRUE(finish(image->close()).ok());
        EXPECT_EQ(test.check_now().allocated, test.check_now().clusters);
        test.expect_clean();
    }
}

TEST(Qcow2Header, RefusesWhatMakesNoSense) {
    TestImage test(kPlain);
    struct Case {
        size_t offset;
        uint64_t value;
        unsigned bytes;
        const char* says;
    };
    for (const Case& one : {Case{0, 0, 4, "no qcow2 file"},
                            Case{4, 4, 4, "version 4"},
                            Case{20, 8, 4, "2^8"},
                            Case{20, 63, 4, "2^63"},
                            Case{24, UINT64_MAX / 2 + 1, 8, "too small for"},
                            Case{32, 2, 4, "LUKS"},
                            Case{32, 1, 4, "AES"},
                            Case{36, 0xffffffff, 4, "larger than 32 MiB"},
                            Case{40, 0x201, 8, "L1 table is at no valid place"},
                            Case{48, uint64_t{1} << 63, 8, "refcount table is at no valid place"},
                            Case{56, 0xffffffff, 4, "larger than 8 MiB"},
                            Case{60, 0xffffffff, 4, "snapshots"},
                            Case{72, uint64_t{1} << 50, 8, "number 50"},
                            Case{72, 8, 8, "compression type"},
                            Case{72, 16, 8, "too small for extended"},
                            Case{88, 1, 8, "should have bitmaps"},
                            Case{96, 7, 4, "wider than 64"},
                            Case{100, 100, 4, "cannot have 100"},
                            Case{100, 0x80000000, 4, "cannot have"},
                            Case{104, 9, 1, "type 9"},
                            Case{8, 1 << 20, 8, "name of its backing file"},
                            Case{116, 0x7fffffff, 4, "longer than"}}) {
        auto bytes = test.file.bytes;
        for (unsigned i = 0; i < one.bytes; i++)
            bytes[one.offset + i] = static_cast<uint8_t>(one.value >> 8 * (one.bytes - 1 - i));
        const auto header = parse_header(std::span(bytes).first(4096), "disk");
        ASSERT_FALSE(header.has_value()) << one.says;
        EXPECT_NE(header.error().message().find(one.says), std::string::npos) << header.error().message();
    }
    EXPECT_FALSE(parse_header(std::span(test.file.bytes).first(50), "disk").has_value());
}

TEST(Qcow2Header, ComesBackAsItWasWritten) {
    Header header;
    header.size = 12345;
    header.l1_entries = 1;
    header.l1_offset = header.refcount_table_offset = 65536;
    header.refcount_table_clusters = 1;
    header.backing_file = "base";
    header.backing_format = "raw";
    header.other_extensions.push_back({0x12345678, {1, 2, 3}});
    const auto bytes = encode_header(header, "disk");
    ASSERT_TRUE(bytes.has_value());
    const auto again = parse_header(*bytes, "disk");
    ASSERT_TRUE(again.has_value()) << again.error().message();
    EXPECT_EQ(again->size, 12345u);
    EXPECT_EQ(again->backing_file, "base");
    EXPECT_EQ(again->backing_format, "raw");
    ASSERT_GE(again->other_extensions.size(), 1u);
    EXPECT_EQ(again->other_extensions[0].data, (std::vector<uint8_t>{1, 2, 3}));
    header.backing_file = std::string(1024, 'x');
    EXPECT_FALSE(encode_header(header, "disk").has_value());
}

TEST(Qcow2Refcounts, HaveAnyWidth) {
    for (uint32_t order = 0; order <= 6; order++) {
        std::vector<uint8_t> block(512);
        const uint64_t most = order == 6 ? UINT64_MAX : (uint64_t{1} << (1u << order)) - 1;
        for (uint64_t n = 0; n < 60; n++) set_refcount(block.data(), n, order, (n * 0x9e3779b97f4a7c15) & most);
        for (uint64_t n = 0; n < 60; n++)
            EXPECT_EQ(get_refcount(block.data(), n, order), (n * 0x9e3779b97f4a7c15) & most) << order;
    }
    // The specification: the least significant bits first.
    std::vector<uint8_t> byte(1);
    set_refcount(byte.data(), 1, 1, 3);
    EXPECT_EQ(byte[0], 0b1100);
}

TEST(Qcow2Check, EndsSoonAndInBoundsWhateverTablesSay) {
    TestImage test(kPlain);
    auto image = test.open();
    ASSERT_TRUE(write(*image, 0, 1 << 20, 1).ok());
    ASSERT_TRUE(finish(image->close()).ok());
    image.reset();
    const auto good = test.file.bytes;
    const uint64_t l1 = l1_of(test), l2 = l2_of(test), table = load_be<uint64_t>(&good[48]);
    auto expect_mended = [&](const char* what) {
        EXPECT_GT(test.check_now().corruptions, 0u) << what;
        test.check_now(Repair::kAll);
        test.expect_clean();
        (void)test.try_open();
        test.file.bytes = good;
    };
    store_be<uint64_t>(&test.file.bytes[l1 + 8], l2 | kCopied);
    expect_mended("an L2 table twice");
    store_be<uint64_t>(&test.file.bytes[l1], l1 | kCopied);
    expect_mended("an L1 table as an L2 table");
    store_be<uint64_t>(&test.file.bytes[l2], l2 | kCopied);
    expect_mended("an L2 table as its own data");
    store_be<uint64_t>(&test.file.bytes[l2], (uint64_t{1} << 55) | kCopied);
    expect_mended("data far behind the end");
    store_be<uint64_t>(&test.file.bytes[table + 8], load_be<uint64_t>(&good[table]));
    expect_mended("a refcount block twice");
    store_be<uint64_t>(&test.file.bytes[table], table);
    expect_mended("the refcount table as its own block");
    store_be<uint64_t>(&test.file.bytes[table], 0);
    expect_mended("no refcounts at all");
    store_be<uint64_t>(&test.file.bytes[48], uint64_t{1} << 60);
    expect_mended("a refcount table far behind the end");
}

}  // namespace
}  // namespace doppel::storage::qcow2
