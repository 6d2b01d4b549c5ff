// Requests and answers are untrusted: each is refused or means the same after it was written again.
#include <cstdlib>
#include <string_view>

#include "machine/control/protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel::machine::control;
    const std::string_view line(reinterpret_cast<const char*>(data), size);
    const auto without_end = [](std::string text) { return text.substr(0, text.size() - 1); };
    if (const auto request = parse_request(line)) {
        const auto again = parse_request(without_end(encode(*request)));
        if (!again || *again != *request) std::abort();
    }
    if (const auto status = parse_answer(line)) {
        const auto again = parse_answer(without_end(encode(*status)));
        if (!again || *again != *status) std::abort();
    }
    return 0;
}
