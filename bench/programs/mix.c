// What small embedded programs do: sort and search a linked list, multiply matrices of short integers, scan text with a
// state machine, and take a CRC of all of it.
#include <stddef.h>

#include "bench.h"

enum { kItems = 400, kSide = 24, kText = 2000 };

struct Item {
    struct Item* next;
    int16_t key, value;
};

static struct Item items[kItems];
static int16_t left[kSide][kSide], right[kSide][kSide];
static int32_t product[kSide][kSide];
static char text[kText + 1];

static uint16_t crc16(uint16_t crc, uint32_t value) {
    for (int bit = 0; bit < 32; bit++, value >>= 1) crc = (uint16_t)(crc >> 1 ^ ((crc ^ value) & 1 ? 0xa001 : 0));
    return crc;
}

static struct Item* merge(struct Item* a, struct Item* b) {
    struct Item head = {NULL, 0, 0}, *last = &head;
    while (a && b) {
        struct Item** least = a->key <= b->key ? &a : &b;
        last = last->next = *least;
        *least = last->next;
    }
    last->next = a ? a : b;
    return head.next;
}

static struct Item* sort(struct Item* list) {
    if (!list || !list->next) return list;
    struct Item *slow = list, *fast = list->next;
    while (fast && fast->next) {
        slow = slow->next;
        fast = fast->next->next;
    }
    struct Item* half = slow->next;
    slow->next = NULL;
    return merge(sort(list), sort(half));
}

static uint16_t work_on_list(uint16_t crc, uint64_t* state) {
    for (int i = 0; i < kItems; i++)
        items[i] =
            (struct Item){i + 1 < kItems ? &items[i + 1] : NULL, (int16_t)(next_random(state) >> 50), (int16_t)i};
    struct Item* list = sort(items);
    for (int i = 0; i < 16; i++) {
        int16_t wanted = (int16_t)(next_random(state) >> 50);
        struct Item* at = list;
        while (at && at->key < wanted) at = at->next;
        crc = crc16(crc, at ? (uint16_t)at->value : 0xffffu);
    }
    struct Item* reversed = NULL;
    while (list) {
        struct Item* next = list->next;
        list->next = reversed;
        reversed = list;
        list = next;
    }
    return crc16(crc, (uint16_t)reversed->value);
}

static uint16_t work_on_matrices(uint16_t crc, uint64_t* state) {
    for (int i = 0; i < kSide; i++)
        for (int j = 0; j < kSide; j++) {
            left[i][j] = (int16_t)(next_random(state) >> 52);
            right[i][j] = (int16_t)(next_random(state) >> 52);
        }
    int32_t sum = 0;
    for (int i = 0; i < kSide; i++)
        for (int j = 0; j < kSide; j++) {
            int32_t cell = 0;
            for (int k = 0; k < kSide; k++) cell += left[i][k] * right[k][j];
            product[i][j] = cell;
            sum += cell >> 3 & 0x7f;
        }
    return crc16(crc16(crc, (uint32_t)sum), (uint32_t)product[3][5]);
}

enum State { kStart, kSign, kInteger, kFraction, kExponent, kExponentDigits, kInvalid, kStates };

static enum State step(enum State state, char c) {
    int digit = c >= '0' && c <= '9';
    switch (state) {
        case kStart:
            return digit ? kInteger : c == '-' || c == '+' ? kSign : c == '.' ? kFraction : kInvalid;
        case kSign:
            return digit ? kInteger : c == '.' ? kFraction : kInvalid;
        case kInteger:
            return digit ? kInteger : c == '.' ? kFraction : c == 'e' ? kExponent : kInvalid;
        case kFraction:
            return digit ? kFraction : c == 'e' ? kExponent : kInvalid;
        case kExponent:
        case kExponentDigits:
            return digit ? kExponentDigits : kInvalid;
        default:
            return kInvalid;
    }
}

static uint16_t work_on_text(uint16_t crc, uint64_t* state) {
    for (int i = 0; i < kText; i += 8) {
        uint64_t random = next_random(state);
        for (int k = 0; k < 8; k++, random >>= 8) text[i + k] = "0123456789.e-,,5"[random & 15];
    }
    uint32_t ended_in[kStates] = {0}, passed = 0;
    enum State at = kStart;
    for (const char* c = text; *c; c++) {
        if (*c == ',') {
            ended_in[at]++;
            at = kStart;
            continue;
        }
        enum State next = step(at, *c);
        passed += next != at;
        at = next;
    }
    for (int i = 0; i < kStates; i++) crc = crc16(crc, ended_in[i]);
    return crc16(crc, passed);
}

static uint64_t run(unsigned scale) {
    uint64_t state = 0x123456789abcdefu;
    uint16_t crc = 0xffff;
    for (uint64_t i = 0, rounds = scaled(6000, scale); i < rounds; i++)
        crc = work_on_text(work_on_matrices(work_on_list(crc, &state), &state), &state);
    return crc;
}

const struct Workload mix = {"mix", NULL, run};
