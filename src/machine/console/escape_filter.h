// The keys by which a user at the terminal talks to doppel and not to the guest: Ctrl-A, then one more.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace doppel::machine {

// Holds whether a Ctrl-A is waiting for its second key, over any split of the input into pieces. One thread.
class EscapeFilter {
  public:
    struct Result {
        std::vector<uint8_t> bytes;  // for the guest
        bool quit = false;           // Ctrl-A x was pressed; what came behind it is dropped
        bool help = false;           // Ctrl-A h was pressed
    };
    Result filter(std::span<const uint8_t> typed);

  private:
    bool after_escape_ = false;
};

// What Ctrl-A h shows, with line ends for a raw terminal.
std::string_view escape_help();

}  // namespace doppel::machine
