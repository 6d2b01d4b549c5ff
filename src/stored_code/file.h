// One file of units: what one guest's machines have translated, in one configuration. Never changed once it is there;
// a newer one takes its place by a rename, so that whoever has opened one may go on reading.
//
// Little-endian: "DPLTRANS", u32 format, u32 index bytes, u64 file bytes, u32 generation, u32 units, u32 bytes of the
// configuration, u32 bytes of the guest, u64 checksum of all this and the index. The index: configuration, guest, and
// for each unit u64 place in the file, u64 its bytes' checksum, u64 key, u32 bytes, u32 last used, u16 parts, u8 loop,
// u8 mode, u32 0, and for each part u16 offset, u16 bytes, u16 first two bytes of its code, u16 0, u64 its code's
// checksum. Units (unit.h) follow. Checksums are hash64.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "stored_code/unit.h"

namespace doppel::stored_code {

inline constexpr uint64_t kMaxFileBytes = uint64_t{1} << 30;

// What a file's code is for. Text, each at most 64 KiB.
struct Identity {
    std::string configuration;  // all that must be the same: another one's code is not right
    std::string guest;          // where it is expected to be of use
    bool operator==(const Identity&) const = default;
};

// One unit on its way into a file.
struct FileUnit {
    uint32_t last_used = 0;      // the file's generation then
    std::vector<uint8_t> bytes;  // what encode() made
};

// What the index spends on a unit.
size_t index_bytes_of(const Unit& unit);
// The index has to stay below 4 GiB.
std::vector<uint8_t> encode_file(const Identity& identity, uint32_t generation, std::span<const FileUnit> units);

// An open file: its index is in memory, its units are read as they are asked for. Not thread-safe.
class File {
  public:
    // Content is untrusted. `path` is for errors. Needs the descriptor only.
    static Result<File> read(UniqueFd file, const std::filesystem::path& path);

    const Identity& identity() const { return identity_; }
    uint32_t generation() const { return generation_; }
    uint64_t bytes() const { return bytes_; }
    size_t count() const { return entries_.size(); }
    uint64_t key(size_t number) const { return entries_[number].key; }
    uint32_t last_used(size_t number) const { return entries_[number].last_used; }

    // A unit with a part at `offset`, for this mode, whose code seems to be that of `page` (kPageBytes): is_code_of
    // says for sure. The largest there is.
    std::optional<size_t> find(std::span<const uint8_t> page, uint16_t offset, uint8_t mode) const;
    // nullopt: its bytes are damaged, or cannot be read.
    std::optional<std::vector<uint8_t>> read_bytes(size_t number) const;
    std::optional<Unit> read_unit(size_t number) const;
    // The same into a unit whose memory is used again, for who reads many that lie near each other.
    bool read_unit(size_t number, Unit& unit);

  private:
    struct Entry {
        uint64_t at;
        uint64_t checksum;
        uint64_t key;
        uint32_t bytes;
        uint32_t last_used;
        uint32_t first_part;
        uint16_t parts;
        bool is_loop;
        uint8_t mode;
    };
    struct PartEntry {
        uint64_t checksum;
        uint32_t unit;
        uint32_t next;  // in its bucket
        uint16_t offset;
        uint16_t bytes;
        uint16_t first;
    };
    // A part of the file that was read ahead: machines ask for units in about the order in which others made them.
    struct Chunk {
        uint64_t at = ~uint64_t{0};
        std::vector<uint8_t> bytes;
    };
    static constexpr size_t kChunkBytes = 16 << 10, kChunks = 16;
    static constexpr uint32_t kNone = ~uint32_t{0};

    File() = default;
    static bool is_unit(const Entry& entry, std::span<const uint8_t> bytes, Unit& unit);
    bool parse(std::span<const uint8_t> index, uint32_t units);
    void make_buckets();
    size_t bucket(uint16_t offset, uint16_t first, uint8_t mode) const;
    bool read_through_chunks(std::span<uint8_t> to, uint64_t at);
    bool seems_code_of(const Entry& entry, std::span<const uint8_t> page) const;

    UniqueFd file_;
    Identity identity_;
    uint32_t generation_ = 0;
    uint64_t bytes_ = 0;
    std::vector<Entry> entries_;
    std::vector<PartEntry> parts_;
    std::vector<uint32_t> buckets_;
    std::array<Chunk, kChunks> chunks_;
    std::vector<uint8_t> buffer_;
};

}  // namespace doppel::stored_code
