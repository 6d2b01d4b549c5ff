// What a crash leaves: every beginning of what was written, with the last write torn, and whole and with holes since
// the last flush. What was flushed is there, and the image can be used and mended.
#include <gtest/gtest.h>

#include <ostream>

#include "storage/qcow2/image_testing.h"

namespace doppel::storage::qcow2 {
namespace {

constexpr uint64_t kSector = 512;
constexpr uint64_t kUnit = 4096;  // the disk's content changes in these, each with a number of its own

struct Case {
    std::string name;
    CreateOptions options;
    bool backing = false;
};

void PrintTo(const Case& one, std::ostream* out) {
    *out << one.name;
}

std::vector<Case> cases() {
    const CreateOptions plain{.size = 2 << 20, .cluster_size = 4096};
    auto with = [&](auto change) {
        CreateOptions options = plain;
        change(options);
        return options;
    };
    return {
        {"plain", plain},
        {"version2", with([](auto& o) { o.version = 2; })},
        {"backing", plain, true},
        {"lazy", with([](auto& o) { o.lazy_refcounts = true; })},
        {"smallest_clusters", with([](auto& o) { o.cluster_size = 512, o.refcount_bits = 64; })},
        {"large_clusters", with([](auto& o) { o.cluster_size = 65536; })},
        {"extended", with([](auto& o) { o.extended_l2 = true, o.cluster_size = 65536; }), true},
        {"one_bit", with([](auto& o) { o.refcount_bits = 1; })},
    };
}

class Crash : public testing::TestWithParam<Case> {
  protected:
    // For each unit the values that it may have: the flushed one, and all since. Zero where nothing was written.
    using Possible = std::vector<std::vector<uint64_t>>;

    Crash() : image_(GetParam().options) {
        if (GetParam().backing) {
            image_.backing.bytes.resize(kUnits * kUnit);
            for (uint64_t u = 0; u < kUnits; u++)
                fill(std::span(image_.backing.bytes).subspan(u * kUnit, kUnit), u + 1000000);
        }
        for (uint64_t u = 0; u < kUnits; u++) possible_.push_back({GetParam().backing ? u + 1000000 : 0});
    }

    static void fill(std::span<uint8_t> unit, uint64_t value) {
        for (size_t at = 0; at < unit.size(); at += 8) store_be<uint64_t>(&unit[at], value);
    }

    // Records what reaches the file, and, beside it, what each moment must hold.
    void work() {
        image_.file.recording = true;
        start_ = image_.file.bytes;
        auto device = image_.open();
        ASSERT_TRUE(device);
        note();
        for (int i = 0; i < 160; i++) {
            const uint64_t unit = random_() % kUnits, count = std::min<uint64_t>(1 + random_() % 24, kUnits - unit);
            const uint64_t which = random_() % 10;
            if (which < 6) {
                std::vector<uint8_t> bytes(count * kUnit);
                for (uint64_t u = 0; u < count; u++) {
                    fill(std::span(bytes).subspan(u * kUnit, kUnit), ++value_);
                    possible_[unit + u].push_back(value_);
                }
                note();
                ASSERT_TRUE(finish(device->write(unit * kUnit, Buffers(std::span(bytes)))).ok());
            } else if (which < 8) {
                for (uint64_t u = 0; u < count; u++) possible_[unit + u].push_back(0);
                note();
                ASSERT_TRUE(finish(device->write_zeroes(unit * kUnit, count * kUnit, which == 7)).ok());
            } else if (which < 9) {
                ASSERT_TRUE(finish(device->flush()).ok());
                for (auto& values : possible_) values = {values.back()};
                note();
            }
        }
        ASSERT_TRUE(finish(device->close()).ok());
        note();
    }
    // From this entry of the log on, this is what may be there.
    void note() { moments_.emplace_back(image_.file.log.size(), possible_); }

    // What may be there after the first `length` entries: the last moment that had begun.
    const Possible& at(size_t length) const {
        size_t i = moments_.size() - 1;
        while (moments_[i].first > length) i--;
        return moments_[i].second;
    }

