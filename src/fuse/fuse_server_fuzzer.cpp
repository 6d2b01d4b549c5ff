// The server under hostile clients: any messages, over a folder in a place of its own.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "base/fuzz_folder.h"
#include "fuse/server.h"

namespace {

using namespace doppel::fuse;
namespace fs = std::filesystem;

// Everything that the server made is removed for the next input.
class Folder {
  public:
    Folder() {
        outside_ = doppel::make_fuzz_folder();
        fs::create_directory(path());
        const rlimit small{1 << 20, 1 << 20};  // no input fills the disk
        setrlimit(RLIMIT_FSIZE, &small);
        std::signal(SIGXFSZ, SIG_IGN);
        std::atexit([] { fs::remove_all(outside_); });
    }
    static fs::path path() { return fs::path(outside_) / "shared"; }
    static void restore() {
        std::error_code ignored;
        for (const auto& entry : fs::directory_iterator(path())) fs::remove_all(entry.path(), ignored);
        doppel::UniqueFd file(open((path() / "f").c_str(), O_CREAT | O_RDWR, 0644));
        if (write(file.get(), "content", 7) != 7) std::abort();
        fs::create_directory(path() / "d");
        fs::create_symlink("../..", path() / "l", ignored);
    }
    // Nothing but the folder lies beside it.
    static bool alone() { return std::distance(fs::directory_iterator(outside_), {}) == 1; }

  private:
    static inline std::string outside_;
};

class FuzzExchange final : public Exchange {
  public:
    FuzzExchange(std::vector<uint8_t> request, size_t room) : request_(std::move(request)), reply_(room) {
        in_ = {{request_.data(), request_.size() / 2},
               {request_.data() + request_.size() / 2, request_.size() - request_.size() / 2}};
        out_ = {{reply_.data(), reply_.size()}};
    }
    std::span<const iovec> request() const override { return in_; }
    std::span<const iovec> reply() const override { return out_; }
    void answer(uint64_t bytes) override {
        if (bytes > reply_.size()) std::abort();
    }

  private:
    std::vector<uint8_t> request_, reply_;
    std::vector<iovec> in_, out_;
};

void send(Server& server, uint32_t opcode, uint64_t node, std::span<const uint8_t> body, size_t room) {
    fuse_in_header header{};
    header.opcode = opcode;
    header.nodeid = node;
    header.len = static_cast<uint32_t>(sizeof header + body.size());
    std::vector<uint8_t> request(sizeof header);
    std::memcpy(request.data(), &header, sizeof header);
    request.insert(request.end(), body.begin(), body.end());
    server.serve(std::make_unique<FuzzExchange>(std::move(request), room));
}

}  // namespace

// Each message: opcode, node, length of the body, body. Small numbers, so that handles and nodes are met.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static Folder folder;
    Folder::restore();
    ServerOptions options;
    options.tree.descriptors = 3;
    options.open_files = 8;
    if (size > 0 && (data[0] & 1) != 0) options.tree.owners = Owners::Kind::kMapped;
    auto server =
        Server::create(doppel::UniqueFd(open(Folder::path().c_str(), O_RDONLY | O_DIRECTORY)), std::move(options));
    if (!server) std::abort();
    const fuse_init_in init{FUSE_KERNEL_VERSION, FUSE_KERNEL_MINOR_VERSION, 0, ~0U, 0, {}};
    send(**server, FUSE_INIT, 0, {reinterpret_cast<const uint8_t*>(&init), sizeof init}, 100);
    std::span<const uint8_t> left(data, size);
    while (left.size() > 4) {
        const size_t length = std::min<size_t>(left[2], left.size() - 4);
        send(**server, left[0] % 64, left[1] % 16, left.subspan(4, length), size_t{left[3]} * 16);
        left = left.subspan(4 + length);
    }
    server->reset();
    if (!Folder::alone()) std::abort();
    return 0;
}
