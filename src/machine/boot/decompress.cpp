#include "machine/boot/decompress.h"

#include <fmt/format.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

namespace doppel::machine::boot {

namespace {

using namespace std::string_view_literals;

// xz -9 needs 65 MiB to unpack; a header may ask for gigabytes.
constexpr uint64_t kXzMemoryLimit = uint64_t{256} << 20;
constexpr size_t kLargestStep = size_t{1} << 30;  // zlib counts in unsigned int

enum class State { kMore, kEnd, kDamaged, kOutOfMemory };

// One stream of one format. `step` shortens `in` by what it read and `out` by what it wrote.
class Decoder {
  public:
    virtual ~Decoder() = default;
    virtual State step(std::span<const uint8_t>& in, std::span<uint8_t>& out) = 0;
};

class GzipDecoder final : public Decoder {
  public:
    GzipDecoder() {
        constexpr int kGzipOnly = 16;  // zlib.h, inflateInit2
        ready_ = inflateInit2(&stream_, MAX_WBITS + kGzipOnly) == Z_OK;
    }
    ~GzipDecoder() override { inflateEnd(&stream_); }
    GzipDecoder(const GzipDecoder&) = delete;
    GzipDecoder& operator=(const GzipDecoder&) = delete;

    State step(std::span<const uint8_t>& in, std::span<uint8_t>& out) override {
        if (!ready_) return State::kOutOfMemory;
        stream_.next_in = const_cast<uint8_t*>(in.data());  // zlib's interface; it only reads
        stream_.avail_in = static_cast<unsigned>(std::min(in.size(), kLargestStep));
        stream_.next_out = out.data();
        stream_.avail_out = static_cast<unsigned>(std::min(out.size(), kLargestStep));
        const int status = inflate(&stream_, Z_NO_FLUSH);
        in = in.subspan(static_cast<size_t>(stream_.next_in - in.data()));
        out = out.subspan(static_cast<size_t>(stream_.next_out - out.data()));
        if (status == Z_STREAM_END) return State::kEnd;
        if (status == Z_OK || status == Z_BUF_ERROR) return State::kMore;
        return status == Z_MEM_ERROR ? State::kOutOfMemory : State::kDamaged;
    }

  private:
    z_stream stream_{};
    bool ready_ = false;
};

class ZstdDecoder final : public Decoder {
  public:
    State step(std::span<const uint8_t>& in, std::span<uint8_t>& out) override {
        if (!stream_) return State::kOutOfMemory;
        ZSTD_inBuffer from{in.data(), in.size(), 0};
        ZSTD_outBuffer to{out.data(), out.size(), 0};
        const size_t status = ZSTD_decompressStream(stream_.get(), &to, &from);
        in = in.subspan(from.pos);
        out = out.subspan(to.pos);
        if (ZSTD_isError(status)) return State::kDamaged;
        return status == 0 ? State::kEnd : State::kMore;
    }

  private:
    std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream_{ZSTD_createDStream(), ZSTD_freeDStream};
};

class LzmaDecoder final : public Decoder {
  public:
    explicit LzmaDecoder(Compression compression) {
        ready_ = (compression == Compression::kXz ? lzma_stream_decoder(&stream_, kXzMemoryLimit, 0)
                                                  : lzma_alone_decoder(&stream_, kXzMemoryLimit)) == LZMA_OK;
    }
    ~LzmaDecoder() override { lzma_end(&stream_); }
    LzmaDecoder(const LzmaDecoder&) = delete;
    LzmaDecoder& operator=(const LzmaDecoder&) = delete;

    State step(std::span<const uint8_t>& in, std::span<uint8_t>& out) override {
        if (!ready_) return State::kOutOfMemory;
        stream_.next_in = in.data();
        stream_.avail_in = in.size();
        stream_.next_out = out.data();
        stream_.avail_out = out.size();
        const lzma_ret status = lzma_code(&stream_, LZMA_RUN);
        in = in.last(stream_.avail_in);
        out = out.last(stream_.avail_out);
        if (status == LZMA_STREAM_END) return State::kEnd;
        if (status == LZMA_OK || status == LZMA_BUF_ERROR) return State::kMore;
        return status == LZMA_MEM_ERROR || status == LZMA_MEMLIMIT_ERROR ? State::kOutOfMemory : State::kDamaged;
    }

