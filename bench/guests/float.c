// Double and single precision: an n-body step, a polynomial, a matrix product, square roots and divisions.
#include "report.h"

enum { kBodies = 16, kMatrix = 40 };
static double position[kBodies][3], velocity[kBodies][3], mass[kBodies];
static float a[kMatrix][kMatrix], b[kMatrix][kMatrix];

static double root(double value) {
    double result;
    __asm__("fsqrt.d %0, %1" : "=f"(result) : "f"(value));
    return result;
}

static void step(double dt) {
    for (int i = 0; i < kBodies; i++)
        for (int j = i + 1; j < kBodies; j++) {
            double d[3], square = 0.01;
            for (int k = 0; k < 3; k++) {
                d[k] = position[i][k] - position[j][k];
                square += d[k] * d[k];
            }
            double magnitude = dt / (square * root(square));
            for (int k = 0; k < 3; k++) {
                velocity[i][k] -= d[k] * mass[j] * magnitude;
                velocity[j][k] += d[k] * mass[i] * magnitude;
            }
        }
    for (int i = 0; i < kBodies; i++)
        for (int k = 0; k < 3; k++) position[i][k] += dt * velocity[i][k];
}

static double product(void) {
    double sum = 0;
    for (int i = 0; i < kMatrix; i++)
        for (int j = 0; j < kMatrix; j++) {
            float cell = 0;
            for (int k = 0; k < kMatrix; k++) cell += a[i][k] * b[k][j];
            sum += (double)cell;
        }
    return sum;
}

static double polynomial(double x) {
    double value = 0;
    for (int i = 1; i < 64; i++) value = value * x + 1.0 / i;
    return value;
}

static uint64_t work(void) {
    for (int i = 0; i < kBodies; i++) {
        mass[i] = 1.0 / (i + 1);
        for (int k = 0; k < 3; k++) {
            position[i][k] = (i * 7 + k * 3) % 11 - 5;
            velocity[i][k] = (i * 5 + k) % 7 * 0.1;
        }
    }
    for (int i = 0; i < kMatrix; i++)
        for (int j = 0; j < kMatrix; j++) {
            a[i][j] = (float)(i - j) / 7;
            b[i][j] = (float)(i + j) / 9;
        }
    double sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 40; i++) step(0.001);
        sum += product() + polynomial(0.5 + round * 0.0001);
    }
    union {
        double value;
        uint64_t bits;
    } result = {sum + position[3][1]};
    return result.bits;
}

int main(uint64_t hart) {
    return report(hart, work);
}
