// A question of DNS as it comes: its name is bounded, and the answer holds the question.
#include <algorithm>
#include <cstdlib>

#include "network/lan/dns.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace doppel::network::lan;
    const auto question = dns::question_from({data, size});
    if (!question) return 0;
    if (question->end > size || question->name.size() > 253) std::abort();
    const Bytes answer = dns::make_answer(*question, dns::Code::kDone, {{dns::kA, {10, 0, 0, 1}}});
    if (answer.size() != question->end + 16 || !std::equal(data + 12, data + question->end, answer.begin() + 12))
        std::abort();
    return 0;
}
