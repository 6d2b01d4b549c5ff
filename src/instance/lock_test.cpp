#include "instance/lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/temporary_folder.h"

namespace doppel::instance {
namespace {

// A process that holds the lock until it is killed; its parent's descriptors of it are closed.
class Holder {
  public:
    explicit Holder(const std::filesystem::path& directory) {
        int told[2];
        EXPECT_EQ(pipe(told), 0);
        pid_ = fork();
        if (pid_ == 0) {
            const auto lock = open_lock_file(directory);
            const bool taken = lock && try_lock(lock->get(), kRunsByte);
            if (write(told[1], taken ? "y" : "n", 1) != 1) _exit(1);
            while (true) pause();
        }
        char answer = 0;
        EXPECT_EQ(read(told[0], &answer, 1), 1);
        EXPECT_EQ(answer, 'y');
        close(told[0]);
        close(told[1]);
    }
    ~Holder() { end(); }
    void end() {
        if (pid_ <= 0) return;
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }
    pid_t pid() const { return pid_; }

  private:
    pid_t pid_ = 0;
};

TEST(InstanceLock, TellsWhetherSomebodyRunsWithoutTakingAnything) {
    const TemporaryFolder folder;
    const auto probe = open_lock_file(folder.path());
    ASSERT_TRUE(probe);
    EXPECT_FALSE(is_locked(probe->get(), kRunsByte));
    Holder holder(folder.path());
    EXPECT_TRUE(is_locked(probe->get(), kRunsByte));
    EXPECT_FALSE(is_locked(probe->get(), kChangesByte));
    EXPECT_FALSE(try_lock(probe->get(), kRunsByte));
    holder.end();
    EXPECT_FALSE(is_locked(probe->get(), kRunsByte));
    EXPECT_TRUE(try_lock(probe->get(), kRunsByte));
}

TEST(InstanceLock, LetsOneChangeAtATime) {
    const TemporaryFolder folder;
    auto first = ChangesLock::try_take(folder.path());
    ASSERT_TRUE(first);
    EXPECT_FALSE(ChangesLock::try_take(folder.path()));
    first.reset();
    EXPECT_TRUE(ChangesLock::try_take(folder.path()));
    EXPECT_TRUE(ChangesLock::wait(folder.path()));
}

TEST(InstanceLock, SaysWhereThereIsNoDirectory) {
    const TemporaryFolder folder;
    EXPECT_FALSE(ChangesLock::wait(folder / "none"));
    EXPECT_FALSE(ChangesLock::try_take(folder / "none"));
}

TEST(InstanceLock, FindsItsHolderAndNobodyElse) {
    const TemporaryFolder folder, other;
    Holder holder(folder.path());
    { EXPECT_TRUE(open_lock_file(other.path())); }
    const auto process = open_holder(holder.pid(), folder.path());
    ASSERT_TRUE(process);
    EXPECT_FALSE(wait_for_end(process->get(), 0));
    // The number of a process that has nothing to do with it, as one that was given again would be.
    EXPECT_FALSE(open_holder(holder.pid(), other.path()));
    EXPECT_FALSE(open_holder(1, folder.path()));
    EXPECT_FALSE(open_holder(0, folder.path()));
    EXPECT_TRUE(send_signal(process->get(), SIGKILL));
    EXPECT_TRUE(wait_for_end(process->get(), 60'000));
    holder.end();
    EXPECT_FALSE(send_signal(process->get(), SIGKILL));
}

}  // namespace
}  // namespace doppel::instance
