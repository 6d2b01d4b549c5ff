// The Mandelbrot set: a short loop of double precision with a data-dependent end. Built without contraction to fused
// operations, which would count other iterations at the border.
#include <stddef.h>

#include "bench.h"

static unsigned iterations(double cx, double cy) {
    double x = 0, y = 0;
    unsigned count = 0;
    for (; count < 200; count++) {
        double xx = x * x, yy = y * y;
        if (xx + yy > 4) break;
        y = 2 * x * y + cy;
        x = xx - yy + cx;
    }
    return count;
}

static uint64_t run(unsigned scale) {
    enum { kWidth = 400 };
    uint64_t sum = 0;
    for (uint64_t row = 0, rows = scaled(2000, scale); row < rows; row++)
        for (unsigned column = 0; column < kWidth; column++)
            sum = sum * 31 + iterations(-2 + 2.5 * column / kWidth, -1.25 + 2.5 * (double)(row % kWidth) / kWidth);
    return sum;
}

const struct Workload mandelbrot = {"mandelbrot", NULL, run};
