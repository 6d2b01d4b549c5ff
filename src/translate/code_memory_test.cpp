#include "translate/code_memory.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace doppel::translate {
namespace {

constexpr size_t kBytes = 1 << 16;

CodeMemory make() {
    auto made = CodeMemory::create(kBytes);
    EXPECT_TRUE(made) << made.error().message();
    return std::move(*made);
}

// How the page of an address is mapped: "r-xs".
std::string permissions(const void* address) {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        std::istringstream fields(line);
        uint64_t begin = 0, end = 0;
        char dash = 0;
        std::string found;
        fields >> std::hex >> begin >> dash >> end >> found;
        auto at = reinterpret_cast<uint64_t>(address);
        if (at >= begin && at < end) return found;
    }
    return "";
}

TEST(CodeMemory, RunsWhatIsPlacedInIt) {
    CodeMemory memory = make();
    const std::array<uint8_t, 6> code{0xb8, 42, 0, 0, 0, 0xc3};  // mov eax, 42; ret
    const uint8_t* at = memory.place(code);
    ASSERT_NE(at, nullptr);
    EXPECT_EQ(reinterpret_cast<int (*)()>(const_cast<uint8_t*>(at))(), 42);
    memory.writable(at)[1] = 43;
    EXPECT_EQ(reinterpret_cast<int (*)()>(const_cast<uint8_t*>(at))(), 43);
}

TEST(CodeMemory, IsNowhereWritableAndExecutable) {
    CodeMemory memory = make();
    const uint8_t* at = memory.place(std::array<uint8_t, 1>{0xc3});
    EXPECT_EQ(permissions(at), "r-xs");
    EXPECT_EQ(permissions(memory.writable(at)), "rw-s");
}

TEST(CodeMemoryDeathTest, IsNotWrittenWhereItRuns) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    CodeMemory memory = make();
    auto* at = const_cast<volatile uint8_t*>(memory.place(std::array<uint8_t, 1>{0xc3}));
    EXPECT_DEATH(*at = 0x90, "");
}

TEST(CodeMemory, PlacesAtMultiplesOf16UntilItIsFull) {
    CodeMemory memory = make();
    const std::vector<uint8_t> code(100, 0x90);
    size_t count = 0;
    const uint8_t* last = nullptr;
    while (const uint8_t* at = memory.place(code)) {
        EXPECT_EQ(reinterpret_cast<uintptr_t>(at) % 16, 0u);
        EXPECT_TRUE(memory.contains(at));
        if (last != nullptr) {
            EXPECT_GE(at, last + code.size());
        }
        last = at;
        count++;
    }
    EXPECT_EQ(count, (kBytes - code.size()) / 112 + 1);
    EXPECT_LE(memory.used(), memory.size());
    EXPECT_FALSE(memory.contains(memory.writable(last)));
}

TEST(CodeMemory, BeginsAnewBehindWhatIsKept) {
    CodeMemory memory = make();
    const uint8_t* kept = memory.place(std::array<uint8_t, 3>{1, 2, 3});
    size_t used = memory.used();
    const uint8_t* first = memory.place(std::vector<uint8_t>(1000, 4));
    memory.clear(used);
    EXPECT_EQ(memory.used(), used);
    EXPECT_EQ(memory.place(std::vector<uint8_t>(10, 5)), first);
    EXPECT_EQ(kept[2], 3);
}

TEST(CodeMemory, RefusesWhatIsTooLarge) {
    CodeMemory memory = make();
    EXPECT_EQ(memory.place(std::vector<uint8_t>(kBytes + 1)), nullptr);
    EXPECT_EQ(memory.used(), 0u);
    EXPECT_NE(memory.place(std::vector<uint8_t>(kBytes)), nullptr);
}

TEST(CodeMemory, MovesWithItsMappings) {
    CodeMemory memory = make();
    const uint8_t* at = memory.place(std::array<uint8_t, 2>{7, 8});
    CodeMemory moved = std::move(memory);
    EXPECT_TRUE(moved.contains(at));
    EXPECT_EQ(at[1], 8);
}

}  // namespace
}  // namespace doppel::translate
