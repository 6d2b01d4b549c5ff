// For tests: a disk in memory that keeps a log of what was done to it, can lose what was not flushed, fail, and finish
// requests late and out of order.
#pragma once

#include <algorithm>
#include <coroutine>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "storage/block_device.h"
#include "storage/waiting.h"

namespace doppel::storage {

// Its content, which outlives the device.
struct MemoryDisk {
    struct Change {
        enum class Kind { kWrite, kZero, kResize, kFlush } kind;
        uint64_t offset = 0;
        uint64_t length = 0;
        std::vector<uint8_t> bytes;
    };
    std::vector<uint8_t> bytes;
    bool recording = false;
    std::vector<Change> log;
    // Asked before each request: what it fails with.
    std::function<Status(uint64_t offset, uint64_t length, bool write)> fault;

    void apply(const Change& change) {
        const uint64_t end = change.offset + change.length;
        switch (change.kind) {
            case Change::Kind::kWrite:
                if (end > bytes.size()) bytes.resize(end);
                std::copy(change.bytes.begin(), change.bytes.end(),
                          bytes.begin() + static_cast<std::ptrdiff_t>(change.offset));
                break;
            case Change::Kind::kZero:
                if (end > bytes.size()) bytes.resize(end);
                std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(change.offset), change.length, uint8_t{0});
                break;
            case Change::Kind::kResize:
                bytes.resize(change.length);
                break;
            case Change::Kind::kFlush:
                break;
        }
    }
    void change(Change change) {
        apply(change);
        if (recording) log.push_back(std::move(change));
    }
};

// Requests that wait for their end, which comes in random order.
class LateCompletions {
  public:
    explicit LateCompletions(uint32_t seed) : random_(seed) {}
    bool step() {
        if (tasks_.empty()) return false;
        const size_t i = random_() % tasks_.size();
        const auto task = tasks_[i];
        tasks_.erase(tasks_.begin() + static_cast<std::ptrdiff_t>(i));
        resume_in_turn(task);
        return true;
    }
    auto wait() {
        struct Awaiter {
            LateCompletions& owner;
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> task) { owner.tasks_.push_back(task); }
            void await_resume() const noexcept {}
        };
        return Awaiter{*this};
    }

  private:
    std::mt19937 random_;
    std::vector<std::coroutine_handle<>> tasks_;
};

class MemoryDevice : public BlockDevice {
  public:
    struct Options {
        bool writable = true;
        bool grows = false;
        LateCompletions* late = nullptr;
    };
    MemoryDevice(MemoryDisk& disk, const Options& options) : disk_(disk), options_(options) {}

    uint64_t size() const override { return disk_.bytes.size(); }
    bool read_only() const override { return !options_.writable; }
    bool grows() const override { return options_.grows; }
    std::string name() const override { return "memory"; }
    Status extend(uint64_t size) override {
        if (size > kMost) return kNoSpace;
        if (size > disk_.bytes.size()) disk_.change({MemoryDisk::Change::Kind::kResize, 0, size, {}});
        return kOk;
    }
    Task<Result<>> resize(uint64_t size, Preallocation) override {
        if (size > kMost) co_return fail(Error::system("resize disk", name(), EFBIG));
        disk_.change({MemoryDisk::Change::Kind::kResize, 0, size, {}});
        co_return Result<>{};
    }

  protected:
    static constexpr uint64_t kMost = 1 << 28;

    Task<Status> do_read(uint64_t offset, Buffers to) override {
        if (options_.late != nullptr) co_await options_.late->wait();
        if (disk_.fault) DOPPEL_STORAGE_CHECK(disk_.fault(offset, to.size(), false));
        const uint64_t end = disk_.bytes.size();
        const uint64_t there = offset < end ? std::min(to.size(), end - offset) : 0;
        if (there < to.size()) to.from(there).fill(0);
        if (there > 0) to.slice(0, there).copy_from(&disk_.bytes[offset]);
        co_return kOk;
    }
    // Half of the requests reach the disk before they wait, half after it.
    Task<Status> do_write(uint64_t offset, Buffers from) override {
        if (options_.late != nullptr && (offset / 512) % 2 != 0) co_await options_.late->wait();
        if (disk_.fault) DOPPEL_STORAGE_CHECK(disk_.fault(offset, from.size(), true));
        if (offset + from.size() > kMost) co_return kNoSpace;
        MemoryDisk::Change change{MemoryDisk::Change::Kind::kWrite, offset, from.size(), {}};
        change.bytes.resize(from.size());
        from.copy_to(change.bytes.data());
        disk_.change(std::move(change));
        if (options_.late != nullptr && (offset / 512) % 2 == 0) co_await options_.late->wait();
        co_return kOk;
    }
    Task<Status> do_write_zeroes(uint64_t offset, uint64_t length, bool) override {
        if (options_.late != nullptr) co_await options_.late->wait();
        if (disk_.fault) DOPPEL_STORAGE_CHECK(disk_.fault(offset, length, true));
        if (offset + length > kMost) co_return kNoSpace;
        disk_.change({MemoryDisk::Change::Kind::kZero, offset, length, {}});
        co_return kOk;
    }
    Task<Status> do_discard(uint64_t offset, uint64_t length) override {
        if (options_.late != nullptr) co_await options_.late->wait();
        if (offset + length > disk_.bytes.size()) co_return kOk;
        disk_.change({MemoryDisk::Change::Kind::kZero, offset, length, {}});
        co_return kOk;
    }
    Task<Status> do_flush() override {
        if (options_.late != nullptr) co_await options_.late->wait();
        if (disk_.fault) DOPPEL_STORAGE_CHECK(disk_.fault(0, 0, true));
        if (disk_.recording) disk_.log.push_back({MemoryDisk::Change::Kind::kFlush, 0, 0, {}});
        co_return kOk;
    }
    Task<Result<Extent>> do_extent(uint64_t offset, uint64_t length) override {
        co_return Extent{.length = length, .data = true, .allocated = true, .host_offset = offset, .file = name()};
    }

  private:
    MemoryDisk& disk_;
    const Options options_;
};

// Drives a task that waits for late completions only.
template <class T>
T finish(Task<T> task, LateCompletions* late = nullptr) {
    while (!task.done() && late != nullptr && late->step()) {
    }
    return task.take();
}

}  // namespace doppel::storage
