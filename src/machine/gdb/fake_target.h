// For the server's tests and its fuzzer: a target of three threads, eight registers and 64 KiB of memory.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "machine/gdb/target.h"

namespace doppel::machine::gdb::fake {

class Machine final : public Target {
  public:
    static constexpr unsigned kThreads = 3;
    static constexpr size_t kRegisters = 8, kPc = 4, kUnreadable = 6, kReadOnly = 7;
    static constexpr uint64_t kMemory = 0x1000, kMemoryBytes = 0x10000, kPhysicalOffset = 0x100000;

    unsigned thread_count() const override { return kThreads; }
    std::string thread_info(unsigned thread) override { return "thread number " + std::to_string(thread); }
    bool running() const override { return is_running; }
    void halt() override {
        halts++;
        is_running = false;
    }
    void resume(std::span<const Motion> motions) override {
        is_running = true;
        stops.clear();
        resumes.emplace_back(motions.begin(), motions.end());
    }
    std::vector<Stop> take_stops() override { return std::exchange(stops, {}); }
    void set_points(std::span<const Point> wanted) override { points.assign(wanted.begin(), wanted.end()); }

    const RegisterLayout& registers() const override { return layout; }
    std::optional<std::string> read_register(unsigned thread, size_t number) override {
        if (number == kUnreadable) return std::nullopt;
        std::string bytes(layout.bytes[number], '\0');
        std::memcpy(bytes.data(), &values[thread][number], bytes.size());
        return bytes;
    }
    bool write_register(unsigned thread, size_t number, std::string_view bytes) override {
        if (number == kReadOnly) return false;
        std::memcpy(&values[thread][number], bytes.data(), std::min(bytes.size(), sizeof(uint64_t)));
        return true;
    }
    size_t read_memory(const Place& place, std::span<uint8_t> to) override {
        size_t bytes = reachable(place, to.size());
        if (bytes > 0) std::memcpy(to.data(), memory.data() + offset_of(place), bytes);
        return bytes;
    }
    bool write_memory(const Place& place, std::span<const uint8_t> from) override {
        if (reachable(place, from.size()) < from.size()) return false;
        std::memcpy(memory.data() + offset_of(place), from.data(), from.size());
        return true;
    }
    std::optional<std::string> monitor(std::string_view command) override {
        if (command != "poke") return std::nullopt;
        return "ouch\n";
    }
    std::string monitor_help() const override { return "poke\n"; }
    void kill() override { killed = true; }

    bool is_running = false, killed = false;
    int halts = 0;
    std::vector<Stop> stops;
    std::vector<std::vector<Motion>> resumes;
    std::vector<Point> points;
    uint64_t values[kThreads][kRegisters] = {};
    std::string memory = std::string(kMemoryBytes, '\0');
    RegisterLayout layout{std::string(20000, 'd'), {8, 8, 8, 8, 8, 4, 8, 8}, 5, kPc, {1, kPc}};

  private:
    static uint64_t offset_of(const Place& place) {
        return place.address - kMemory - (place.space == AddressSpace::kPhysical ? kPhysicalOffset : 0);
    }
    static size_t reachable(const Place& place, size_t bytes) {
        uint64_t offset = offset_of(place);
        return offset >= kMemoryBytes ? 0 : std::min<uint64_t>(bytes, kMemoryBytes - offset);
    }
};

}  // namespace doppel::machine::gdb::fake
