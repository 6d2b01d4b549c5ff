// Locks between a client's processes, and with processes of the host.
#include <gtest/gtest.h>
#include <sys/file.h>

#include "base/temporary_folder.h"
#include "fuse/testing.h"

namespace doppel::fuse {
namespace {

constexpr uint64_t kRoot = FUSE_ROOT_ID;
constexpr uint64_t kEnd = INT64_MAX;
using std::chrono::milliseconds;

class Locks : public testing::Test {
  protected:
    void SetUp() override {
        server_ = std::move(*Server::create(UniqueFd(open(folder_.path().c_str(), O_RDONLY | O_DIRECTORY)), {}));
        server_->start_thread();
        client_ = std::make_unique<TestClient>(*server_);
        client_->init();
        file_ = client_->create(kRoot, "file");
        ASSERT_EQ(file_.error, 0);
    }
    fuse_lk_in lock(uint64_t owner, uint32_t type, uint64_t start = 0, uint64_t end = kEnd, uint32_t flags = 0) const {
        return {file_.handle, owner, {start, end, type, static_cast<uint32_t>(owner + 1000)}, flags, 0};
    }
    int set(const fuse_lk_in& in) { return client_->ask(FUSE_SETLK, file_.node, in).error; }
    std::future<Answer> wait(const fuse_lk_in& in) { return client_->send(FUSE_SETLKW, file_.node, bytes_of(in)); }
    static bool waits(std::future<Answer>& answer) {
        return answer.wait_for(milliseconds(20)) == std::future_status::timeout;
    }

    TemporaryFolder folder_;
    std::unique_ptr<Server> server_;
    std::unique_ptr<TestClient> client_;
    TestClient::Created file_{};
};

TEST_F(Locks, ExcludeOwnersFromEachOthersRecords) {
    EXPECT_EQ(set(lock(1, F_WRLCK, 0, 9)), 0);
    EXPECT_EQ(set(lock(2, F_WRLCK, 5, 5)), EAGAIN);
    EXPECT_EQ(set(lock(2, F_WRLCK, 10, kEnd)), 0);
    EXPECT_EQ(set(lock(1, F_RDLCK, 0, 9)), 0) << "its own it may change";
    EXPECT_EQ(set(lock(2, F_RDLCK, 5, 5)), 0);
    EXPECT_EQ(set(lock(3, F_RDLCK, 9, 2)), EINVAL);
    EXPECT_EQ(set(lock(3, 77, 0, 2)), EINVAL);
}

TEST_F(Locks, TellWhoIsInTheWay) {
    EXPECT_EQ(set(lock(1, F_WRLCK, 3, 9)), 0);
    const auto found = client_->ask(FUSE_GETLK, file_.node, lock(2, F_WRLCK)).as<fuse_lk_out>().lk;
    EXPECT_EQ(found.type, static_cast<uint32_t>(F_WRLCK));
    EXPECT_EQ(found.start, 3u);
    EXPECT_EQ(found.end, 9u);
    EXPECT_EQ(found.pid, 1001u);
    EXPECT_EQ(client_->ask(FUSE_GETLK, file_.node, lock(2, F_WRLCK, 20, 30)).as<fuse_lk_out>().lk.type,
              static_cast<uint32_t>(F_UNLCK));
}

TEST_F(Locks, GoWhenTheirOwnerClosesTheFile) {
    EXPECT_EQ(set(lock(1, F_WRLCK)), 0);
    EXPECT_EQ(client_->ask(FUSE_FLUSH, file_.node, fuse_flush_in{file_.handle, 0, 0, 2}).error, 0);
    EXPECT_EQ(set(lock(2, F_WRLCK)), EAGAIN);
    EXPECT_EQ(client_->ask(FUSE_FLUSH, file_.node, fuse_flush_in{file_.handle, 0, 0, 1}).error, 0);
    EXPECT_EQ(set(lock(2, F_WRLCK)), 0);
}

TEST_F(Locks, AreWaitedForWithoutAWorker) {
    EXPECT_EQ(set(lock(1, F_WRLCK)), 0);
    auto second = wait(lock(2, F_WRLCK)), third = wait(lock(3, F_WRLCK));
    EXPECT_TRUE(waits(second));
    EXPECT_EQ(set(lock(1, F_UNLCK)), 0);
    EXPECT_EQ(second.get().error, 0);
    EXPECT_TRUE(waits(third));
    EXPECT_EQ(set(lock(2, F_UNLCK)), 0);
    EXPECT_EQ(third.get().error, 0);
}

TEST_F(Locks, AreGivenUpWhenInterrupted) {
    EXPECT_EQ(set(lock(1, F_WRLCK)), 0);
    auto second = wait(lock(2, F_WRLCK));
    const uint64_t unique = client_->unique;
    EXPECT_FALSE(client_->ask(FUSE_INTERRUPT, file_.node, fuse_interrupt_in{unique}).answered);
    EXPECT_EQ(second.get().error, EINTR);
    EXPECT_EQ(set(lock(1, F_UNLCK)), 0);
    EXPECT_EQ(set(lock(3, F_WRLCK)), 0);
}

TEST_F(Locks, HoldAgainstTheHost) {
    const UniqueFd host(open((folder_ / "file").c_str(), O_RDWR));
    struct flock all {};
    all.l_type = F_WRLCK;
    ASSERT_EQ(fcntl(host.get(), F_OFD_SETLK, &all), 0);
    EXPECT_EQ(set(lock(1, F_RDLCK)), EAGAIN);
    auto waiting = wait(lock(1, F_WRLCK));
    EXPECT_TRUE(waits(waiting));
    all.l_type = F_UNLCK;
    ASSERT_EQ(fcntl(host.get(), F_OFD_SETLK, &all), 0);
    EXPECT_EQ(waiting.get().error, 0);
    all.l_type = F_RDLCK;
    EXPECT_NE(fcntl(host.get(), F_OFD_SETLK, &all), 0);
}

TEST_F(Locks, OfWholeFilesBelongToHandles) {
    const uint64_t other = client_->open(file_.node).as<fuse_open_out>().fh;
    EXPECT_EQ(set(lock(1, F_WRLCK, 0, kEnd, FUSE_LK_FLOCK)), 0);
    fuse_lk_in second = lock(2, F_RDLCK, 0, kEnd, FUSE_LK_FLOCK);
    second.fh = other;
    EXPECT_EQ(set(second), EAGAIN);
    auto waiting = wait(second);
    EXPECT_TRUE(waits(waiting));
    EXPECT_EQ(client_->release(file_.node, file_.handle, FUSE_RELEASE_FLOCK_UNLOCK).error, 0);
    EXPECT_EQ(waiting.get().error, 0);
    const UniqueFd host(open((folder_ / "file").c_str(), O_RDWR));
    EXPECT_NE(flock(host.get(), LOCK_EX | LOCK_NB), 0);
    EXPECT_EQ(flock(host.get(), LOCK_SH | LOCK_NB), 0);
}

TEST_F(Locks, AreNotWaitedForByTooMany) {
    EXPECT_EQ(set(lock(1, F_WRLCK)), 0);
    std::vector<std::future<Answer>> waiting;
    for (size_t i = 0; i < LockWaiters::kMost; i++) waiting.push_back(wait(lock(2, F_WRLCK)));
    EXPECT_EQ(wait(lock(2, F_WRLCK)).get().error, ENOLCK);
    server_->end_session();  // drops them
    for (auto& one : waiting) EXPECT_THROW(one.get(), std::future_error);
}

}  // namespace
}  // namespace doppel::fuse
