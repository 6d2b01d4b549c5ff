// How much of the host's memory a device takes, for tests.
#pragma once

#include <malloc.h>

#include <cstddef>

#include "base/instrumented.h"

namespace doppel::device::virtio {

inline constexpr size_t kMostHeapOfDevice = size_t{1} << 20;  // at rest, its driver started

// Bytes that were allocated and not freed since it was made. Allocators of instrumented builds do not count.
class HeapGrowth {
  public:
    size_t bytes() const { return in_use() - before_; }

  private:
    static size_t in_use() {
        if (kInstrumented) return 0;
        const struct mallinfo2 now = mallinfo2();
        return now.uordblks + now.hblkhd;
    }
    size_t before_ = in_use();
};

}  // namespace doppel::device::virtio
