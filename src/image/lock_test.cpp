#include "image/lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <future>

#include "image/test_folder.h"

namespace doppel::image {

namespace {

TEST(Lock, IsHeldByOneAtATime) {
    TestFolder directory;
    auto first = lock_directory(directory.path() / "new");
    ASSERT_TRUE(first);
    std::promise<void> waits;
    auto second = std::async(std::launch::async, [&] {
        return lock_directory(directory.path() / "new", {}, [&] { waits.set_value(); }).has_value();
    });
    waits.get_future().wait();  // it found the lock taken
    first->reset();
    EXPECT_TRUE(second.get());
}

TEST(Lock, WaitingEndsWhenAskedToStop) {
    TestFolder directory;
    auto first = lock_directory(directory.path());
    ASSERT_TRUE(first);
    UniqueFd event(::eventfd(0, EFD_CLOEXEC));
    auto second = lock_directory(directory.path(), StopRequest(event.get()), [&] { ::eventfd_write(event.get(), 1); });
    ASSERT_FALSE(second);
    EXPECT_THAT(second.error().message(), testing::HasSubstr("interrupted"));
}

TEST(Lock, SaysWhyTheDirectoryCannotBeMade) {
    TestFolder directory;
    auto file = directory.write("file", "");
    auto lock = lock_directory(file / "below");
    ASSERT_FALSE(lock);
    EXPECT_THAT(lock.error().message(), testing::HasSubstr(file.string()));
}

}  // namespace

}  // namespace doppel::image
