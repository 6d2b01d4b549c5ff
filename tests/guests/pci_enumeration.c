// What firmware finds on the PCI bus: a host bridge and the virtio devices that every machine has, one of them a
// virtio-rng, whose BARs can be sized and placed, and which then fills a buffer with entropy and raises its interrupt.
#include "guest.h"

static uint64_t config(unsigned slot, unsigned offset) {
    return PCI_CONFIG + (uint64_t)slot * 0x8000 + offset;
}

static unsigned find_rng(void) {
    unsigned found = 0, slot_of_rng = 0;
    for (unsigned slot = 0; slot < 32; slot++) {
        uint32_t id = read32(config(slot, 0));
        if (id == 0xffffffff) continue;
        found++;
        if (id == 0x10441af4) slot_of_rng = slot;
    }
    expect(slot_of_rng != 0);
    expect_equal(found, 5);  // with the balloon, the power key, and the agent's port
    expect_equal(read32(config(0, 8)) >> 16, 0x0600);  // host bridge
    // Other buses are empty, and there are no further functions.
    expect_equal(read32(PCI_CONFIG + (1 << 20)), 0xffffffff);
    expect_equal(read32(config(slot_of_rng, 0) + 0x1000), 0xffffffff);
    return slot_of_rng;
}

static uint64_t place_bar(unsigned slot, unsigned bar, uint64_t at) {
    uint64_t reg = config(slot, 0x10 + 4 * bar);
    uint32_t kind = read32(reg) & 15;
    expect_equal(kind & 1, 0);
    write32(reg, 0xffffffff);
    uint64_t mask = read32(reg) & ~15U;
    if (kind & 4) {
        write32(reg + 4, 0xffffffff);
        mask |= (uint64_t)read32(reg + 4) << 32;
        write32(reg + 4, (uint32_t)(at >> 32));
    } else {
        mask |= 0xffffffffUL << 32;
    }
    uint64_t size = -mask;
    expect(size >= 4096 && !(size & (size - 1)));
    write32(reg, (uint32_t)at);
    expect_equal(read32(reg) & ~15U, (uint32_t)at);
    return size;
}

struct capability {
    uint64_t bar, offset, multiplier;
};
static struct capability capabilities[8];

// The vendor-specific capabilities by their kind (4.1.4 of virtio 1.2). Returns the set of kinds.
static unsigned read_capabilities(unsigned slot) {
    unsigned kinds = 0, at = read8(config(slot, 0x34));
    for (unsigned limit = 0; at && limit < 48; at = read8(config(slot, at + 1)), limit++) {
        uint8_t kind = read8(config(slot, at + 3));
        if (read8(config(slot, at)) != 9 || kind >= 8) continue;
        kinds |= 1U << kind;
        capabilities[kind].bar = read8(config(slot, at + 4));
        capabilities[kind].offset = read32(config(slot, at + 8));
        capabilities[kind].multiplier = kind == 2 ? read32(config(slot, at + 16)) : 0;
    }
    return kinds;
}

enum { kCommon = 1, kNotify = 2, kIsr = 3, kPciAccess = 5 };
static struct {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
} descriptors[4] __attribute__((aligned(16)));
static struct { uint16_t flags, index, ring[4], used_event; } available __attribute__((aligned(2)));
static struct {
    uint16_t flags, index;
    struct {
        uint32_t id, length;
    } ring[4];
} used __attribute__((aligned(4)));
static uint8_t entropy[64];

static void fill_entropy(uint64_t base) {
    uint64_t common = base + capabilities[kCommon].offset;
    write8(common + 0x14, 0);  // reset
    while (read8(common + 0x14)) {
    }
    write8(common + 0x14, 3);  // acknowledge, driver
    write32(common, 1);
    expect_equal(read32(common + 4) & 1, 1);  // VIRTIO_F_VERSION_1
    write32(common + 8, 1);
    write32(common + 12, 1);
    write8(common + 0x14, 11);  // features chosen
    expect_equal(read8(common + 0x14), 11);
    expect_equal(read16(common + 0x12), 1);  // one queue
    write16(common + 0x16, 0);
    expect(read16(common + 0x18) >= 4);
    write16(common + 0x18, 4);
    write64(common + 0x20, (uint64_t)descriptors);
    write64(common + 0x28, (uint64_t)&available);
    write64(common + 0x30, (uint64_t)&used);
    write16(common + 0x1c, 1);
    write8(common + 0x14, 15);  // go
    descriptors[0].address = (uint64_t)entropy;
    descriptors[0].length = sizeof entropy;
    descriptors[0].flags = 2;  // written by the device
    available.index = 1;
    fence();
    uint64_t notify = read16(common + 0x1e) * capabilities[kNotify].multiplier;
    write16(base + capabilities[kNotify].offset + notify, 0);
    while (read16((uint64_t)&used.index) != 1) {
    }
    fence();
    expect(read32((uint64_t)&used.ring[0].length) >= 1);
    unsigned bits = 0;
    for (unsigned i = 0; i < sizeof entropy; i++) bits |= read8((uint64_t)&entropy[i]);
    expect(bits != 0);
}

int main(uint64_t hart) {
    (void)hart;
    unsigned slot = find_rng();
    unsigned needed = 1 << kCommon | 1 << kNotify | 1 << kIsr | 1 << kPciAccess;
    expect_equal(read_capabilities(slot) & needed, needed);
    uint64_t base = PCI_WINDOW32 + 0x10000000;
    place_bar(slot, (unsigned)capabilities[kCommon].bar, base);
    write16(config(slot, 4), 6);  // memory space, bus master
    fill_entropy(base);

    // INTx by way of the PLIC, swizzled by slot: 0x20 + (slot + pin - 1) % 4; reading the ISR lowers it.
    uint32_t input = 0x20 + (slot + read8(config(slot, 0x3d)) - 1U) % 4;
    while (!(read32(PLIC + 0x1000 + 4 * (input / 32)) >> input % 32 & 1)) {
    }
    expect_equal(read8(base + capabilities[kIsr].offset), 1);
    expect_equal(read8(base + capabilities[kIsr].offset), 0);
    return 0;
}
