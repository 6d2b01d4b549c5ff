#include "machine/spec/disk_choice.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "base/sizes.h"

namespace doppel::machine {

namespace {

Error wrong(std::string why, std::string cure = {}) {
    return Error::usage("--disk", std::move(why), std::move(cure));
}

// Parted by commas; two of them are one that belongs to the word.
std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words(1);
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] != ',') {
            words.back() += text[i];
        } else if (i + 1 < text.size() && text[i + 1] == ',') {
            words.back() += text[i++];
        } else {
            words.emplace_back();
        }
    }
    return words;
}

Result<> take_format(std::string_view value, DiskChoice& disk) {
    if (value != "raw" && value != "qcow2")
        return fail(wrong(std::string(value) + " is no format of disks", "give format=raw or format=qcow2"));
    disk.format = value == "raw" ? DiskFormat::kRaw : DiskFormat::kQcow2;
    return {};
}

Result<> take_number(std::string_view value, uint64_t& into) {
    const char* end = value.data() + value.size();
    const auto [stop, problem] = std::from_chars(value.data(), end, into);
    if (problem == std::errc() && stop == end && into > 0) return {};
    return fail(wrong(std::string(value) + " is no number of requests a second"));
}

Result<> take_size(std::string_view value, uint64_t& into) {
    DOPPEL_TRY(into, parse_size(value, "--disk"));
    return into > 0 ? Result<>() : fail(wrong("0 bytes a second are none", "leave it out for no limit"));
}

Result<> take_word(std::string_view word, DiskChoice& disk) {
    if (word == "ro") return disk.read_only = true, Result<>();
    if (word == "snapshot") return disk.snapshot = true, Result<>();
    const auto equals = word.find('=');
    const std::string_view key = word.substr(0, equals);
    const std::string_view value = equals == word.npos ? "" : word.substr(equals + 1);
    if (equals != word.npos) {
        if (key == "format") return take_format(value, disk);
        if (key == "iops") return take_number(value, disk.requests.rate);
        if (key == "iops-burst") return take_number(value, disk.requests.burst);
        if (key == "bps") return take_size(value, disk.bytes.rate);
        if (key == "bps-burst") return take_size(value, disk.bytes.burst);
        if (key == "serial") return disk.serial = value, Result<>();
    }
    return fail(wrong(word.empty() ? "a word is missing after a comma" : std::string(word) + " is no option of a disk",
                      "give format=, ro, snapshot, iops=, iops-burst=, bps=, bps-burst= or serial=; a comma of the "
                      "file's name stands twice"));
}

void append_limit(std::string& text, std::string_view key, const DiskLimit& limit) {
    if (limit.rate != 0) text.append(",").append(key).append("=" + std::to_string(limit.rate));
    if (limit.burst != 0) text.append(",").append(key).append("-burst=" + std::to_string(limit.burst));
}

bool is_serial(std::string_view serial) {
    return serial.size() <= kMaxDiskSerial &&
           std::ranges::all_of(serial, [](char c) { return c > ' ' && c < 0x7f && c != ','; });
}

}  // namespace

Result<DiskChoice> disk_from(std::string_view text) {
    DiskChoice disk;
    const std::vector<std::string> words = words_of(text);
    disk.path = words.front();
    for (size_t i = 1; i < words.size(); i++) DOPPEL_CHECK(take_word(words[i], disk));
    DOPPEL_CHECK(validate(disk));
    return disk;
}

std::string text_of(const DiskChoice& disk) {
    std::string text;
    for (char c : disk.path) text.append(c == ',' ? 2 : 1, c);
    if (disk.format) text += *disk.format == DiskFormat::kRaw ? ",format=raw" : ",format=qcow2";
    if (disk.read_only) text += ",ro";
    if (disk.snapshot) text += ",snapshot";
    append_limit(text, "iops", disk.requests);
    append_limit(text, "bps", disk.bytes);
    if (!disk.serial.empty()) text += ",serial=" + disk.serial;
    return text;
}

Result<> validate(const DiskChoice& disk) {
    if (disk.path.empty()) return fail(wrong("a path is missing"));
    if (disk.read_only && disk.snapshot)
        return fail(wrong("ro and snapshot exclude each other", "with snapshot the file stays as it is, too"));
    for (const DiskLimit& limit : {disk.requests, disk.bytes})
        if (limit.rate == 0 && limit.burst != 0)
            return fail(wrong("a burst is given without its limit", "give iops= or bps=, too"));
    if (!is_serial(disk.serial))
        return fail(wrong(disk.serial + " is no serial number", "give at most 20 printable characters"));
    return {};
}

}  // namespace doppel::machine
