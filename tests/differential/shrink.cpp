#include <algorithm>

#include "compare.h"

namespace doppel::differential {

namespace {

Result<bool> differs(const Subjects& subjects, const Sequence& sequence) {
    DOPPEL_TRY(Subjects::Pair pair, subjects.run(std::span(&sequence, 1)));
    return pair.differ();
}

// Takes runs of units away, long ones first, as long as the difference stays.
Result<> shrink_units(const Subjects& subjects, Sequence& sequence) {
    for (size_t length = std::max<size_t>(sequence.units.size() / 2, 1);; length /= 2) {
        for (size_t at = 0; at + length <= sequence.units.size();) {
            Sequence shorter = sequence;
            auto first = shorter.units.begin() + static_cast<ptrdiff_t>(at);
            shorter.units.erase(first, first + static_cast<ptrdiff_t>(length));
            DOPPEL_TRY(bool still, differs(subjects, shorter));
            if (still) {
                sequence = std::move(shorter);
            } else {
                at++;
            }
        }
        if (length == 1) return {};
    }
}

template <class Change>
Result<> try_change(const Subjects& subjects, Sequence& sequence, Change change) {
    Sequence changed = sequence;
    change(changed.input);
    if (changed.input == sequence.input) return {};
    DOPPEL_TRY(bool still, differs(subjects, changed));
    if (still) sequence = std::move(changed);
    return {};
}

}  // namespace

Result<Sequence> shrink(const Subjects& subjects, Sequence sequence) {
    DOPPEL_CHECK(shrink_units(subjects, sequence));
    DOPPEL_CHECK(try_change(subjects, sequence, [](State& input) { input.x.fill(0); }));
    DOPPEL_CHECK(try_change(subjects, sequence, [](State& input) { input.f.fill(0); }));
    DOPPEL_CHECK(try_change(subjects, sequence, [](State& input) { input.fcsr = 0; }));
    DOPPEL_CHECK(try_change(subjects, sequence, [](State& input) { input.scratch.fill(0); }));
    DOPPEL_CHECK(try_change(subjects, sequence, [](State& input) { input.v.fill(0); }));
    for (size_t n = 0; n < 32; n++) {
        DOPPEL_CHECK(try_change(subjects, sequence, [n](State& input) { input.x[n] = 0; }));
        DOPPEL_CHECK(try_change(subjects, sequence, [n](State& input) { input.f[n] = 0; }));
    }
    return sequence;
}

}  // namespace doppel::differential
