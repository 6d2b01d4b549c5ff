// Several requests at once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "storage/status.h"
#include "storage/task.h"

namespace doppel::storage {

// f(i), a Task<Status>, for each i below `count`, up to `width` at once, in order of their beginning. After a failure
// no more are begun; the first failure is the result.
template <class F>
Task<Status> for_each_at_once(size_t count, size_t width, F f) {
    struct Shared {
        F& f;
        size_t count;
        size_t next = 0;
        Status status = kOk;
        static Task<Status> work(Shared& shared) {
            while (shared.next < shared.count && shared.status.ok()) {
                const size_t i = shared.next++;
                const Status status = co_await shared.f(i);
                if (!status.ok() && shared.status.ok()) shared.status = status;
            }
            co_return kOk;
        }
    };
    Shared shared{f, count};
    std::vector<Task<Status>> workers;
    for (size_t i = 0; i < std::min(count, width); i++) workers.push_back(Shared::work(shared));
    for (Task<Status>& worker : workers) {
        if (const Status status = co_await worker; !status.ok()) co_return status;
    }
    co_return shared.status;
}

}  // namespace doppel::storage
