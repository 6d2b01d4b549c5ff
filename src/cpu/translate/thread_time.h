// How long translating takes.
#pragma once

#include <cstdint>
#include <ctime>

namespace doppel::cpu::translate {

// Of the calling thread's processor time.
inline uint64_t thread_nanoseconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    constexpr uint64_t kSecond = 1'000'000'000;
    return static_cast<uint64_t>(now.tv_sec) * kSecond + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace doppel::cpu::translate
