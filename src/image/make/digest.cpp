#include "image/make/digest.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <vector>

#include "base/file.h"

namespace doppel::image {

namespace {

struct FreeContext {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

}  // namespace

Result<ImageFile> measure_file(const std::filesystem::path& path) {
    DOPPEL_TRY(UniqueFd file, open_for_reading(path, "measure file"));
    std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
    bool fine = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
    std::vector<uint8_t> block(1 << 20);
    ImageFile measured;
    while (fine) {
        ssize_t got = ::read(file.get(), block.data(), block.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(Error::system("measure file", path, errno));
        if (got == 0) break;
        measured.size += static_cast<uint64_t>(got);
        fine = EVP_DigestUpdate(context.get(), block.data(), static_cast<size_t>(got)) == 1;
    }
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned length = 0;
    if (!fine || EVP_DigestFinal_ex(context.get(), digest.data(), &length) != 1)
        return fail(Error{"measure file", path, "SHA-256 is not available", "check the OpenSSL configuration"});
    constexpr char kDigits[] = "0123456789abcdef";
    for (unsigned i = 0; i < length; i++) {
        measured.sha256 += kDigits[digest[i] >> 4];
        measured.sha256 += kDigits[digest[i] & 15];
    }
    return measured;
}

}  // namespace doppel::image
