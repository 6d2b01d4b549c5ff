// Random operations on images of every kind, compared with a plain model, one by one and many at once.
#include <gtest/gtest.h>

#include <ostream>

#include "storage/qcow2/compression.h"
#include "storage/qcow2/image_testing.h"

namespace doppel::storage::qcow2 {
namespace {

struct Case {
    std::string name;
    CreateOptions options;
    bool backing = false;
    bool late = false;
};

CreateOptions with(const std::function<void(CreateOptions&)>& change) {
    CreateOptions options{.size = (4 << 20) + 1536, .cluster_size = 4096};
    change(options);
    return options;
}

void PrintTo(const Case& one, std::ostream* out) {
    *out << one.name;
}

std::vector<Case> cases() {
    std::vector<Case> list{
        {"plain", with([](auto&) {})},
        {"version2", with([](auto& o) { o.version = 2; })},
        {"version2_backing", with([](auto& o) { o.version = 2; }), true},
        {"backing", with([](auto&) {}), true},
        {"lazy", with([](auto& o) { o.lazy_refcounts = true; })},
        {"smallest_clusters", with([](auto& o) { o.cluster_size = 512, o.refcount_bits = 64; })},
        {"large_clusters", with([](auto& o) { o.cluster_size = 2 << 20; })},
        {"extended", with([](auto& o) { o.extended_l2 = true, o.cluster_size = 16384; })},
        {"extended_backing", with([](auto& o) { o.extended_l2 = true, o.cluster_size = 65536; }), true},
        {"zstd", with([](auto& o) { o.compression = Compression::kZstd; }), true},
        {"external", with([](auto& o) { o.data_file = "data"; })},
        {"external_backing", with([](auto& o) { o.data_file = "data"; }), true},
        {"raw_external", with([](auto& o) { o.data_file = "data", o.raw_data_file = true; })},
    };
    for (const uint32_t bits : {1u, 2u, 4u, 8u, 32u, 64u})
        list.push_back({"refcounts_of_" + std::to_string(bits), with([&](auto& o) { o.refcount_bits = bits; }), true});
    const size_t count = list.size();
    for (size_t i = 0; i < count; i++) {
        list.push_back(list[i]);
        list.back().name += "_late";
        list.back().late = true;
    }
    return list;
}

class RandomOperations : public testing::TestWithParam<Case> {
  protected:
    explicit RandomOperations()
        : late_(GetParam().late ? std::make_unique<LateCompletions>(7) : nullptr),
          image_(GetParam().options, late_.get()) {
        model_.resize(GetParam().options.size);
        if (!GetParam().backing) return;
        image_.backing.bytes.resize(3 << 20);
        for (auto& byte : image_.backing.bytes) byte = static_cast<uint8_t>(random_() | 1);
        std::ranges::copy(image_.backing.bytes, model_.begin());
    }

    uint64_t number(uint64_t below) { return random_() % below; }
    std::pair<uint64_t, uint64_t> range() {
        const uint64_t most = number(4) == 0 ? 300000 : 9000;
        const uint64_t offset = number(model_.size());
        return {offset, std::min(1 + number(most), model_.size() - offset)};
    }
    // At multiples of `unit`, which discards are exact for.
    std::pair<uint64_t, uint64_t> units(uint64_t unit) {
        const uint64_t offset = number(model_.size() / unit) * unit;
        return {offset, std::min((1 + number(20)) * unit, model_.size() / unit * unit - offset)};
    }

