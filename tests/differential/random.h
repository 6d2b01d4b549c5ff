// Reproducible random numbers: the same on every host, unlike the standard library's distributions.
#pragma once

#include <cstdint>
#include <span>

namespace doppel::differential {

// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}
    // The stream of one numbered thing under a seed.
    Random(uint64_t seed, uint64_t number) : state_(Random(seed).next() ^ number * 0xd1342543de82ef95) {}

    uint64_t next() {
        uint64_t z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
    }
    uint32_t bits32() { return static_cast<uint32_t>(next() >> 32); }
    // Uniform in [0, count), count > 0.
    uint64_t below(uint64_t count) { return next() % count; }
    int64_t between(int64_t low, int64_t high) {
        return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low) + 1));
    }
    bool one_in(uint64_t count) { return below(count) == 0; }
    template <class T>
    const T& pick(std::span<const T> from) {
        return from[below(from.size())];
    }

  private:
    uint64_t state_;
};

}  // namespace doppel::differential
