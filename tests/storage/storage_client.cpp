// Uses a disk as a device would, for tests and benchmarks.
//
//   storage_client run FILE                 carries out lines of stdin: "write OFFSET LENGTH PATTERN", "zero OFFSET
//   LENGTH",
//                                           "unmap OFFSET LENGTH", "discard OFFSET LENGTH", "flush"; many at once
//                                           between lines "wait"
//   storage_client numbers FILE SEED        writes numbered units at random for ever; says what it began and flushed
//   storage_client bench FILE read|write DEPTH COUNT STEP SIZE    requests at offsets STEP apart, round the disk; says
//   the
//                                           seconds that they took
// DOPPEL_STORAGE_THREADS=N has N threads instead of io_uring.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "base/byte_order.h"
#include "storage/disk/open_disk.h"
#include "storage/io_context.h"

namespace {

using namespace doppel::storage;
using doppel::Error;
using doppel::Result;

constexpr uint64_t kUnit = 4096;

[[noreturn]] void die(const Error& error) {
    std::fprintf(stderr, "doppel: %s\n", error.message().c_str());
    std::exit(1);
}

struct Client {
    std::unique_ptr<IoContext> io;
    disk::Disk disk;

    Client(const char* path, bool writable) {
        IoContextOptions options;
        if (const char* threads = std::getenv("DOPPEL_STORAGE_THREADS")) {
            options.allow_uring = false;
            options.threads = static_cast<unsigned>(std::strtoul(threads, nullptr, 10));
        }
        auto made = IoContext::create(nullptr, options);
        if (!made) die(made.error());
        io = std::move(*made);
        auto opened = io->run(disk::open_disk(*io, path, {.writable = writable}));
        if (!opened) die(opened.error());
        disk = std::move(*opened);
    }
    BlockDevice& device() { return *disk.device; }
    void expect(Status status, const std::string& what) {
        if (!status.ok()) die(Error::system(what, "disk", status.error_number()));
    }
};

struct Line {
    std::string verb;
    uint64_t offset = 0, length = 0, pattern = 0;
    std::vector<uint8_t> bytes;
};

Task<Status> carry_out(BlockDevice& device, Line line) {
    if (line.verb == "write") {
        line.bytes.assign(line.length, static_cast<uint8_t>(line.pattern));
        co_return co_await device.write(line.offset, Buffers(std::span(line.bytes)));
    }
    if (line.verb == "zero") co_return co_await device.write_zeroes(line.offset, line.length, false);
    if (line.verb == "unmap") co_return co_await device.write_zeroes(line.offset, line.length, true);
    if (line.verb == "discard") co_return co_await device.discard(line.offset, line.length);
    if (line.verb == "flush") co_return co_await device.flush();
    co_return kNotSupported;
}

int run_lines(const char* path) {
    Client client(path, true);
    std::vector<Task<Status>> tasks;
    auto wait = [&] {
        for (auto& task : tasks) {
            while (!task.done() && client.io->step(true)) {
            }
            client.expect(task.take(), "carry out request");
        }
        tasks.clear();
    };
    for (std::string text; std::getline(std::cin, text);) {
        Line line;
        std::istringstream(text) >> line.verb >> line.offset >> line.length >> line.pattern;
        if (line.verb == "wait")
            wait();
        else
            tasks.push_back(carry_out(client.device(), std::move(line)));
    }
    wait();
    client.expect(client.io->run(client.device().close()), "close");
    return 0;
}

// Each unit holds the number of its last write in every 8 bytes. stdout: "FIRST COUNT NUMBER" before a write, "flushed"
// after a flush; what a reader finds must be the last flushed number or one begun since.
int write_numbers(const char* path, uint64_t seed) {
    Client client(path, true);
    std::mt19937_64 random(seed);
    const uint64_t units = client.device().size() / kUnit;
    std::vector<uint8_t> bytes(64 * kUnit);
    for (uint64_t number = 1;; number++) {
        const uint64_t first = random() % units, count = std::min(1 + random() % 64, units - first);
        for (size_t at = 0; at < count * kUnit; at += 8) doppel::store_be<uint64_t>(&bytes[at], number);
        std::printf("%llu %llu %llu\n", static_cast<unsigned long long>(first), static_cast<unsigned long long>(count),
                    static_cast<unsigned long long>(number));
        std::fflush(stdout);
        const auto part = std::span(bytes).first(count * kUnit);
        client.expect(client.io->run(client.device().write(first * kUnit, Buffers(part))), "write");
        if (number % 7 != 0) continue;
        client.expect(client.io->run(client.device().flush()), "flush");
        std::puts("flushed");
        std::fflush(stdout);
    }
}

struct Bench {
    BlockDevice& device;
    bool writing;
    uint64_t left, step, size, offset = 0;
    Status status = kOk;

    // One of as many as requests are to be under way.
    Task<Status> work() {
        std::vector<uint8_t> bytes(size, 0x5a);
        const uint64_t end = device.size() - device.size() % size;
        while (left > 0 && status.ok()) {
            left--;
            const uint64_t at = offset;
            offset = (offset + step) % end;
            Status ended;
            if (writing)
                ended = co_await device.write(at, Buffers(std::span(bytes)));
            else
                ended = co_await device.read(at, Buffers(std::span(bytes)));
            if (!ended.ok()) status = ended;
        }
        co_return kOk;
    }
};

int bench(char** arguments) {
    Client client(arguments[0], true);
    const bool writing = std::string(arguments[1]) == "write";
    const uint64_t depth = std::strtoull(arguments[2], nullptr, 10);
    Bench bench{client.device(), writing, std::strtoull(arguments[3], nullptr, 10),
                std::strtoull(arguments[4], nullptr, 10), std::strtoull(arguments[5], nullptr, 10)};
    const auto began = std::chrono::steady_clock::now();
    std::vector<Task<Status>> workers;
    for (uint64_t i = 0; i < depth; i++) workers.push_back(bench.work());
    for (auto& worker : workers) {
        while (!worker.done() && client.io->step(true)) {
        }
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    client.expect(bench.status, "request");
    client.expect(client.io->run(client.device().close()), "close");
    std::printf("%.6f %s\n", took.count(), std::string(client.io->engine()).c_str());
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string verb = argc > 2 ? argv[1] : "";
    if (verb == "run" && argc == 3) return run_lines(argv[2]);
    if (verb == "numbers" && argc == 4) return write_numbers(argv[2], std::strtoull(argv[3], nullptr, 10));
    if (verb == "bench" && argc == 8) return bench(argv + 2);
    std::fputs("usage: storage_client run FILE | numbers FILE SEED | bench FILE read|write DEPTH COUNT STEP SIZE\n",
               stderr);
    return 2;
}
