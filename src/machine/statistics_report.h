// What --stats tells of a machine when it ends.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cpu/statistics.h"

namespace doppel::machine {

struct RunFigures {
    std::string_view engine;
    unsigned harts = 0;
    uint64_t wall_nanoseconds = 0;       // from the start of the harts to their end
    uint64_t processor_nanoseconds = 0;  // that the process used meanwhile, in all its threads
    cpu::Statistics counts;              // of all vCPUs and the engine
};

// Lines for people, and one JSON object on a line: the same figures under the same names.
std::string text_of(const RunFigures& figures);
std::string json_of(const RunFigures& figures);

class StatisticsReport {
  public:
    // `where`: "-" is text on standard error, all else a file for JSON, which a confined process could not open later.
    static Result<std::unique_ptr<StatisticsReport>> open(const std::string& where);

    // The harts start now. Empties the file, which was left alone so far.
    Result<> begin();
    // The harts have ended. A failure is a warning: the guest's run itself went well.
    void write(std::string_view engine, unsigned harts, const cpu::Statistics& counts);

  private:
    StatisticsReport(std::string path, UniqueFd file) : path_(std::move(path)), file_(std::move(file)) {}

    const std::string path_;
    UniqueFd file_;  // none: standard error
    uint64_t wall_start_ = 0;
    uint64_t processor_start_ = 0;
};

}  // namespace doppel::machine
