// Integer work of the kinds that programs do: sort, hash, multiply matrices, run a state machine, compute a CRC. Ends
// with the number of instructions that it took and a checksum. Built with -DEMPTY it does nothing: the time of a start.
#include "report.h"

enum { kSorted = 1 << 14, kMatrix = 48, kText = 1 << 14 };
static uint32_t numbers[kSorted];
static uint64_t a[kMatrix][kMatrix], b[kMatrix][kMatrix], product[kMatrix][kMatrix];
static uint8_t text[kText];
static uint32_t crc_table[256];

static uint64_t state = 88172645463325252;
static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static void sift(uint32_t* heap, unsigned at, unsigned size) {
    uint32_t value = heap[at];
    for (unsigned child; (child = 2 * at + 1) < size; at = child) {
        if (child + 1 < size && heap[child + 1] > heap[child]) child++;
        if (heap[child] <= value) break;
        heap[at] = heap[child];
    }
    heap[at] = value;
}

static uint64_t sort(void) {
    for (unsigned i = 0; i < kSorted; i++) numbers[i] = (uint32_t)next();
    for (unsigned i = kSorted / 2; i-- > 0;) sift(numbers, i, kSorted);
    for (unsigned size = kSorted; --size > 0;) {
        uint32_t greatest = numbers[0];
        numbers[0] = numbers[size];
        numbers[size] = greatest;
        sift(numbers, 0, size);
    }
    return numbers[kSorted / 2];
}

static uint64_t hash(void) {
    uint64_t value = 14695981039346656037UL;  // FNV-1a
    for (unsigned i = 0; i < kText; i++) value = (value ^ text[i]) * 1099511628211;
    return value;
}

static uint64_t matrices(void) {
    for (unsigned i = 0; i < kMatrix; i++)
        for (unsigned j = 0; j < kMatrix; j++) {
            a[i][j] = next() & 0xff;
            b[i][j] = next() & 0xff;
        }
    uint64_t sum = 0;
    for (unsigned i = 0; i < kMatrix; i++)
        for (unsigned j = 0; j < kMatrix; j++) {
            uint64_t cell = 0;
            for (unsigned k = 0; k < kMatrix; k++) cell += a[i][k] * b[k][j];
            sum ^= product[i][j] = cell;
        }
    return sum;
}

// Counts words, numbers and comments, as a scanner does.
static uint64_t scan(void) {
    enum { kSpace, kWord, kNumber, kComment } where = kSpace;
    uint64_t words = 0, digits = 0, comments = 0;
    for (unsigned i = 0; i < kText; i++) {
        uint8_t c = text[i];
        switch (where) {
            case kSpace:
                if (c == '#')
                    where = kComment, comments++;
                else if (c >= '0' && c <= '9')
                    where = kNumber, digits++;
                else if (c > ' ')
                    where = kWord, words++;
                break;
            case kWord:
            case kNumber:
                if (c <= ' ') where = kSpace;
                break;
            case kComment:
                if (c == '\n') where = kSpace;
                break;
        }
    }
    return words << 32 | digits << 16 | comments;
}

static uint64_t crc(void) {
    if (!crc_table[1])
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t value = i;
            for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xedb88320 : 0);
            crc_table[i] = value;
        }
    uint32_t value = ~0U;
    for (unsigned i = 0; i < kText; i++) value = value >> 8 ^ crc_table[(value ^ text[i]) & 255];
    return ~value;
}

static uint64_t work(void) {
    uint64_t sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < kText; i++) text[i] = "# 09az\nq"[next() >> 20 & 7];
        sum = sum * 31 + sort();
        sum = sum * 31 + hash();
        sum = sum * 31 + matrices();
        sum = sum * 31 + scan();
        sum = sum * 31 + crc();
    }
    return sum;
}

int main(uint64_t hart) {
    return report(hart, work);
}
