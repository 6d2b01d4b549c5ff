// Sorting and hashing: qsort of records by a comparison function, then a hash table with open addressing that grows.
#include <stdlib.h>
#include <string.h>

#include "bench.h"

struct Record {
    uint64_t key;
    uint32_t payload[2];
};

static int by_key(const void* a, const void* b) {
    uint64_t x = ((const struct Record*)a)->key, y = ((const struct Record*)b)->key;
    return (x > y) - (x < y);
}

struct Table {
    uint64_t *keys, *counts;  // key 0: empty
    uint64_t capacity, used;
};

static uint64_t* find(struct Table* table, uint64_t key) {
    uint64_t mask = table->capacity - 1, at = (key * 0x9e3779b97f4a7c15u >> 32) & mask;
    while (table->keys[at] && table->keys[at] != key) at = (at + 1) & mask;
    if (!table->keys[at]) {
        table->keys[at] = key;
        table->used++;
    }
    return &table->counts[at];
}

static struct Table table_of(uint64_t capacity) {
    struct Table table = {calloc(capacity, 8), calloc(capacity, 8), capacity, 0};
    if (!table.keys || !table.counts) abort();
    return table;
}

static void release(struct Table* table) {
    free(table->keys);
    free(table->counts);
}

static void count(struct Table* table, uint64_t key) {
    if (table->used * 4 >= table->capacity * 3) {
        struct Table larger = table_of(table->capacity * 2);
        for (uint64_t i = 0; i < table->capacity; i++)
            if (table->keys[i]) *find(&larger, table->keys[i]) = table->counts[i];
        release(table);
        *table = larger;
    }
    ++*find(table, key);
}

static uint64_t run(unsigned scale) {
    enum { kRecords = 100000 };
    struct Record* records = malloc(kRecords * sizeof *records);
    if (!records) abort();
    uint64_t state = 7, sum = 0;
    for (uint64_t round = 0, rounds = scaled(24, scale); round < rounds; round++) {
        for (unsigned i = 0; i < kRecords; i++)
            records[i] = (struct Record){(next_random(&state) >> 30) % 50000 + 1, {i, (uint32_t)round}};
        qsort(records, kRecords, sizeof *records, by_key);
        struct Table table = table_of(64);
        for (unsigned i = 0; i < kRecords; i++) count(&table, records[i * 7919u % kRecords].key);
        for (unsigned i = 0; i < kRecords; i += 16) sum = sum * 31 + *find(&table, records[i].key) + records[i].key;
        sum = sum * 31 + table.used;
        release(&table);
    }
    free(records);
    return sum;
}

const struct Workload sort_hash = {"sort_hash", NULL, run};
