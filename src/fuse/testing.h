// A client for tests: sends requests as a kernel does, and takes the answers apart.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fuse/server.h"

namespace doppel::fuse {

using Bytes = std::vector<uint8_t>;

template <class T>
Bytes bytes_of(const T& value) {
    const auto* at = reinterpret_cast<const uint8_t*>(&value);
    return {at, at + sizeof value};
}
inline Bytes text(const std::string& words) {
    Bytes bytes(words.begin(), words.end());
    bytes.push_back(0);
    return bytes;
}
inline Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

struct Answer {
    int error = 0;
    Bytes body;
    bool answered = true;
    template <class T>
    T as(size_t offset = 0) const {
        T value{};
        if (offset + sizeof value <= body.size()) std::memcpy(&value, body.data() + offset, sizeof value);
        return value;
    }
};

// Its memory lies in pieces, as a guest's does.
class TestExchange final : public Exchange {
  public:
    TestExchange(Bytes request, size_t room) : request_(std::move(request)), reply_(room, 0xee) {
        constexpr size_t kPiece = 37;
        for (auto [bytes, parts] : {std::pair(&request_, &in_), std::pair(&reply_, &out_)})
            for (size_t at = 0; at < bytes->size(); at += kPiece)
                parts->push_back({bytes->data() + at, std::min(kPiece, bytes->size() - at)});
    }
    std::span<const iovec> request() const override { return in_; }
    std::span<const iovec> reply() const override { return out_; }
    void answer(uint64_t bytes) override {
        Answer answer;
        if (bytes >= sizeof(fuse_out_header)) {
            fuse_out_header header;
            std::memcpy(&header, reply_.data(), sizeof header);
            answer.error = -header.error;
            answer.body.assign(reply_.begin() + sizeof header, reply_.begin() + static_cast<ptrdiff_t>(bytes));
        } else {
            answer.answered = false;
        }
        promise_.set_value(std::move(answer));
    }
    std::future<Answer> future() { return promise_.get_future(); }

  private:
    Bytes request_, reply_;
    std::vector<iovec> in_, out_;
    std::promise<Answer> promise_;
};

class TestClient {
  public:
    explicit TestClient(Server& server) : server_(server) {}

    uint32_t uid = 0, gid = 0;
    uint64_t unique = 0;

    std::future<Answer> send(uint32_t opcode, uint64_t node, const Bytes& body, size_t room = 70000) {
        fuse_in_header header{};
        header.len = static_cast<uint32_t>(sizeof header + body.size());
        header.opcode = opcode;
        header.unique = ++unique;
        header.nodeid = node;
        header.uid = uid;
        header.gid = gid;
        auto exchange = std::make_unique<TestExchange>(bytes_of(header) + body, room);
        auto future = exchange->future();
        server_.serve(std::move(exchange));
        return future;
    }
    Answer ask(uint32_t opcode, uint64_t node, const Bytes& body = {}, size_t room = 70000) {
        return send(opcode, node, body, room).get();
    }
    template <class T>
    requires(!std::is_same_v<T, Bytes>) Answer
        ask(uint32_t opcode, uint64_t node, const T& in, const Bytes& more = {}) {
        return ask(opcode, node, bytes_of(in) + more);
    }

    Answer init(uint32_t minor = FUSE_KERNEL_MINOR_VERSION, uint32_t flags = ~0U) {
        return ask(FUSE_INIT, 0, fuse_init_in{FUSE_KERNEL_VERSION, minor, 1 << 20, flags, 0, {}});
    }
    Answer look_up(uint64_t folder, const std::string& name) { return ask(FUSE_LOOKUP, folder, text(name)); }
    uint64_t node(uint64_t folder, const std::string& name) {
        return look_up(folder, name).as<fuse_entry_out>().nodeid;
    }
    fuse_attr attr(uint64_t node) { return ask(FUSE_GETATTR, node, fuse_getattr_in{}).as<fuse_attr_out>().attr; }
    struct Created {
        int error;
        uint64_t node, handle;
    };
    Created create(uint64_t folder, const std::string& name, uint32_t mode = 0644, uint32_t flags = O_RDWR) {
        const Answer answer =
            ask(FUSE_CREATE, folder, fuse_create_in{flags | O_CREAT, S_IFREG | mode, 0, 0}, text(name));
        return {answer.error, answer.as<fuse_entry_out>().nodeid, answer.as<fuse_open_out>(sizeof(fuse_entry_out)).fh};
    }
    Answer open(uint64_t node, uint32_t flags = O_RDWR) { return ask(FUSE_OPEN, node, fuse_open_in{flags, 0}); }
    Answer make_folder(uint64_t folder, const std::string& name, uint32_t mode = 0755) {
        return ask(FUSE_MKDIR, folder, fuse_mkdir_in{mode, 0}, text(name));
    }
    Answer write(uint64_t node, uint64_t handle, uint64_t offset, const std::string& content, uint32_t flags = 0) {
        fuse_write_in in{};
        in.fh = handle;
        in.offset = offset;
        in.size = static_cast<uint32_t>(content.size());
        in.write_flags = flags;
        return ask(FUSE_WRITE, node, in, Bytes(content.begin(), content.end()));
    }
    std::string read(uint64_t node, uint64_t handle, uint64_t offset = 0, uint32_t size = 4096) {
        fuse_read_in in{};
        in.fh = handle;
        in.offset = offset;
        in.size = size;
        const Answer answer = ask(FUSE_READ, node, in);
        return answer.error != 0 ? "error " + std::to_string(answer.error)
                                 : std::string(answer.body.begin(), answer.body.end());
    }
    Answer release(uint64_t node, uint64_t handle, uint32_t flags = 0) {
        return ask(FUSE_RELEASE, node, fuse_release_in{handle, 0, flags, 0});
    }
    Answer set(uint64_t node, fuse_setattr_in in) { return ask(FUSE_SETATTR, node, in); }
    Answer rename(uint64_t from, const std::string& old_name, uint64_t to, const std::string& new_name,
                  uint32_t flags = 0) {
        return ask(FUSE_RENAME2, from, fuse_rename2_in{to, flags, 0}, text(old_name) + text(new_name));
    }
    Answer set_xattr(uint64_t node, const std::string& name, const std::string& value) {
        const uint32_t in[2] = {static_cast<uint32_t>(value.size()), 0};
        return ask(FUSE_SETXATTR, node, bytes_of(in) + text(name) + Bytes(value.begin(), value.end()));
    }
    std::string get_xattr(uint64_t node, const std::string& name, uint32_t size = 1000) {
        const Answer answer = ask(FUSE_GETXATTR, node, fuse_getxattr_in{size, 0}, text(name));
        return answer.error != 0 ? "error " + std::to_string(answer.error)
                                 : std::string(answer.body.begin(), answer.body.end());
    }
    void forget(uint64_t node, uint64_t count) {
        fuse_forget_in in{count};
        ask(FUSE_FORGET, node, bytes_of(in), 0);
    }

  private:
    Server& server_;
};

}  // namespace doppel::fuse
