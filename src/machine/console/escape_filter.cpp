#include "machine/console/escape_filter.h"

namespace doppel::machine {
namespace {

constexpr uint8_t kEscape = 0x01;  // Ctrl-A

}  // namespace

EscapeFilter::Result EscapeFilter::filter(std::span<const uint8_t> typed) {
    Result result;
    for (const uint8_t key : typed) {
        if (!after_escape_) {
            if (key == kEscape)
                after_escape_ = true;
            else
                result.bytes.push_back(key);
            continue;
        }
        after_escape_ = false;
        switch (key) {
            case 'x':
            case 'X':
                result.quit = true;
                return result;
            case 'h':
            case 'H':
            case '?':
                result.help = true;
                break;
            case 'a':
            case 'A':
            case kEscape:
                result.bytes.push_back(kEscape);
                break;
            default:
                break;  // an unknown command is swallowed: half of it must not reach the guest
        }
    }
    return result;
}

std::string_view escape_help() {
    return "\r\n"
           "Ctrl-A x       quit: the machine ends at once, as when its power is cut\r\n"
           "Ctrl-A a       send Ctrl-A to the guest (also Ctrl-A Ctrl-A)\r\n"
           "Ctrl-A h       this help\r\n";
}

}  // namespace doppel::machine
