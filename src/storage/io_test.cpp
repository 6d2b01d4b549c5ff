// Files and block devices through both engines, with an event loop and without.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <liburing.h>
#include <sys/mman.h>

#include <fstream>
#include <set>
#include <thread>

#include "base/temporary_folder.h"
#include "storage/at_once.h"
#include "storage/raw_file.h"

namespace doppel::storage {
namespace {

class Io : public testing::TestWithParam<bool> {
  protected:
    void SetUp() override {
        auto made = IoContext::create(nullptr, {.allow_uring = GetParam()});
        ASSERT_TRUE(made.has_value());
        io_ = std::move(*made);
        if (GetParam() && io_->engine() != "io_uring") GTEST_SKIP() << "the kernel refuses io_uring";
    }
    std::unique_ptr<RawFile> make(const std::string& name, uint64_t size, RawOptions options = {.writable = true}) {
        EXPECT_TRUE(create_raw_file(folder_ / name, size).has_value());
        auto file = RawFile::open(*io_, folder_ / name, options);
        EXPECT_TRUE(file.has_value()) << file.error().message();
        return std::move(*file);
    }
    TemporaryFolder folder_;
    std::unique_ptr<IoContext> io_;
};

TEST_P(Io, WritesAndReadsManyPartsAtOnce) {
    auto file = make("disk", 8 << 20);
    constexpr size_t kRequests = 100, kPart = 3, kParts = 3000;  // more than a system call takes
    std::vector<std::vector<uint8_t>> contents(kRequests);
    auto put = [&](size_t i) -> Task<Status> {
        contents[i].assign(kPart * kParts, static_cast<uint8_t>(i));
        std::vector<iovec> parts;
        for (size_t p = 0; p < kParts; p++) parts.push_back({&contents[i][p * kPart], kPart});
        co_return co_await file->write(i * 10000, Buffers(std::span<const iovec>(parts)));
    };
    EXPECT_TRUE(io_->run(for_each_at_once(kRequests, kRequests, put)).ok());
    std::vector<uint8_t> all(kRequests * 10000);
    EXPECT_TRUE(io_->run(file->read(0, Buffers(std::span(all)))).ok());
    for (size_t i = 0; i < kRequests; i++) {
        EXPECT_EQ(all[i * 10000 + 8999], i);
        EXPECT_EQ(all[i * 10000 + 9000], 0);
    }
    EXPECT_TRUE(io_->run(file->flush()).ok());
}

TEST_P(Io, RefusesWhatLiesOutside) {
    auto file = make("disk", 1000);
    std::vector<uint8_t> bytes(10);
    EXPECT_EQ(io_->run(file->read(991, Buffers(std::span(bytes)))), kOutOfRange);
    EXPECT_EQ(io_->run(file->write(UINT64_MAX - 2, Buffers(std::span(bytes)))), kOutOfRange);
    EXPECT_EQ(io_->run(file->discard(0, 1001)), kOutOfRange);
    EXPECT_TRUE(io_->run(file->read(990, Buffers(std::span(bytes)))).ok());
    file.reset();
    auto reader = RawFile::open(*io_, folder_ / "disk", {});
    ASSERT_TRUE(reader.has_value());
    EXPECT_EQ(io_->run((*reader)->write(0, Buffers(std::span(bytes)))), kReadOnly);
    EXPECT_EQ(io_->run((*reader)->write_zeroes(0, 5, false)), kReadOnly);
}

TEST_P(Io, ZeroesAndDiscardsAndTellsHoles) {
    auto file = make("disk", 1 << 20);
    std::vector<uint8_t> bytes(1 << 20, 7);
    EXPECT_TRUE(io_->run(file->write(0, Buffers(std::span(bytes)))).ok());
    EXPECT_TRUE(io_->run(file->write_zeroes(100, 200000, false)).ok());
    EXPECT_TRUE(io_->run(file->write_zeroes(300000, 100000, true)).ok());
    EXPECT_TRUE(io_->run(file->discard(524288, 65536)).ok());
    EXPECT_TRUE(io_->run(file->read(0, Buffers(std::span(bytes)))).ok());
    EXPECT_EQ(bytes[99], 7);
    EXPECT_EQ(bytes[100], 0);
    EXPECT_EQ(bytes[200099], 0);
    EXPECT_EQ(bytes[200100], 7);
    EXPECT_EQ(bytes[399999], 0);
    EXPECT_EQ(bytes[400000], 7);
    const auto extent = io_->run(file->extent(0, 1 << 20));
    ASSERT_TRUE(extent.has_value());
    EXPECT_TRUE(extent->data);
    EXPECT_EQ(extent->host_offset, 0u);
}

TEST_P(Io, GrowsOnlyAContainer) {
    auto file = make("disk", 10, {.writable = true, .container = true});
    std::vector<uint8_t> bytes(10, 1);
    EXPECT_TRUE(io_->run(file->write(100, Buffers(std::span(bytes)))).ok());
    EXPECT_EQ(file->size(), 110u);
    EXPECT_TRUE(file->extend(5000).ok());
    EXPECT_EQ(file->size(), 5000u);
    std::vector<uint8_t> read(10000, 9);
    EXPECT_TRUE(io_->run(file->read(100, Buffers(std::span(read)))).ok());
    EXPECT_EQ(read[9], 1);
    EXPECT_EQ(read[10], 0);
    EXPECT_EQ(read[9999], 0);
}

TEST_P(Io, ResizesWithRoomOrWithout) {
    auto file = make("disk", 1000);
    for (const auto how : {Preallocation::kOff, Preallocation::kFalloc, Preallocation::kFull}) {
        const uint64_t size = file->size() + 100000;
        EXPECT_TRUE(io_->run(file->resize(size, how)).has_value());
        EXPECT_EQ(file->size(), size);
    }
    EXPECT_TRUE(io_->run(file->resize(10, Preallocation::kOff)).has_value());
    EXPECT_EQ(std::filesystem::file_size(folder_ / "disk"), 10u);
}

TEST_P(Io, CallsRunElsewhere) {
    std::thread::id where;
    auto call = [&]() -> Task<Status> {
        auto work = [&] {
            where = std::this_thread::get_id();
            return -ENOSPC;
        };
        const int result = co_await io_->call(work);
        co_return Status(-result);
    };
    EXPECT_TRUE(io_->run(call()).no_space());
    EXPECT_NE(where, std::this_thread::get_id());
}

TEST_P(Io, GoesOnWithNewThreads) {
    std::set<std::thread::id> before, after;
    auto note = [this](std::set<std::thread::id>& into) {
        auto call = [&into] {
            into.insert(std::this_thread::get_id());
            return 0;
        };
        auto task = [](IoContext& io, auto& function) -> Task<Status> { co_return Status(co_await io.call(function)); };
        EXPECT_TRUE(io_->run(task(*io_, call)).ok());
    };
    note(before);
    ASSERT_TRUE(io_->restart_threads().has_value());
    note(after);
    EXPECT_FALSE(after.contains(std::this_thread::get_id()));
    EXPECT_EQ(before.size() + after.size(), 2u);
}

TEST(Uring, OpensNoFiles) {
    auto engine = make_uring_engine();
    if (!engine) GTEST_SKIP() << "the kernel refuses io_uring";
    // As one who has the descriptor only: where the rings lie, another of the same size tells.
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN;
    io_uring other{}, ring{};
    ASSERT_EQ(io_uring_queue_init_params(256, &other, &parameters), 0);
    ASSERT_EQ(io_uring_queue_mmap((*engine)->readiness(), &parameters, &ring), 0);
    for (const bool allowed : {true, false}) {
        io_uring_sqe* entry = io_uring_get_sqe(&ring);
        ASSERT_NE(entry, nullptr);
        if (allowed) {
            io_uring_prep_nop(entry);
        } else {
            io_uring_prep_openat(entry, AT_FDCWD, "/dev/null", O_RDONLY, 0);
        }
        ASSERT_EQ(io_uring_submit(&ring), 1);
        io_uring_cqe* result = nullptr;
        ASSERT_EQ(io_uring_wait_cqe(&ring, &result), 0);
        EXPECT_EQ(result->res, allowed ? 0 : -EACCES);
        io_uring_cqe_seen(&ring, result);
    }
    munmap(ring.sq.sqes, parameters.sq_entries * sizeof(io_uring_sqe));
    munmap(ring.sq.ring_ptr, ring.sq.ring_sz);
    io_uring_queue_exit(&other);
}

Task<Status> sleep(IoContext& io) {
    const uint64_t soon = io.clock().monotonic() + 1'000'000;
    co_await io.sleep_until(soon);
    co_return io.clock().monotonic() >= soon ? kOk : kIoError;
}

TEST_P(Io, ServesAnEventLoop) {
    auto loop = EventLoop::create();
    ASSERT_TRUE(loop.has_value());
    auto io = IoContext::create(loop->get(), {.allow_uring = GetParam()});
    ASSERT_TRUE(io.has_value());
    ASSERT_TRUE(create_raw_file(folder_ / "disk", 1 << 20).has_value());
    auto file = RawFile::open(**io, folder_ / "disk", {.writable = true});
    ASSERT_TRUE(file.has_value());
    std::vector<uint8_t> bytes(5000, 3), read(5000);
    std::vector<int> order;
    // As a device does: callbacks on the loop's thread.
    (*loop)->post([&] {
        start((*file)->write(77, Buffers(std::span(bytes))), [&](Status written) {
            order.push_back(written.error_number());
            start((*file)->read(77, Buffers(std::span(read))), [&](Status status) {
                order.push_back(status.error_number());
                start(sleep(**io), [&](Status slept) {
                    order.push_back(slept.error_number());
                    (*loop)->stop();
                });
            });
        });
    });
    (*loop)->run();
    EXPECT_EQ(order, (std::vector<int>{0, 0, 0}));
    EXPECT_TRUE(read == bytes);
}

TEST_P(Io, LocksAgainstASecondWriter) {
    auto writer = make("disk", 1000);
    const auto second = RawFile::open(*io_, folder_ / "disk", {.writable = true});
    const auto reader = RawFile::open(*io_, folder_ / "disk", {});
    ASSERT_FALSE(second.has_value());
    EXPECT_NE(second.error().message().find("uses it"), std::string::npos);
    EXPECT_FALSE(reader.has_value());
    EXPECT_TRUE(RawFile::open(*io_, folder_ / "disk", {.share = true}).has_value());
    writer.reset();
    const auto first = RawFile::open(*io_, folder_ / "disk", {}), other = RawFile::open(*io_, folder_ / "disk", {});
    EXPECT_TRUE(first.has_value() && other.has_value());
    EXPECT_FALSE(RawFile::open(*io_, folder_ / "disk", {.writable = true}).has_value());
}

INSTANTIATE_TEST_SUITE_P(Engines, Io, testing::Bool(),
                         [](const auto& instance) { return instance.param ? "io_uring" : "threads"; });

}  // namespace
}  // namespace doppel::storage
