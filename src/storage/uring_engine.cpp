// Operations on an io_uring.
#include <liburing.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "storage/io_context.h"

namespace doppel::storage {

namespace {

constexpr unsigned kEntries = 256;

class UringEngine : public IoEngine {
  public:
    ~UringEngine() override {
        if (made_) io_uring_queue_exit(&ring_);
    }

    Result<> make() {
        io_uring_params parameters{};
        // Completions need not interrupt the thread: it looks for them (Linux 5.19; older kernels do not know the
        // flag).
        parameters.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN;
        int error = io_uring_queue_init_params(kEntries, &ring_, &parameters);
        if (error == -EINVAL) {
            parameters = {};
            parameters.flags = IORING_SETUP_R_DISABLED;
            error = io_uring_queue_init_params(kEntries, &ring_, &parameters);
        }
        if (error < 0) return fail(Error::system("set up disk input and output", "io_uring", -error));
        made_ = true;
        // Completions must not get lost when many are under way (Linux 5.5).
        if ((parameters.features & IORING_FEAT_NODROP) == 0 || !supports_all())
            return fail(Error{"set up disk input and output", "io_uring", "the kernel is too old", ""});
        return restrict();
    }

    void add(IoOperation& operation) override {
        io_uring_sqe* entry = io_uring_get_sqe(&ring_);
        if (entry == nullptr) {
            submit();
            entry = io_uring_get_sqe(&ring_);
        }
        if (entry == nullptr) {  // the kernel takes no more now
            backlog_.push_back(&operation);
            return;
        }
        prepare(*entry, operation);
    }

    void submit() override {
        io_uring_submit(&ring_);
        size_t moved = 0;
        for (; moved < backlog_.size(); moved++) {
            io_uring_sqe* entry = io_uring_get_sqe(&ring_);
            if (entry == nullptr) break;
            prepare(*entry, *backlog_[moved]);
        }
        if (moved == 0) return;
        backlog_.erase(backlog_.begin(), backlog_.begin() + static_cast<std::ptrdiff_t>(moved));
        io_uring_submit(&ring_);
    }

    size_t take(std::span<IoOperation*> into, bool wait, std::optional<uint64_t> nanoseconds) override {
        size_t count = peek(into);
        if (count > 0 || !wait) return count;
        io_uring_cqe* ignored = nullptr;
        if (nanoseconds) {
            __kernel_timespec limit{};
            limit.tv_sec = static_cast<long long>(*nanoseconds / 1'000'000'000);
            limit.tv_nsec = static_cast<long long>(*nanoseconds % 1'000'000'000);
            io_uring_wait_cqe_timeout(&ring_, &ignored, &limit);
        } else {
            io_uring_wait_cqe(&ring_, &ignored);
        }
        return peek(into);
    }

    int readiness() const override { return ring_.ring_fd; }
    std::string_view name() const override { return "io_uring"; }

  private:
    // A ring opens files and makes connections past every filter of system calls: for a guest that has taken over its
    // machine this one must not (Linux 5.10).
    Result<> restrict() {
        constexpr std::array kOperations{IORING_OP_READ,  IORING_OP_READV,     IORING_OP_WRITE, IORING_OP_WRITEV,
                                         IORING_OP_FSYNC, IORING_OP_FALLOCATE, IORING_OP_NOP,   IORING_OP_TIMEOUT};
        std::array<io_uring_restriction, kOperations.size()> allowed{};
        for (size_t i = 0; i < allowed.size(); i++) {
            allowed[i].opcode = IORING_RESTRICTION_SQE_OP;
            allowed[i].sqe_op = static_cast<uint8_t>(kOperations[i]);
        }
        // By number: liburing exports no functions for these before 2.4.
        auto tell = [this](unsigned what, void* argument, size_t count) {
            return ::syscall(SYS_io_uring_register, ring_.ring_fd, what, argument, count) == 0;
        };
        if (!tell(IORING_REGISTER_RESTRICTIONS, allowed.data(), allowed.size()) ||
            !tell(IORING_REGISTER_ENABLE_RINGS, nullptr, 0))
            return fail(Error::system("set up disk input and output", "io_uring", errno));
        return {};
    }

    bool supports_all() {
        io_uring_probe* probe = io_uring_get_probe_ring(&ring_);
        if (probe == nullptr) return false;
        const bool all = io_uring_opcode_supported(probe, IORING_OP_READ) != 0 &&
                         io_uring_opcode_supported(probe, IORING_OP_FALLOCATE) != 0;
        io_uring_free_probe(probe);
        return all;
    }

    static void prepare(io_uring_sqe& entry, IoOperation& operation) {
        const auto& parts = operation.parts;
        const bool single = parts.size() == 1 && parts[0].iov_len <= INT32_MAX;
        switch (operation.kind) {
            case IoOperation::Kind::kRead:
                if (single)
                    io_uring_prep_read(&entry, operation.fd, parts[0].iov_base, static_cast<unsigned>(parts[0].iov_len),
                                       operation.offset);
                else
                    io_uring_prep_readv(&entry, operation.fd, parts.data(), static_cast<unsigned>(parts.size()),
                                        operation.offset);
                break;
            case IoOperation::Kind::kWrite:
                if (single)
                    io_uring_prep_write(&entry, operation.fd, parts[0].iov_base,
                                        static_cast<unsigned>(parts[0].iov_len), operation.offset);
                else
                    io_uring_prep_writev(&entry, operation.fd, parts.data(), static_cast<unsigned>(parts.size()),
                                         operation.offset);
                break;
            case IoOperation::Kind::kDataSync:
                io_uring_prep_fsync(&entry, operation.fd, IORING_FSYNC_DATASYNC);
                break;
            case IoOperation::Kind::kFallocate:
                // Sizes of 64 bits, which this function of older liburings narrows.
                io_uring_prep_fallocate(&entry, operation.fd, operation.mode, 0, 0);
                entry.off = operation.offset;
                entry.addr = operation.length;
                break;
            case IoOperation::Kind::kCall:  // the context gives these to threads
                io_uring_prep_nop(&entry);
                break;
        }
        io_uring_sqe_set_data(&entry, &operation);
    }

    size_t peek(std::span<IoOperation*> into) {
        std::array<io_uring_cqe*, 64> entries;
        const unsigned found = io_uring_peek_batch_cqe(&ring_, entries.data(),
                                                       static_cast<unsigned>(std::min(into.size(), entries.size())));
        size_t count = 0;
        for (unsigned i = 0; i < found; i++) {
            auto* operation = static_cast<IoOperation*>(io_uring_cqe_get_data(entries[i]));
            if (operation == nullptr) continue;  // a timeout of older kernels
            operation->result = entries[i]->res;
            into[count++] = operation;
        }
        io_uring_cq_advance(&ring_, found);
        return count;
    }

    io_uring ring_{};
    bool made_ = false;
    std::vector<IoOperation*> backlog_;
};

}  // namespace

Result<std::unique_ptr<IoEngine>> make_uring_engine() {
    auto engine = std::make_unique<UringEngine>();
    DOPPEL_CHECK(engine->make());
    return engine;
}

}  // namespace doppel::storage
