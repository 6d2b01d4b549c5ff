#include "machine/boot/kernel_image.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine/boot/test_files.h"

namespace doppel::machine::boot {
namespace {

using testing::HasSubstr;
using namespace test;
using namespace std::string_view_literals;

std::string error_of(Bytes file) {
    const auto kernel = unpack_kernel(std::move(file), "k");
    return kernel ? "no error" : kernel.error().message();
}

Bytes starting_with(std::string_view magic, size_t offset = 0) {
    Bytes file(0x9000, 0xfe);
    put_text(file, offset, magic);
    return file;
}

TEST(KernelImage, TakesAFlatImage) {
    const auto kernel = unpack_kernel(make_image(8192), "k");
    ASSERT_TRUE(kernel) << kernel.error().message();
    EXPECT_EQ(kernel->kind, KernelKind::kImage);
    EXPECT_EQ(kernel->form, "Image");
    EXPECT_EQ(kernel->bytes, make_image(8192));
    EXPECT_EQ(kernel->load_offset, 2u << 20);
    EXPECT_EQ(kernel->memory_size, 1u << 20);
}

TEST(KernelImage, TakesAnImageWithEitherMagic) {
    Bytes old_magic = make_image();
    put(old_magic, 56, uint32_t{0});
    EXPECT_EQ(error_of(old_magic), "no error");
    Bytes new_magic = make_image();
    put(new_magic, 48, uint64_t{0});
    EXPECT_EQ(error_of(new_magic), "no error");
    put(new_magic, 56, uint32_t{0});
    EXPECT_THAT(error_of(new_magic), HasSubstr("is not a kernel"));
}

TEST(KernelImage, CountsASignatureBehindTheImageAsMemory) {
    const auto kernel = unpack_kernel(make_image(8192, {.image_size = 8000}), "k");
    ASSERT_TRUE(kernel);
    EXPECT_EQ(kernel->memory_size, 8192u);
}

TEST(KernelImage, UnpacksEveryCompression) {
    const Bytes image = make_image(100'000);
    for (const auto& [packed, form] : {std::pair{gzip(image), "gzip, Image"},
                                       {zstd(image), "zstd, Image"},
                                       {xz(image), "xz, Image"},
                                       {lzma(image), "lzma, Image"}}) {
        const auto kernel = unpack_kernel(packed, "k");
        ASSERT_TRUE(kernel) << form << kernel.error().message();
        EXPECT_EQ(kernel->form, form);
        EXPECT_EQ(kernel->bytes, image);
    }
}

TEST(KernelImage, UnpacksEveryZboot) {
    const Bytes image = make_image(100'000);
    for (const auto& [packed, compression] :
         {std::pair{gzip(image), "gzip"}, {zstd(image), "zstd22"}, {xz(image), "xzkern"}, {lzma(image), "lzma"}}) {
        const auto kernel = unpack_kernel(zboot(packed, compression), "k");
        ASSERT_TRUE(kernel) << compression << kernel.error().message();
        EXPECT_THAT(kernel->form, HasSubstr(" in EFI zboot, Image"));
        EXPECT_EQ(kernel->bytes, image);
    }
}

TEST(KernelImage, TakesAnElfFile) {
    TestElf written;
    written.entry = 0xffffffff80000000;
    written.segments = {{0xffffffff80000000, 0x0, Bytes(64), 64}, {0xffffffff80200000, 0x200000, Bytes(8), 0x1000}};
    const Bytes file = written.build();
    const auto kernel = unpack_kernel(gzip(file), "k");
    ASSERT_TRUE(kernel) << kernel.error().message();
    EXPECT_EQ(kernel->kind, KernelKind::kElf);
    EXPECT_EQ(kernel->form, "gzip, ELF");
    EXPECT_EQ(kernel->bytes, file);
    EXPECT_EQ(kernel->load_offset, 0u);
    EXPECT_EQ(kernel->memory_size, 0x201000u);
}

TEST(KernelImage, RefusesAnElfFileItCannotStart) {
    TestElf written;
    written.entry = 4;
    EXPECT_THAT(error_of(written.build()), HasSubstr("its entry 0x4 lies in none of its segments"));
    TestElf two_segments;
    two_segments.segments.push_back({0x9000'0000, 0x9000'0000, Bytes(8), 8});
    Bytes user_program = two_segments.build();
    put(user_program, TestElf::program_header(1), uint32_t{PT_INTERP});
    EXPECT_THAT(error_of(user_program), HasSubstr("is a user program, not a kernel"));
    Bytes foreign = TestElf().build();
    put(foreign, offsetof(Elf64_Ehdr, e_machine), uint16_t{EM_X86_64});
    EXPECT_EQ(error_of(foreign), "read kernel: k: is an ELF file for x86-64; give one for riscv64");
}

TEST(KernelImage, NamesForeignKernels) {
    EXPECT_EQ(error_of(starting_with("ARM\x64", 0x38)),
              "read kernel: k: is an arm64 kernel image; give a riscv64 kernel (an Image, vmlinuz or vmlinux)");
    EXPECT_THAT(error_of(starting_with("HdrS", 0x202)), HasSubstr("is an x86 kernel image"));
    EXPECT_THAT(error_of(gzip(starting_with("ARM\x64", 0x38))), HasSubstr("is an arm64 kernel image"));
    EXPECT_THAT(error_of(zboot(gzip(make_image()), "gzip", 0xaa64)), HasSubstr("is an EFI zboot kernel for arm64"));
    EXPECT_THAT(error_of(make_image(8192, {.flags = 1})), HasSubstr("is a big-endian kernel image"));
    Bytes narrow = make_image();
    add_pe_header(narrow, 0x5032, 8192);
    EXPECT_THAT(error_of(narrow), HasSubstr("is a kernel image for riscv32"));
    Bytes efi(4096);
    add_pe_header(efi, 0x8664, 4096);
    EXPECT_THAT(error_of(efi), HasSubstr("is an EFI program for x86-64"));
}

TEST(KernelImage, NamesWhatIsNoKernel) {
    EXPECT_THAT(error_of({}), HasSubstr("read kernel: k: is empty"));
    EXPECT_THAT(error_of(bytes_of("<html>404 Not Found</html>\n")), HasSubstr("is a text file"));
    EXPECT_THAT(error_of(starting_with("070701")), HasSubstr("give it as --initrd"));
    EXPECT_THAT(error_of(starting_with("!<arch>\ndebian-binary")), HasSubstr("is a Debian package"));
    EXPECT_THAT(error_of(starting_with("\xd0\x0d\xfe\xed")), HasSubstr("is a device tree"));
    EXPECT_THAT(error_of(starting_with("\x02\x21\x4c\x18")), HasSubstr("lz4"));
    EXPECT_THAT(error_of(starting_with("CD001", 0x8001)), HasSubstr("ISO 9660"));
    EXPECT_THAT(error_of(Bytes(4096)), HasSubstr("holds nothing but zeroes"));
    EXPECT_THAT(error_of(starting_with("\xfe")), HasSubstr("is not a kernel"));
}

TEST(KernelImage, TakesRawCodeOnlyWhereAFirmwareStartsIt) {
    const Bytes code(5000, 0x93);
    EXPECT_EQ(error_of(code),
              "read kernel: k: is not a kernel; give a riscv64 kernel (an Image, vmlinuz or vmlinux); raw code such as "
              "U-Boot needs a --firmware that starts it");
    const auto raw = unpack_kernel(code, "k", /*raw_accepted=*/true);
    ASSERT_TRUE(raw) << raw.error().message();
    EXPECT_EQ(raw->kind, KernelKind::kRaw);
    EXPECT_EQ(raw->bytes, code);
    EXPECT_EQ(raw->load_offset, 2u << 20);
    EXPECT_EQ(raw->memory_size, 5000u);
    // What is surely something else is refused all the same, and an Image stays one.
    EXPECT_FALSE(unpack_kernel(bytes_of("a text, no code"), "k", true));
    EXPECT_FALSE(unpack_kernel({}, "k", true));
    EXPECT_EQ(unpack_kernel(make_image(), "k", true)->kind, KernelKind::kImage);
}

TEST(KernelImage, NamesTruncatedFiles) {
    Bytes image = make_image(8192);
    add_pe_header(image, 0x5064, 8192);
    EXPECT_EQ(error_of(image), "no error");
    image.resize(8000);
    EXPECT_EQ(error_of(image), "read kernel: k: is truncated: 8000 of 8192 bytes are there; get a whole copy of it");
    image.resize(64);  // the whole Image header, but not the PE header that it points to
    EXPECT_THAT(error_of(image), HasSubstr("is truncated: its PE header is not there"));
    image.resize(40);
    EXPECT_THAT(error_of(image), HasSubstr("is too short to be a kernel (40 bytes)"));

    Bytes packed = gzip(make_image());
    packed.resize(packed.size() / 2);
    EXPECT_THAT(error_of(packed), HasSubstr("is truncated: its gzip data ends early"));
    Bytes wrapped = zboot(gzip(make_image()), "gzip");
    wrapped.pop_back();
    EXPECT_THAT(error_of(wrapped), HasSubstr("is truncated: its EFI zboot payload"));
}

TEST(KernelImage, RefusesWildHeaderFields) {
    EXPECT_THAT(error_of(make_image(8192, {.text_offset = 0x1000})), HasSubstr("impossible offset 0x1000"));
    EXPECT_THAT(error_of(make_image(8192, {.text_offset = uint64_t{1} << 63})), HasSubstr("impossible offset"));
    EXPECT_THAT(error_of(make_image(8192, {.image_size = 0})), HasSubstr("impossible size of 0 bytes"));
    EXPECT_THAT(error_of(make_image(8192, {.image_size = UINT64_MAX})), HasSubstr("impossible size"));

    Bytes wild_payload = zboot(gzip(make_image()), "gzip");
    put(wild_payload, 8, UINT32_MAX);
    put(wild_payload, 12, UINT32_MAX);
    EXPECT_THAT(error_of(wild_payload), HasSubstr("is truncated: its EFI zboot payload ends at byte 8589934590"));
}

TEST(KernelImage, RefusesAZbootCompressionItDoesNotKnow) {
    EXPECT_THAT(error_of(zboot(make_image(), "lzo")), HasSubstr("compressed with 'lzo', which is not supported"));
    Bytes unterminated = zboot(make_image(), std::string(32, 'g'));
    EXPECT_THAT(error_of(unterminated), HasSubstr("compressed with 'gggggggggggggggggggggggggggggggg'"));
}

TEST(KernelImage, RefusesEndlessWrapping) {
    Bytes file = make_image();
    for (int i = 0; i < 5; i++) file = gzip(file);
    EXPECT_THAT(error_of(file), HasSubstr("is compressed too many times over"));
}

}  // namespace
}  // namespace doppel::machine::boot
