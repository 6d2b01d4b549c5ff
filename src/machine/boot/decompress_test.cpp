#include "machine/boot/decompress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine/boot/test_files.h"

namespace doppel::machine::boot {
namespace {

using testing::HasSubstr;
using namespace test;

const Origin kOrigin{"read kernel", "k"};
constexpr uint64_t kLimit = 1 << 20;

Bytes compress(Compression compression, std::span<const uint8_t> content) {
    switch (compression) {
        case Compression::kGzip:
            return gzip(content);
        case Compression::kZstd:
            return zstd(content);
        case Compression::kXz:
            return xz(content);
        case Compression::kLzma:
            break;
    }
    return lzma(content);
}

class EveryCompression : public testing::TestWithParam<Compression> {};
INSTANTIATE_TEST_SUITE_P(All, EveryCompression,
                         testing::Values(Compression::kGzip, Compression::kZstd, Compression::kXz, Compression::kLzma),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

TEST_P(EveryCompression, IsRecognisedAndUnpacked) {
    const Bytes content = make_image(300'000);
    const Bytes packed = compress(GetParam(), content);
    ASSERT_EQ(detect_compression(packed), GetParam());
    const auto unpacked = decompress(packed, GetParam(), kLimit, kOrigin);
    ASSERT_TRUE(unpacked) << unpacked.error().message();
    EXPECT_EQ(*unpacked, content);
}

TEST_P(EveryCompression, UnpacksToTheLimitAndNoFurther) {
    const auto exact = decompress(compress(GetParam(), Bytes(kLimit)), GetParam(), kLimit, kOrigin);
    ASSERT_TRUE(exact) << exact.error().message();
    EXPECT_EQ(exact->size(), kLimit);
    const auto bomb = decompress(compress(GetParam(), Bytes(kLimit + 1)), GetParam(), kLimit, kOrigin);
    ASSERT_FALSE(bomb);
    EXPECT_THAT(bomb.error().message(), HasSubstr("unpacks to more than 1 MiB"));
}

TEST_P(EveryCompression, IsReportedAsTruncatedWhereverItIsCut) {
    const Bytes packed = compress(GetParam(), make_image(20'000));
    for (size_t size = 14; size < packed.size(); size += packed.size() / 40 + 1) {
        const auto unpacked = decompress(std::span(packed).first(size), GetParam(), kLimit, kOrigin);
        ASSERT_FALSE(unpacked) << size;
        EXPECT_THAT(unpacked.error().message(), HasSubstr("is truncated")) << size;
    }
}

TEST_P(EveryCompression, UnpacksSeveralMembersAndIgnoresPadding) {
    const Bytes content = make_image(5000);
    Bytes packed = compress(GetParam(), content);
    const Bytes again = packed;
    packed.insert(packed.end(), again.begin(), again.end());
    packed.resize(packed.size() + 512);
    const auto unpacked = decompress(packed, GetParam(), kLimit, kOrigin);
    ASSERT_TRUE(unpacked) << unpacked.error().message();
    Bytes twice = content;
    twice.insert(twice.end(), content.begin(), content.end());
    EXPECT_EQ(*unpacked, twice);
}

TEST(Decompress, ReportsDamagedData) {
    Bytes packed = gzip(make_image(20'000));
    packed[packed.size() - 8] ^= 1;  // the CRC-32
    const auto unpacked = decompress(packed, Compression::kGzip, kLimit, kOrigin);
    ASSERT_FALSE(unpacked);
    EXPECT_EQ(unpacked.error().message(), "read kernel: k: its gzip data is damaged; get a whole copy of it");
}

TEST(Decompress, RefusesADictionaryOfGigabytes) {
    Bytes packed = lzma(make_image(1000));
    put(packed, 1, uint32_t{0x80000000});  // LZMA_Alone: the dictionary's size
    const auto unpacked = decompress(packed, Compression::kLzma, kLimit, kOrigin);
    ASSERT_FALSE(unpacked);
    EXPECT_THAT(unpacked.error().message(), HasSubstr("takes too much memory"));
}

TEST(Decompress, TakesNoOtherFileForCompressed) {
    EXPECT_EQ(detect_compression(make_image()), std::nullopt);
    EXPECT_EQ(detect_compression({}), std::nullopt);
    EXPECT_EQ(detect_compression(bytes_of("\x1f\x8b")), std::nullopt);
}

}  // namespace
}  // namespace doppel::machine::boot
