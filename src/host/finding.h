// What a probe of the host reports.
#pragma once

#include <string>
#include <string_view>

namespace doppel::host {

enum class Status { kOk, kDegraded, kMissing };

struct Finding {
    std::string name;  // stable from release to release: "user_namespaces"
    Status status = Status::kMissing;
    std::string fact;  // what was measured
    std::string lost;  // what does not work, or works worse, because of it; empty when kOk
};

std::string_view name_of(Status status);  // ok, degraded, missing

}  // namespace doppel::host