    // Opens the image as it is, as its user would, reads all of it, and mends it.
    void expect_survived(const MemoryDisk& disk, size_t length, const std::string& what) {
        TestImage after(GetParam().options);
        after.file.bytes = disk.bytes;
        after.backing.bytes = image_.backing.bytes;
        const bool lazy = GetParam().options.lazy_refcounts;
        const CheckReport found = after.check_now();
        // Leaks are all that may be wrong; with lazy refcounts these are counted anew.
        ASSERT_TRUE(lazy || found.corruptions == 0) << what << testing::PrintToString(found.messages);
        auto opened = after.try_open();
        ASSERT_TRUE(opened.has_value()) << what << opened.error().message();
        const auto bytes = read_all(**opened);
        const Possible& possible = at(length);
        for (uint64_t u = 0; u < kUnits; u++) {
            // A write that was under way may be there in part.
            for (uint64_t s = 0; s < kUnit; s += kSector) {
                const uint64_t value = load_be<uint64_t>(&bytes[u * kUnit + s]);
                ASSERT_TRUE(std::ranges::find(possible[u], value) != possible[u].end())
                    << what << ": unit " << u << " sector " << s / kSector << " holds " << value << ", flushed "
                    << possible[u].front();
            }
        }
        opened->reset();
        after.check_now(Repair::kAll);
        after.expect_clean();
    }

    static constexpr uint64_t kUnits = 512;
    std::mt19937_64 random_{17};
    TestImage image_;
    uint64_t value_ = 0;
    Possible possible_;
    std::vector<uint8_t> start_;
    std::vector<std::pair<size_t, Possible>> moments_;
};

// How many of the moments are looked at; all of them would take minutes.
size_t stride(size_t moments, size_t looks) {
    return std::max<size_t>(1, moments / looks);
}

TEST_P(Crash, AfterAnyWriteLosesNothingThatWasFlushed) {
    work();
    if (HasFatalFailure()) return;
    const auto& log = image_.file.log;
    const size_t step = std::getenv("DOPPEL_TEST_LONG") != nullptr ? 1 : stride(log.size(), 60);
    MemoryDisk disk{.bytes = start_};
    for (size_t i = 0; i < log.size(); i++) {
        if (i % step == random_() % step) {
            expect_survived(disk, i, "after " + std::to_string(i) + " writes");
            if (log[i].kind == MemoryDisk::Change::Kind::kWrite && log[i].length > kSector) {
                MemoryDisk torn{.bytes = disk.bytes};
                auto part = log[i];
                part.length = kSector * (1 + random_() % ((part.length - 1) / kSector));
                part.bytes.resize(part.length);
                torn.apply(part);
                expect_survived(torn, i + 1, "in the midst of write " + std::to_string(i));
            }
        }
        if (HasFatalFailure()) return;
        disk.apply(log[i]);
    }
    expect_survived(disk, log.size(), "at the end");
}

// A disk may carry out what was not flushed in any order: any subset of it can be there.
TEST_P(Crash, WithWritesOutOfOrderLosesNothingThatWasFlushed) {
    work();
    if (HasFatalFailure()) return;
    const auto& log = image_.file.log;
    const size_t step = std::getenv("DOPPEL_TEST_LONG") != nullptr ? 1 : stride(log.size(), 50);
    MemoryDisk durable{.bytes = start_};
    size_t flushed = 0;  // entries that are durable
    for (size_t i = 0; i <= log.size(); i++) {
        if (i % step == random_() % step) {
            MemoryDisk some{.bytes = durable.bytes};
            for (size_t k = flushed; k < i; k++) {
                // A file's size is its file system's: it does not grow after the data that needs it.
                if (log[k].kind == MemoryDisk::Change::Kind::kResize || random_() % 2 == 0) some.apply(log[k]);
            }
            expect_survived(some, i, "with some of the writes " + std::to_string(flushed) + " to " + std::to_string(i));
            if (HasFatalFailure()) return;
        }
        if (i == log.size()) break;
        if (log[i].kind != MemoryDisk::Change::Kind::kFlush) continue;
        for (; flushed <= i; flushed++) durable.apply(log[flushed]);
    }
}

INSTANTIATE_TEST_SUITE_P(Images, Crash, testing::ValuesIn(cases()),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace doppel::storage::qcow2
