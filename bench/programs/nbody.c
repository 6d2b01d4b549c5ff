// Bodies under gravity, in double precision: multiplications, additions, a square root and a division for each pair.
#include <math.h>
#include <stddef.h>

#include "bench.h"

enum { kBodies = 5 };

struct Body {
    double position[3], velocity[3], mass;
};

static void advance(struct Body* bodies, double dt) {
    for (int i = 0; i < kBodies; i++)
        for (int j = i + 1; j < kBodies; j++) {
            double d[3], square = 0;
            for (int k = 0; k < 3; k++) {
                d[k] = bodies[i].position[k] - bodies[j].position[k];
                square += d[k] * d[k];
            }
            double magnitude = dt / (square * sqrt(square));
            for (int k = 0; k < 3; k++) {
                bodies[i].velocity[k] -= d[k] * bodies[j].mass * magnitude;
                bodies[j].velocity[k] += d[k] * bodies[i].mass * magnitude;
            }
        }
    for (int i = 0; i < kBodies; i++)
        for (int k = 0; k < 3; k++) bodies[i].position[k] += dt * bodies[i].velocity[k];
}

static double energy(const struct Body* bodies) {
    double sum = 0;
    for (int i = 0; i < kBodies; i++) {
        for (int k = 0; k < 3; k++) sum += 0.5 * bodies[i].mass * bodies[i].velocity[k] * bodies[i].velocity[k];
        for (int j = i + 1; j < kBodies; j++) {
            double square = 0;
            for (int k = 0; k < 3; k++) {
                double d = bodies[i].position[k] - bodies[j].position[k];
                square += d * d;
            }
            sum -= bodies[i].mass * bodies[j].mass / sqrt(square);
        }
    }
    return sum;
}

static uint64_t run(unsigned scale) {
    // A heavy body, and lighter ones on circles around it, far from each other: errors of rounding do not grow.
    struct Body bodies[kBodies] = {{{0, 0, 0}, {0, 0, 0}, 40}};
    for (int i = 1; i < kBodies; i++) {
        double radius = 3.0 * i * i + 2, speed = sqrt(40 / radius);
        bodies[i] = (struct Body){{radius, 0, 0.1 * i}, {0, speed, 0}, 0.01 * i};
    }
    uint64_t hash = kHashStart;
    for (uint64_t i = 0, rounds = scaled(80, scale); i < rounds; i++) {
        for (int k = 0; k < 10000; k++) advance(bodies, 0.0005);
        hash = hash_rounded(hash, energy(bodies));
    }
    return hash;
}

const struct Workload nbody = {"nbody", NULL, run};