  private:
    lzma_stream stream_ = LZMA_STREAM_INIT;
    bool ready_ = false;
};

std::unique_ptr<Decoder> make_decoder(Compression compression) {
    switch (compression) {
        case Compression::kGzip:
            return std::make_unique<GzipDecoder>();
        case Compression::kZstd:
            return std::make_unique<ZstdDecoder>();
        case Compression::kXz:
        case Compression::kLzma:
            break;
    }
    return std::make_unique<LzmaDecoder>(compression);
}

// LZMA_Alone has no magic: properties 0x5d (the only ones in use), a dictionary that is a power of two and, for a
// kernel, an unknown or believable size (lzma-file-format.txt 1.1).
bool looks_like_lzma(std::span<const uint8_t> file) {
    if (file.size() < 13 || !has_magic(file, 0, "\x5d\0\0"sv)) return false;
    const std::span<const uint8_t> high_size = file.subspan(9, 4);
    return std::ranges::all_of(high_size, [](uint8_t b) { return b == 0xff; }) ||
           std::ranges::all_of(high_size, [](uint8_t b) { return b == 0; });
}

// What has been unpacked so far. Never holds more than a step beyond the limit.
class Output {
  public:
    Output(uint64_t expected, uint64_t limit)
        : limit_(limit), bytes_(std::clamp<uint64_t>(expected, 4096, limit + 1)) {}
    std::span<uint8_t> room() {
        if (used_ == bytes_.size()) bytes_.resize(std::min<uint64_t>(bytes_.size() * 2, limit_ + 1));
        return std::span(bytes_).subspan(used_);
    }
    void keep(size_t left) { used_ = bytes_.size() - left; }
    bool over_limit() const { return used_ > limit_; }
    std::vector<uint8_t> take() {
        bytes_.resize(used_);
        return std::move(bytes_);
    }

  private:
    uint64_t limit_;
    size_t used_ = 0;
    std::vector<uint8_t> bytes_;
};

Result<> decompress_member(std::span<const uint8_t>& in, Compression compression, Output& output, uint64_t limit,
                           const Origin& origin) {
    const std::unique_ptr<Decoder> decoder = make_decoder(compression);
    for (;;) {
        std::span<uint8_t> out = output.room();
        const size_t in_before = in.size();
        const size_t out_before = out.size();
        const State state = decoder->step(in, out);
        output.keep(out.size());
        if (output.over_limit()) {
            return fail(origin.error(fmt::format("unpacks to more than {} MiB", limit >> 20), "give a smaller file"));
        }
        switch (state) {
            case State::kEnd:
                return {};
            case State::kDamaged:
                return fail(origin.error(fmt::format("its {} data is damaged", name_of(compression)), kWholeCopy));
            case State::kOutOfMemory:
                return fail(
                    origin.error(fmt::format("unpacking its {} data takes too much memory", name_of(compression)),
                                 "unpack it first, or compress it with a smaller dictionary"));
            case State::kMore:
                if (in.size() == in_before && out.size() == out_before) {
                    return fail(origin.error(fmt::format("is truncated: its {} data ends early", name_of(compression)),
                                             kWholeCopy));
                }
        }
    }
}

}  // namespace

std::string_view name_of(Compression compression) {
    switch (compression) {
        case Compression::kGzip:
            return "gzip";
        case Compression::kZstd:
            return "zstd";
        case Compression::kXz:
            return "xz";
        case Compression::kLzma:
            break;
    }
    return "lzma";
}

std::optional<Compression> detect_compression(std::span<const uint8_t> file) {
    if (has_magic(file, 0, "\x1f\x8b\x08"sv)) return Compression::kGzip;
    if (has_magic(file, 0, "\x28\xb5\x2f\xfd"sv)) return Compression::kZstd;
    if (has_magic(file, 0,
                  "\xfd"
                  "7zXZ\0"sv))
        return Compression::kXz;
    if (looks_like_lzma(file)) return Compression::kLzma;
    return std::nullopt;
}

Result<std::vector<uint8_t>> decompress(std::span<const uint8_t> file, Compression compression, uint64_t limit,
                                        const Origin& origin) {
    // Each output byte is written once, so that a bound on the output also bounds the host's work; kernels shrink to a
    // third.
    Output output(uint64_t{file.size()} * 4, limit);
    std::span<const uint8_t> rest = file;
    do {
        DOPPEL_CHECK(decompress_member(rest, compression, output, limit, origin));
    } while (detect_compression(rest) == compression);
    return output.take();
}

}  // namespace doppel::machine::boot
