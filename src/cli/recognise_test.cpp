#include "cli/recognise.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <string_view>
#include <vector>

namespace doppel::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::string_view_literals;

// `bytes` at `offset` of a file of zeros.
std::string kind(size_t offset, std::string_view bytes, size_t size = kRecognitionBytes) {
    std::vector<uint8_t> file(size);
    std::copy(bytes.begin(), bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(offset));
    return recognise_bytes(file).kind;
}

TEST(Recognition, GoesByContent) {
    EXPECT_EQ(kind(0, "QFI\xfb"), "a qcow2 disk");
    EXPECT_EQ(kind(512, "EFI PART"), "a GPT disk");
    EXPECT_EQ(kind(510, "\x55\xaa"), "an MBR disk");
    EXPECT_EQ(kind(1080, "\x53\xef"), "an ext4 disk");
    EXPECT_EQ(kind(32769, "CD001"), "an ISO 9660 disk");
    EXPECT_EQ(kind(257, "ustar"), "a tar archive");
    EXPECT_EQ(kind(0, "\x1f\x8b"), "a gzip file");
    EXPECT_EQ(kind(0,
                   "\x7f"
                   "ELF"),
              "an ELF program");
    EXPECT_EQ(kind(0, "#!/bin/sh\n"), "a script");
    EXPECT_EQ(kind(0, "\0asm"sv), "a WebAssembly program");
    EXPECT_EQ(kind(0x38, "RSC\x05"), "a Linux kernel");
    EXPECT_EQ(kind(0, "nothing"), "a file of unknown content");
    EXPECT_EQ(recognise_bytes({}).kind, "an empty file");
}

TEST(Recognition, FindsAWindowsProgramBehindItsDosHeader) {
    std::vector<uint8_t> file(512);
    file[0] = 'M';
    file[1] = 'Z';
    file[0x3c] = 0x80;
    file[0x80] = 'P';
    file[0x81] = 'E';
    EXPECT_EQ(recognise_bytes(file).kind, "a Windows program");
    for (int i = 0; i < 4; i++) file[0x3c + static_cast<size_t>(i)] = 0xff;  // a wild offset
    EXPECT_EQ(recognise_bytes(file).kind, "a file of unknown content");
}

TEST(Recognition, SurvivesEveryTruncation) {
    const std::vector<uint8_t> file(kRecognitionBytes, 'M');
    for (size_t size = 0; size < 2048; size++) EXPECT_FALSE(recognise_bytes(std::span(file).first(size)).kind.empty());
}

class RecognitionOfPaths : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = fs::temp_directory_path() / "doppel-recognise-XXXXXX";
        folder_ = mkdtemp(pattern.data());
    }
    void TearDown() override { fs::remove_all(folder_); }
    fs::path folder_;
};

TEST_F(RecognitionOfPaths, TellsAnImageFromATree) {
    EXPECT_EQ(recognise(folder_)->content, Content::kTree);
    std::ofstream(folder_ / "oci-layout") << "{}";
    EXPECT_EQ(recognise(folder_)->content, Content::kImage);
}

TEST_F(RecognitionOfPaths, NeverGoesByTheEnding) {
    std::ofstream(folder_ / "disk.qcow2") << "#!/bin/sh\n";
    EXPECT_EQ(recognise(folder_ / "disk.qcow2")->content, Content::kProgram);
}

TEST_F(RecognitionOfPaths, DoesNotHangOnAFifo) {
    ASSERT_EQ(mkfifo((folder_ / "fifo").c_str(), 0600), 0);
    EXPECT_FALSE(recognise(folder_ / "fifo"));
    EXPECT_FALSE(recognise(folder_ / "missing"));
    EXPECT_FALSE(recognise("/dev/null"));
}

}  // namespace
}  // namespace doppel::cli
