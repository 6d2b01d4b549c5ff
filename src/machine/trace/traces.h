// All that --trace asks for: the files, the symbols, and a trace for each hart.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "machine/spec/trace_choice.h"
#include "machine/trace/hart_trace.h"

namespace doppel::machine::trace {

class Traces {
  public:
    // Opens the files: choices with the same path share one, whose limit the last one that gives any decides. nullptr
    // when nothing is to be traced.
    static Result<std::unique_ptr<Traces>> open(const std::vector<TraceChoice>& choices, unsigned harts);

    HartTrace& of(unsigned hart) { return *harts_[hart]; }
    // Before each start of the harts; the first empties the files.
    Result<> begin(Symbols symbols);
    // Around a stop of the harts, which must not wait for ever for a reader that does not read.
    void set_hurry(bool hurry);

  private:
    Traces() = default;
    std::vector<std::unique_ptr<TraceFile>> files_;
    bool begun_ = false;
    Symbols symbols_;
    std::vector<std::unique_ptr<HartTrace>> harts_;
};

}  // namespace doppel::machine::trace
