#include "storage/qcow2/compression.h"

#include <zlib.h>
#include <zstd.h>

namespace doppel::storage::qcow2 {

namespace {

// Without zlib's header. QEMU makes a window of 2^12 bytes; it reads no larger ones.
constexpr int kWindowBits = -12, kLargestWindowBits = -15;

bool inflate_all(std::span<const uint8_t> from, std::span<uint8_t> to) {
    z_stream stream{};
    if (inflateInit2(&stream, kLargestWindowBits) != Z_OK) return false;
    stream.next_in = const_cast<Bytef*>(from.data());
    stream.avail_in = static_cast<uInt>(from.size());
    stream.next_out = to.data();
    stream.avail_out = static_cast<uInt>(to.size());
    const int result = inflate(&stream, Z_FINISH);
    const bool whole = (result == Z_STREAM_END || result == Z_BUF_ERROR) && stream.avail_out == 0;
    inflateEnd(&stream);
    return whole;
}

std::vector<uint8_t> deflate_all(std::span<const uint8_t> from) {
    z_stream stream{};
    constexpr int kMemoryLevel = 9;
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kWindowBits, kMemoryLevel, Z_DEFAULT_STRATEGY) != Z_OK)
        return {};
    std::vector<uint8_t> to(from.size() - 1);
    stream.next_in = const_cast<Bytef*>(from.data());
    stream.avail_in = static_cast<uInt>(from.size());
    stream.next_out = to.data();
    stream.avail_out = static_cast<uInt>(to.size());
    const bool whole = deflate(&stream, Z_FINISH) == Z_STREAM_END;
    to.resize(whole ? to.size() - stream.avail_out : 0);
    deflateEnd(&stream);
    return to;
}

bool unpack_zstd(std::span<const uint8_t> from, std::span<uint8_t> to) {
    ZSTD_DStream* stream = ZSTD_createDStream();
    if (stream == nullptr) return false;
    ZSTD_inBuffer in{from.data(), from.size(), 0};
    ZSTD_outBuffer out{to.data(), to.size(), 0};
    // What follows the frame is another cluster's.
    while (out.pos < out.size) {
        const size_t in_before = in.pos, out_before = out.pos;
        const size_t result = ZSTD_decompressStream(stream, &out, &in);
        if (ZSTD_isError(result) != 0 || (in.pos == in_before && out.pos == out_before)) break;
    }
    ZSTD_freeDStream(stream);
    return out.pos == out.size;
}

std::vector<uint8_t> pack_zstd(std::span<const uint8_t> from) {
    std::vector<uint8_t> to(ZSTD_compressBound(from.size()));
    const size_t size = ZSTD_compress(to.data(), to.size(), from.data(), from.size(), ZSTD_CLEVEL_DEFAULT);
    to.resize(ZSTD_isError(size) != 0 || size >= from.size() ? 0 : size);
    return to;
}

}  // namespace

bool decompress(Compression kind, std::span<const uint8_t> from, std::span<uint8_t> to) {
    return kind == Compression::kZstd ? unpack_zstd(from, to) : inflate_all(from, to);
}

std::vector<uint8_t> compress(Compression kind, std::span<const uint8_t> from) {
    return kind == Compression::kZstd ? pack_zstd(from) : deflate_all(from);
}

}  // namespace doppel::storage::qcow2
