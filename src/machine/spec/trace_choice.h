// One --trace option: what is told of the guest while it runs, and where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/trace_kind.h"

namespace doppel::machine {

struct TraceChoice {
    unsigned kinds = 0;             // trace_kind bits, at least one
    std::string path = "-";         // a file that starts empty; "-": standard error
    std::optional<uint64_t> limit;  // bytes after which it ends, 0: never; none: as is fit for what `path` is
    bool operator==(const TraceChoice&) const = default;
};
inline constexpr size_t kMaxTraces = 16;

// KIND[,KIND...][=FILE[,limit=SIZE]] with the words of kTraceWords and a size as parse_size reads it. Errors are of
// kind usage and name --trace.
Result<TraceChoice> trace_from(std::string_view text);
std::string text_of(const TraceChoice& trace);

}  // namespace doppel::machine
