#include "machine/trace/traces.h"

#include <algorithm>
#include <utility>

namespace doppel::machine::trace {

namespace {

// The choices without those of a path that came before, which has taken them in.
std::vector<TraceChoice> one_for_each_path(const std::vector<TraceChoice>& choices) {
    std::vector<TraceChoice> merged;
    for (const TraceChoice& choice : choices) {
        auto same = std::ranges::find(merged, choice.path, &TraceChoice::path);
        if (same == merged.end()) {
            merged.push_back(choice);
            continue;
        }
        same->kinds |= choice.kinds;
        if (choice.limit) same->limit = choice.limit;
    }
    return merged;
}

}  // namespace

Result<std::unique_ptr<Traces>> Traces::open(const std::vector<TraceChoice>& choices, unsigned harts) {
    if (choices.empty()) return std::unique_ptr<Traces>();
    std::unique_ptr<Traces> traces(new Traces);
    std::vector<HartTrace::Output> outputs;
    for (const TraceChoice& choice : one_for_each_path(choices)) {
        DOPPEL_TRY(auto file, TraceFile::open(choice.path, choice.limit));
        outputs.push_back({choice.kinds, file.get()});
        traces->files_.push_back(std::move(file));
    }
    for (unsigned i = 0; i < harts; i++) {
        traces->harts_.push_back(std::make_unique<HartTrace>(i, outputs, traces->symbols_));
    }
    return traces;
}

Result<> Traces::begin(Symbols symbols) {
    symbols_ = std::move(symbols);
    if (std::exchange(begun_, true)) return {};
    for (auto& file : files_) DOPPEL_CHECK(file->begin());
    return {};
}

void Traces::set_hurry(bool hurry) {
    for (auto& file : files_) file->set_hurry(hurry);
}

}  // namespace doppel::machine::trace
