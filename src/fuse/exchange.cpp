#include "fuse/exchange.h"

#include <algorithm>

namespace doppel::fuse {

uint64_t total(std::span<const iovec> parts) {
    uint64_t bytes = 0;
    for (const iovec& part : parts) bytes += part.iov_len;
    return bytes;
}

std::vector<iovec> slice(std::span<const iovec> parts, uint64_t offset, uint64_t length) {
    std::vector<iovec> found;
    for (const iovec& part : parts) {
        if (length == 0) break;
        if (offset >= part.iov_len) {
            offset -= part.iov_len;
            continue;
        }
        const uint64_t bytes = std::min<uint64_t>(part.iov_len - offset, length);
        found.push_back({static_cast<uint8_t*>(part.iov_base) + offset, bytes});
        length -= bytes;
        offset = 0;
    }
    return found;
}

void Input::copy(void* to, size_t bytes) {
    auto* at = static_cast<uint8_t*>(to);
    for (const iovec& piece : slice(parts_, position_, bytes)) {
        std::memcpy(at, piece.iov_base, piece.iov_len);
        at += piece.iov_len;
    }
}

bool Input::take(void* to, size_t bytes) {
    if (bytes > left_) return false;
    copy(to, bytes);
    position_ += bytes;
    left_ -= bytes;
    return true;
}

std::optional<std::string> Input::take_text(size_t longest) {
    std::string text(std::min<uint64_t>(left_, longest + 1), '\0');
    copy(text.data(), text.size());
    const size_t end = text.find('\0');
    if (end == text.npos) return std::nullopt;
    text.resize(end);
    position_ += end + 1;
    left_ -= end + 1;
    return text;
}

void Output::copy(uint64_t offset, const void* from, size_t bytes) {
    const auto* at = static_cast<const uint8_t*>(from);
    for (const iovec& piece : slice(parts_, offset, bytes)) {
        std::memcpy(piece.iov_base, at, piece.iov_len);
        at += piece.iov_len;
    }
}

bool Output::put(const void* from, size_t bytes) {
    if (bytes > room()) return false;
    copy(position_, from, bytes);
    position_ += bytes;
    return true;
}

uint64_t Output::finish(uint64_t unique, int error_number) {
    if (room_ < sizeof(fuse_out_header)) return 0;
    if (error_number != 0) position_ = sizeof(fuse_out_header);
    const fuse_out_header header{static_cast<uint32_t>(position_), -error_number, unique};
    copy(0, &header, sizeof header);
    return position_;
}

}  // namespace doppel::fuse
