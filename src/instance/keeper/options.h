// What the keeper is told on its command line, by the verb that starts it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "instance/keeper/layout.h"

namespace doppel::instance {

// Texts point into argv. Descriptors are inherited.
struct KeeperOptions {
    const char* id = nullptr;
    const char* name = nullptr;
    const char* machine = nullptr;    // the executable doppel-machine
    const char* directory = nullptr;  // the instance's
    const char* runtime = nullptr;    // its runtime directory, where sockets are made; it exists
    const char* events = nullptr;     // the file of events
    const char* at_end = nullptr;     // an executable that is run with the id when all is over; null: none
    int specification = -1;           // a sealed memfd (machine/spec)
    int lock = -1;                    // of the lock file, locked
    int report = -1;                  // a pipe: "started\n" or "failed CODE\n", "ended CODE\n" at the end
    int attach = -1;                  // the first client of the console; -1: none
    Restart restart = Restart::kNo;
    uint64_t log_limit = uint64_t{4} << 20;  // bytes of a file of the log
};

// False: a word is wrong or missing.
bool parse_options(int argc, char** argv, KeeperOptions& options);

}  // namespace doppel::instance
