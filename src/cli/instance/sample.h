// What a running instance uses, at one moment.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "instance/store.h"

namespace doppel::cli {

// Counts go on from the machine's start; sizes are bytes.
struct Sample {
    std::string name;
    std::string state;
    std::string engine;
    pid_t pid = 0;
    unsigned cpus = 0;
    uint64_t memory = 0, balloon = 0;   // of the guest
    uint64_t instructions = 0;          // that the guest has executed
    double cpu_seconds = 0;             // of the machine's process
    uint64_t resident = 0, shared = 0;  // of its memory
    uint64_t disk_read = 0, disk_written = 0;
    uint64_t net_received = 0, net_sent = 0;  // by the guest's cards
};

Sample sample_of(const instance::Store& store, const instance::Instance& running);
std::vector<Sample> sample_all(instance::Store& store);  // that run

}  // namespace doppel::cli
