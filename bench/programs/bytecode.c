// An interpreter of a small stack machine with computed goto: an indirect jump after every few instructions. It runs a
// sieve of primes and a Collatz search, both assembled here.
#include <stddef.h>

#include "bench.h"

enum Operation {
    kPush,
    kLoad,
    kStore,
    kFetch,
    kPut,
    kAdd,
    kMultiply,
    kDivideByTwo,
    kIsOdd,
    kLess,
    kJump,
    kJumpIfZero,
    kHalt
};

struct Instruction {
    uint8_t operation;
    int32_t operand;
};

enum { kLimit = 20000, kVariables = 8, kStack = 16 };
enum { kI, kJ, kSum, kStart, kValue, kSteps };  // variables

static int64_t execute(const struct Instruction* code, uint8_t* memory) {
    static const void* const targets[] = {&&push, &&load,         &&store,         &&fetch,  &&put,
                                          &&add,  &&multiply,     &&divide_by_two, &&is_odd, &&less,
                                          &&jump, &&jump_if_zero, &&halt};
    int64_t variables[kVariables] = {0}, stack[kStack], *top = stack;
    const struct Instruction* at = code;
#define NEXT goto* targets[(++at)->operation]
#define GO goto* targets[(at = code + at->operand)->operation]
    goto* targets[at->operation];
push:
    *++top = at->operand;
    NEXT;
load:
    *++top = variables[at->operand];
    NEXT;
store:
    variables[at->operand] = *top--;
    NEXT;
fetch:
    *top = memory[*top];
    NEXT;
put:
    memory[top[-1]] = (uint8_t)top[0];
    top -= 2;
    NEXT;
add:
    top--;
    top[0] += top[1];
    NEXT;
multiply:
    top--;
    top[0] *= top[1];
    NEXT;
divide_by_two:
    *top >>= 1;
    NEXT;
is_odd:
    *top &= 1;
    NEXT;
less:
    top--;
    top[0] = top[0] < top[1];
    NEXT;
jump:
    GO;
jump_if_zero:
    if (*top-- == 0) GO;
    NEXT;
halt:
    return variables[kSum];
#undef NEXT
#undef GO
}

static const struct Instruction kSieve[] = {
    {kPush, 2},    {kStore, kI},                                                       //  0 i = 2
    {kLoad, kI},   {kPush, kLimit}, {kLess, 0}, {kJumpIfZero, 32},                     //  2 while i < limit
    {kLoad, kI},   {kFetch, 0},     {kPush, 1}, {kLess, 0},        {kJumpIfZero, 27},  //  6   if memory[i] < 1
    {kLoad, kSum}, {kLoad, kI},     {kAdd, 0},  {kStore, kSum},                        // 11     sum += i
    {kLoad, kI},   {kStore, kJ},                                                       // 15     j = i
    {kLoad, kJ},   {kPush, kLimit}, {kLess, 0}, {kJumpIfZero, 27},               // 17     while j < limit: put below
    {kJump, 33},                                                                 // 21
    {kLoad, kJ},   {kLoad, kI},     {kAdd, 0},  {kStore, kJ},      {kJump, 17},  // 22       j += i
    {kLoad, kI},   {kPush, 1},      {kAdd, 0},  {kStore, kI},      {kJump, 2},   // 27   i += 1
    {kHalt, 0},                                                                  // 32
    {kLoad, kJ},   {kPush, 1},      {kPut, 0},  {kJump, 22},                     // 33       memory[j] = 1
};

static const struct Instruction kCollatz[] = {
    {kPush, 1},       {kStore, kStart},                                           //  0 start = 1
    {kLoad, kStart},  {kPush, kLimit / 8}, {kLess, 0},        {kJumpIfZero, 35},  //  2 while start < limit / 8
    {kLoad, kStart},  {kStore, kValue},                                           //  6   value = start
    {kPush, 1},       {kLoad, kValue},     {kLess, 0},        {kJumpIfZero, 30},  //  8   while 1 < value
    {kLoad, kValue},  {kIsOdd, 0},         {kJumpIfZero, 22},                     // 12     if odd
    {kLoad, kValue},  {kPush, 3},          {kMultiply, 0},    {kPush, 1},        {kAdd, 0},   // 15       3 * value + 1
    {kStore, kValue}, {kJump, 25},                                                            // 20
    {kLoad, kValue},  {kDivideByTwo, 0},   {kStore, kValue},                                  // 22     else value / 2
    {kLoad, kSum},    {kPush, 1},          {kAdd, 0},         {kStore, kSum},    {kJump, 8},  // 25     sum += 1
    {kLoad, kStart},  {kPush, 1},          {kAdd, 0},         {kStore, kStart},               // 30   start += 1
    {kJump, 2},       {kHalt, 0},                                                             // 34
};

static uint64_t run(unsigned scale) {
    static uint8_t memory[kLimit];
    uint64_t sum = 0;
    for (uint64_t i = 0, rounds = scaled(40, scale); i < rounds; i++) {
        for (unsigned k = 0; k < kLimit; k++) memory[k] = 0;
        sum = sum * 31 + (uint64_t)execute(kSieve, memory) + (uint64_t)execute(kCollatz, memory);
    }
    return sum;
}

const struct Workload bytecode = {"bytecode", NULL, run};
