// Any bytes as a document, and as the body of a document whose header is right (the checksum would stop nearly all
// else).
#include <zlib.h>

#include <cstdlib>

#include "base/saved_state.h"

namespace {

using doppel::StateReader;

enum class Phase : uint8_t { kIdle, kBusy };

struct Part {
    bool on = false;
    int16_t offset = 0;
    Phase phase = Phase::kIdle;
    std::string name;
    std::vector<uint8_t> bytes;
    std::vector<int32_t> numbers;
    std::array<uint16_t, 2> two{};
    int depth = 0;

    template <class V>
    void fields(V& v) {
        v.field(1, on);
        v.field(2, offset);
        v.field(3, phase);
        v.field(4, name);
        v.field(5, bytes);
        v.field(6, numbers);
        v.field(7, two);
        if (depth >= 3) return;
        Part inner;
        inner.depth = depth + 1;
        v.section(8, inner);
    }
};

void check(std::span<const uint8_t> document) {
    auto reader = StateReader::parse(document);
    if (!reader) return;
    Part part;
    part.fields(*reader);
    if (!reader->finish("restore")) return;
    // What was accepted is written in a form that is accepted.
    doppel::StateWriter writer;
    part.fields(writer);
    if (!StateReader::parse(writer.finish())) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    check({data, size});
    std::vector<uint8_t> document = {'D', 'P', 'L', 'S', 1, 0, 0, 0, 0, 0, 0, 0};
    doppel::store_le(&document[8], static_cast<uint32_t>(::crc32_z(0, data, size)));
    document.insert(document.end(), data, data + size);
    check(document);
    return 0;
}
