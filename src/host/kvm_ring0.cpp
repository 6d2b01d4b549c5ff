#include <signal.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "host/kvm_guest.h"
#include "host/sandbox.h"

#if defined(__x86_64__)
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#endif

namespace doppel::host {

#if defined(__x86_64__)
namespace {

constexpr size_t kMemory = 64 << 10;
constexpr uint64_t kLevel4 = 0x1000;
constexpr uint64_t kLevel3 = 0x2000;
constexpr uint64_t kLevel2 = 0x3000;
constexpr uint64_t kCode = 0x4000;
// dec rcx; jnz -5; hlt
constexpr uint8_t kLoop[] = {0x48, 0xff, 0xc9, 0x75, 0xfb, 0xf4};
constexpr uint64_t kRounds = 100'000'000;  // of two instructions: a few hundredths of a second in hardware

// Intel SDM volume 3, 4.5: present, writable; a 2 MiB page maps the whole memory to itself.
void fill_memory(uint8_t* memory) {
    const uint64_t entries[] = {kLevel3 | 3, kLevel2 | 3, 0x83};
    std::memcpy(memory + kLevel4, &entries[0], 8);
    std::memcpy(memory + kLevel3, &entries[1], 8);
    std::memcpy(memory + kLevel2, &entries[2], 8);
    std::memcpy(memory + kCode, kLoop, sizeof kLoop);
}

// 64-bit mode, ring 0, as after a boot loader: paging on, flat segments.
bool enter_long_mode(int processor) {
    kvm_sregs system{};
    if (ioctl(processor, KVM_GET_SREGS, &system) != 0) return false;
    kvm_segment flat{};
    flat.limit = 0xffffffff;
    flat.present = 1;
    flat.s = 1;
    flat.g = 1;
    flat.selector = 16;
    flat.type = 3;
    flat.db = 1;
    system.ds = system.es = system.ss = system.fs = system.gs = flat;
    flat.selector = 8;
    flat.type = 11;
    flat.db = 0;
    flat.l = 1;
    system.cs = flat;
    system.cr3 = kLevel4;
    system.cr4 = 1U << 5;                            // PAE
    system.cr0 = 1U | 1U << 4 | 1U << 5 | 1U << 31;  // PE, ET, NE, PG
    system.efer = 1U << 8 | 1U << 10;                // LME, LMA
    if (ioctl(processor, KVM_SET_SREGS, &system) != 0) return false;
    kvm_regs registers{};
    registers.rip = kCode;
    registers.rcx = kRounds;
    registers.rflags = 2;
    return ioctl(processor, KVM_SET_REGS, &registers) == 0;
}

void note_alarm(int) {}

// The signal ends KVM_RUN; it repeats, so that one before KVM_RUN is not the last.
void arm_alarm(long microseconds) {
    struct sigaction action {};
    action.sa_handler = note_alarm;
    sigaction(SIGALRM, &action, nullptr);
    const itimerval timer{{0, microseconds == 0 ? 0 : 50'000}, {0, microseconds}};
    setitimer(ITIMER_REAL, &timer, nullptr);
}

double thread_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

Result<Ring0Speed> time_loop(int processor, kvm_run* state) {
    arm_alarm(500'000);
    const double start = thread_seconds();
    const int result = ioctl(processor, KVM_RUN, 0);
    const int error = errno;
    const double seconds = thread_seconds() - start;
    arm_alarm(0);
    if (result != 0 && error != EINTR) return fail(Error{"", "", failure("run the guest", error)});
    if (result == 0 && state->exit_reason != KVM_EXIT_HLT)
        return fail(Error{"", "", "the guest left with KVM exit " + std::to_string(state->exit_reason)});
    kvm_regs registers{};
    if (ioctl(processor, KVM_GET_REGS, &registers) != 0 || registers.rcx > kRounds)
        return fail(Error{"", "", failure("read the guest's registers", errno)});
    return Ring0Speed{2 * (kRounds - registers.rcx), seconds};
}

}  // namespace

Result<Ring0Speed> measure_ring0() {
    DOPPEL_TRY(const KvmGuest guest, make_kvm_guest());
    void* memory = mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const int state_size = ioctl(guest.device.get(), KVM_GET_VCPU_MMAP_SIZE, 0);
    if (memory == MAP_FAILED || state_size < static_cast<int>(sizeof(kvm_run)))
        return fail(Error{"", "", failure("map the guest's memory", errno)});
    fill_memory(static_cast<uint8_t*>(memory));
    kvm_userspace_memory_region region{};
    region.memory_size = kMemory;
    region.userspace_addr = reinterpret_cast<uintptr_t>(memory);
    if (ioctl(guest.machine.get(), KVM_SET_USER_MEMORY_REGION, &region) != 0)
        return fail(Error{"", "", failure("give the guest memory", errno)});
    void* state =
        mmap(nullptr, static_cast<size_t>(state_size), PROT_READ | PROT_WRITE, MAP_SHARED, guest.processor.get(), 0);
    if (state == MAP_FAILED) return fail(Error{"", "", failure("map the processor's state", errno)});
    if (!enter_long_mode(guest.processor.get())) return fail(Error{"", "", failure("enter 64-bit mode", errno)});
    return time_loop(guest.processor.get(), static_cast<kvm_run*>(state));
}

#else

Result<Ring0Speed> measure_ring0() {
    return fail(Error{"", "", "this host's architecture has no measurement"});
}

#endif

}  // namespace doppel::host
