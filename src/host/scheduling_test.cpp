#include "host/scheduling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

namespace doppel::host {
namespace {

using testing::Contains;
using testing::ElementsAre;

TEST(Scheduling, AWeightIsANiceValueAndAPriority) {
    EXPECT_EQ(nice_for(100), 0);
    EXPECT_EQ(nice_for(125), -1);
    EXPECT_EQ(nice_for(80), 1);
    EXPECT_EQ(nice_for(1), 19);
    EXPECT_EQ(nice_for(10'000), -20);
    EXPECT_EQ(io_priority_for(100), 4);
    EXPECT_EQ(io_priority_for(200), 3);
    EXPECT_EQ(io_priority_for(1), 7);
    EXPECT_EQ(io_priority_for(10'000), 0);
}

TEST(Scheduling, AThreadRunsWhereItIsTold) {
    const auto own = own_processors();
    ASSERT_FALSE(own.empty());
    std::thread([&] {
        EXPECT_TRUE(set_processors(0, {own.back()}));
        EXPECT_THAT(own_processors(), ElementsAre(own.back()));
        EXPECT_FALSE(set_processors(0, {own.back(), 1023})) << "there are no such many";
        EXPECT_THAT(own_processors(), ElementsAre(own.back()));
        EXPECT_TRUE(set_processors(0, own));
    }).join();
    EXPECT_FALSE(set_processors(0, {5000}));
}

TEST(Scheduling, AThreadTakesLess) {
    std::thread([] {
        EXPECT_TRUE(set_cpu_weight(0, 10));
        EXPECT_EQ(getpriority(PRIO_PROCESS, 0), nice_for(10));
        EXPECT_TRUE(set_io_weight(0, 10));
    }).join();
}

TEST(Scheduling, AProcessHasThreadsAndAFamily) {
    EXPECT_THAT(threads_of(getpid()), Contains(getpid()));
    const pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    EXPECT_THAT(family_of(getpid()), Contains(child));
    EXPECT_EQ(thread_name(getpid(), getpid()).empty(), false);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    EXPECT_TRUE(threads_of(child).empty());
}

}  // namespace
}  // namespace doppel::host