    void operate() {
        const uint64_t which = number(100);
        if (which < 45) return write();
        if (which < 70) return read();
        if (which < 82) return zero();
        if (which < 92) return discard();
        if (which < 97) return compressed();
        EXPECT_TRUE(finish(device_->flush(), late_.get()).ok());
    }
    void write() {
        const auto [offset, length] = range();
        std::vector<uint8_t> bytes(length);
        for (auto& byte : bytes) byte = static_cast<uint8_t>(random_());
        // In several parts, as guests give them.
        std::vector<iovec> parts;
        for (size_t at = 0; at < length;) {
            const size_t part = std::min<size_t>(1 + number(5000), length - at);
            parts.push_back({&bytes[at], part});
            at += part;
        }
        EXPECT_TRUE(finish(device_->write(offset, Buffers(std::span<const iovec>(parts))), late_.get()).ok());
        std::ranges::copy(bytes, model_.begin() + static_cast<std::ptrdiff_t>(offset));
    }
    void read() {
        const auto [offset, length] = range();
        std::vector<uint8_t> bytes(length);
        EXPECT_TRUE(finish(device_->read(offset, Buffers(std::span(bytes))), late_.get()).ok());
        EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), model_.begin() + static_cast<std::ptrdiff_t>(offset)));
    }
    void zero() {
        const auto [offset, length] = number(2) == 0 ? range() : units(512);
        EXPECT_TRUE(finish(device_->write_zeroes(offset, length, number(2) == 0), late_.get()).ok());
        std::fill_n(model_.begin() + static_cast<std::ptrdiff_t>(offset), length, uint8_t{0});
    }
    void discard() {
        const auto [offset, length] = units(GetParam().options.cluster_size);
        if (length == 0) return;
        EXPECT_TRUE(finish(device_->discard(offset, length), late_.get()).ok());
        for (uint64_t at = offset; at < offset + length; at += GetParam().options.cluster_size) {
            // Version 2 cannot hide what is below.
            if (GetParam().options.version >= 3 || at >= image_.backing.bytes.size())
                std::fill_n(model_.begin() + static_cast<std::ptrdiff_t>(at), GetParam().options.cluster_size,
                            uint8_t{0});
        }
    }
    void compressed() {
        const uint64_t unit = GetParam().options.cluster_size;
        const uint64_t offset = number(model_.size() / unit) * unit;
        std::vector<uint8_t> bytes(unit);
        for (size_t i = 0; i < unit; i++) bytes[i] = static_cast<uint8_t>(i / 100 * offset);
        const auto packed = compress(GetParam().options.compression, bytes);
        const Status status = finish(device_->write_compressed(offset, packed), late_.get());
        if (status == kNotSupported) return;  // there is something already
        EXPECT_TRUE(status.ok());
        std::ranges::copy(bytes, model_.begin() + static_cast<std::ptrdiff_t>(offset));
    }
    void close() {
        EXPECT_TRUE(finish(device_->close(), late_.get()).ok());
        device_.reset();
        image_.expect_clean();
    }

    std::mt19937_64 random_{42};
    std::unique_ptr<LateCompletions> late_;
    TestImage image_;
    std::vector<uint8_t> model_;
    std::unique_ptr<Image> device_;
};

TEST_P(RandomOperations, LeaveWhatAModelHolds) {
    for (int round = 0; round < 4; round++) {
        device_ = image_.open();
        ASSERT_TRUE(device_);
        for (int i = 0; i < 150; i++) operate();
        EXPECT_TRUE(read_all(*device_, late_.get()) == model_);
        close();
    }
    device_ = image_.open(false);
    EXPECT_TRUE(read_all(*device_, late_.get()) == model_);
    if (GetParam().options.raw_data_file) {
        EXPECT_TRUE(image_.data.bytes == model_);
    }
}

// Each works on a part of the disk of its own, of odd bounds, so that clusters are shared.
TEST_P(RandomOperations, AtOnceDoNotDisturbEachOther) {
    constexpr uint64_t kLanes = 24;
    device_ = image_.open();
    ASSERT_TRUE(device_);
    const uint64_t width = model_.size() / kLanes;
    for (int round = 0; round < 60; round++) {
        std::vector<std::vector<uint8_t>> contents(kLanes);
        std::vector<Task<Status>> tasks;
        for (uint64_t lane = 0; lane < kLanes; lane++) {
            const uint64_t offset = lane * width + number(width - 1);
            const uint64_t length = 1 + number(std::min<uint64_t>(lane * width + width - offset, 20000));
            const auto at = model_.begin() + static_cast<std::ptrdiff_t>(offset);
            if (number(4) == 0) {
                tasks.push_back(device_->write_zeroes(offset, length, number(2) == 0));
                std::fill_n(at, length, uint8_t{0});
                continue;
            }
            if (number(12) == 0) tasks.push_back(device_->flush());
            contents[lane].resize(length);
            for (auto& byte : contents[lane]) byte = static_cast<uint8_t>(random_());
            tasks.push_back(device_->write(offset, Buffers(std::span(contents[lane]))));
            std::ranges::copy(contents[lane], at);
        }
        while (late_ && late_->step()) {
        }
        for (auto& task : tasks) {
            ASSERT_TRUE(task.done());
            EXPECT_TRUE(task.take().ok());
        }
    }
    EXPECT_TRUE(read_all(*device_, late_.get()) == model_);
    close();
}

INSTANTIATE_TEST_SUITE_P(Images, RandomOperations, testing::ValuesIn(cases()),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace doppel::storage::qcow2
