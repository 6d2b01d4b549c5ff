// One request and the room for its answer, as a transport brings them.
// Source: Linux, include/uapi/linux/fuse.h; virtio 1.2, 5.11.6.
#pragma once

#include <linux/fuse.h>
#include <sys/uio.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace doppel::fuse {

// The memory belongs to the transport and stays until `answer`. It can change at any moment: the client's own.
class Exchange {
  public:
    virtual ~Exchange() = default;
    virtual std::span<const iovec> request() const = 0;
    virtual std::span<const iovec> reply() const = 0;
    // Once, on any thread, with the number of bytes in `reply`: 0 where there is none. An exchange that is destroyed
    // without it belongs to a session that is over.
    virtual void answer(uint64_t bytes) = 0;
};

// The parts from `offset` on, at most `length` bytes of them.
std::vector<iovec> slice(std::span<const iovec> parts, uint64_t offset, uint64_t length);
uint64_t total(std::span<const iovec> parts);

// Reads a request from its beginning, each byte once.
class Input {
  public:
    explicit Input(std::span<const iovec> parts) : parts_(parts), left_(total(parts)) {}

    uint64_t left() const { return left_; }
    // The rest of the request ends after `bytes`.
    void limit(uint64_t bytes) {
        if (bytes < left_) left_ = bytes;
    }
    // False, and nothing read, when less is left.
    [[nodiscard]] bool take(void* to, size_t bytes);
    template <class T>
    [[nodiscard]] bool take(T& value) {
        static_assert(std::is_trivially_copyable_v<T>);
        return take(&value, sizeof value);
    }
    // Up to the next NUL, which is taken too. nullopt when there is none within `longest` bytes.
    std::optional<std::string> take_text(size_t longest);
    // What is left, at most `bytes`, where it lies.
    std::vector<iovec> rest(uint64_t bytes) const { return slice(parts_, position_, bytes < left_ ? bytes : left_); }

  private:
    void copy(void* to, size_t bytes);

    std::span<const iovec> parts_;
    uint64_t left_;
    uint64_t position_ = 0;
};

// Writes an answer behind the place of its header, which comes last.
class Output {
  public:
    explicit Output(std::span<const iovec> parts)
        : parts_(parts), room_(total(parts)), position_(sizeof(fuse_out_header)) {}

    // Bytes that still fit.
    uint64_t room() const { return position_ < room_ ? room_ - position_ : 0; }
    // False, and nothing written, when it does not fit.
    [[nodiscard]] bool put(const void* from, size_t bytes);
    template <class T>
    [[nodiscard]] bool put(const T& value) {
        static_assert(std::is_trivially_copyable_v<T>);
        return put(&value, sizeof value);
    }
    // Where the next bytes go, for whoever fills them in himself and then says how many.
    std::vector<iovec> place(uint64_t bytes) const { return slice(parts_, position_, bytes < room() ? bytes : room()); }
    void filled(uint64_t bytes) { position_ += bytes; }

    // The header, and with an error nothing else. Returns the length of all; 0 when not even a header fits.
    uint64_t finish(uint64_t unique, int error_number);

  private:
    void copy(uint64_t offset, const void* from, size_t bytes);

    std::span<const iovec> parts_;
    uint64_t room_;
    uint64_t position_;
};

}  // namespace doppel::fuse
