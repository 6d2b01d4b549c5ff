// A view of memory in several parts: what a request reads into or writes from.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace doppel::storage {

// Neither the parts nor what they point to are owned; both must last as long as the request. The bytes may be a
// guest's, who can change them at any moment.
class Buffers {
  public:
    Buffers() = default;
    explicit Buffers(std::span<const iovec> parts) : parts_(parts.data()), count_(parts.size()) {
        for (const iovec& part : parts) size_ += part.iov_len;
    }
    template <size_t N>
    explicit Buffers(std::span<uint8_t, N> bytes) : Buffers(bytes.data(), bytes.size()) {}
    // To write from; what is `const` must not be read into.
    template <size_t N>
    explicit Buffers(std::span<const uint8_t, N> bytes) : Buffers(const_cast<uint8_t*>(bytes.data()), bytes.size()) {}

    uint64_t size() const { return size_; }
    bool empty() const { return size_ == 0; }

    // `offset` and `length` lie inside.
    Buffers slice(uint64_t offset, uint64_t length) const {
        Buffers part = *this;
        part.size_ = length;
        if (parts_ == nullptr) {
            part.single_ = {static_cast<uint8_t*>(single_.iov_base) + offset, length};
            return part;
        }
        part.skip_ += offset;
        while (part.count_ > 0 && part.skip_ >= part.parts_->iov_len) {
            part.skip_ -= part.parts_->iov_len;
            part.parts_++;
            part.count_--;
        }
        return part;
    }
    Buffers from(uint64_t offset) const { return slice(offset, size_ - offset); }

    // Calls f(std::span<uint8_t>) for each part.
    template <class F>
    void for_each(F&& f) const {
        if (size_ == 0) return;
        if (parts_ == nullptr) {
            f(std::span(static_cast<uint8_t*>(single_.iov_base), size_));
            return;
        }
        uint64_t left = size_;
        size_t skip = skip_;
        for (const iovec* part = parts_; left > 0; part++) {
            const size_t length = std::min<uint64_t>(part->iov_len - skip, left);
            if (length > 0) f(std::span(static_cast<uint8_t*>(part->iov_base) + skip, length));
            left -= length;
            skip = 0;
        }
    }
    void append_to(std::vector<iovec>& list) const {
        for_each([&](std::span<uint8_t> part) { list.push_back({part.data(), part.size()}); });
    }
    // The only part, or nothing where there are several.
    std::span<uint8_t> contiguous() const {
        if (parts_ == nullptr) return std::span(static_cast<uint8_t*>(single_.iov_base), size_);
        if (count_ > 0 && parts_->iov_len - skip_ >= size_)
            return std::span(static_cast<uint8_t*>(parts_->iov_base) + skip_, size_);
        return {};
    }
    void fill(uint8_t value) const {
        for_each([&](std::span<uint8_t> part) { std::memset(part.data(), value, part.size()); });
    }
    // `from` and `to` are as long as these buffers.
    void copy_from(const uint8_t* from) const {
        for_each([&](std::span<uint8_t> part) {
            std::memcpy(part.data(), from, part.size());
            from += part.size();
        });
    }
    void copy_to(uint8_t* to) const {
        for_each([&](std::span<uint8_t> part) {
            std::memcpy(to, part.data(), part.size());
            to += part.size();
        });
    }

  private:
    Buffers(uint8_t* bytes, size_t size) : single_{bytes, size}, size_(size) {}
    iovec single_{};  // the only part, where parts_ is null
    const iovec* parts_ = nullptr;
    size_t count_ = 0;
    size_t skip_ = 0;  // bytes of the first part that do not belong
    uint64_t size_ = 0;
};

}  // namespace doppel::storage
