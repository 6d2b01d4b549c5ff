#include "machine/boot/loader.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <string>
#include <vector>

#include "base/sizes.h"
#include "machine/boot/origin.h"

namespace doppel::machine::boot {

namespace {

using memory::GuestMemory;
using memory::kPageSize;

constexpr uint64_t kMebibyte = uint64_t{1} << 20;
constexpr uint64_t kImageAlignment = 2 * kMebibyte;
// Linux maps no more RAM than its address-space mode has room for, and firmware often only what is below 4 GiB: what
// they must find lies in the first 2 GiB of RAM when it fits there.
constexpr uint64_t kReachableRam = 2048 * kMebibyte;

// A range of RAM that is taken. Ranges come from checked files: start + size does not wrap around.
struct Taken {
    std::string name;
    uint64_t start;
    uint64_t size;
    uint64_t last() const { return start + (size - 1); }
};

// What a part is called in errors: "kernel /boot/vmlinuz".
std::string named(const char* what, std::string_view path) {
    return path.empty() ? what : fmt::format("{} {}", what, path);
}
std::string name_of(const FirmwareImage& firmware) {
    return named("firmware", firmware.path);
}
std::string name_of(const KernelImage& kernel) {
    return named("kernel", kernel.path);
}
std::string name_of_initrd(const BootParts& parts) {
    return named("initrd", parts.initrd_path);
}

uint64_t align_up(uint64_t value, uint64_t alignment) {
    return (value + alignment - 1) / alignment * alignment;
}
uint64_t align_down(uint64_t value, uint64_t alignment) {
    return value / alignment * alignment;
}

// "use --memory 64M or more": the next power of two, so that what was loaded also has something to work with.
std::string memory_cure(uint64_t needed) {
    if (needed > uint64_t{1} << 40) return "link it for an address in memory";
    const uint64_t mebibytes = std::bit_ceil(std::max<uint64_t>(needed / kMebibyte + 1, 16));
    return fmt::format("use --memory {} or more", format_size(mebibytes * kMebibyte));
}

// Fills a plan, range by range.
class Planner {
  public:
    explicit Planner(Ram ram) : ram_(ram), floor_(ram.base) {}

    Result<> take(std::string name, uint64_t start, uint64_t size) {
        const uint64_t ram_end = ram_.base + ram_.size;
        if (start < ram_.base) {
            return fail(
                {"boot", std::move(name),
                 fmt::format("belongs at 0x{:x}, below the machine's memory, which starts at 0x{:x}", start, ram_.base),
                 "link it for an address in memory"});
        }
        if (start >= ram_end || size > ram_end - start) {
            const uint64_t offset = start - ram_.base;
            const uint64_t needed = size > UINT64_MAX - offset ? UINT64_MAX : offset + size;
            return fail({"boot", std::move(name),
                         fmt::format("needs {} at 0x{:x}, the machine has {}", format_size_rounded(size), start,
                                     format_size_rounded(ram_.size)),
                         memory_cure(needed)});
        }
        for (const Taken& other : taken_) {
            if (start <= other.last() && other.start <= start + (size - 1)) {
                return fail({"boot", std::move(name),
                             fmt::format("belongs at 0x{:x}, where the {} lies already", std::max(start, other.start),
                                         other.name),
                             "link them for different addresses"});
            }
        }
        taken_.push_back({std::move(name), start, size});
        return {};
    }

    // Kernels of old treat what is below them as no memory at all: take_high stays above `address`.
    void stay_above(uint64_t address) { floor_ = address; }

    // The lowest free place from `address` on, or else the highest one.
    Result<uint64_t> take_from(uint64_t address, std::string name, uint64_t size, uint64_t alignment) {
        uint64_t start = align_up(address, alignment);
        for (bool moved = true; moved;) {
            moved = false;
            for (const Taken& other : taken_) {
                if (start > other.last() || other.start > start + (size - 1)) continue;
                start = align_up(other.last() + 1, alignment);
                moved = true;
            }
        }
        const uint64_t end = ram_.base + ram_.size;
        if (start >= end || size > end - start) return take_high(std::move(name), size, alignment);
        taken_.push_back({std::move(name), start, size});
        return start;
    }

    // The highest free place, preferably in reachable RAM.
    Result<uint64_t> take_high(std::string name, uint64_t size, uint64_t alignment) {
        for (const uint64_t room : {std::min(ram_.size, kReachableRam), ram_.size}) {
            if (const auto start = find_below(ram_.base + room, size, alignment)) {
                taken_.push_back({std::move(name), *start, size});
                return *start;
            }
        }
        uint64_t needed = floor_ - ram_.base + size + alignment;
        for (const Taken& other : taken_) needed += other.start >= floor_ ? other.size : 0;
        return fail({"boot", std::move(name),
                     fmt::format("needs {} besides the rest, the machine has {}", format_size_rounded(size),
                                 format_size_rounded(ram_.size)),
                     memory_cure(needed)});
    }

  private:
    std::optional<uint64_t> find_below(uint64_t end, uint64_t size, uint64_t alignment) const {
        while (end >= floor_ && size <= end - floor_) {
            const uint64_t start = align_down(end - size, alignment);
            if (start < floor_) break;
            const auto blocker = std::ranges::find_if(taken_, [start, size](const Taken& other) {
                return start <= other.last() && other.start <= start + (size - 1);
            });
            if (blocker == taken_.end()) return start;
            end = blocker->start;
        }
        return std::nullopt;
    }

    Ram ram_;
    uint64_t floor_;
    std::vector<Taken> taken_;
};

// How far above the start of RAM the initrd lies at the most when a firmware runs.
constexpr uint64_t kFirmwareInitrdOffset = 512 * kMebibyte;

// What of a segment goes into memory, and where.
struct Piece {
    uint64_t start;
    std::span<const uint8_t> content;
    uint64_t memory_size;  // bytes; 0: nothing
};

// GNU ld puts the file's headers in front of the first section, on a page of its own. For a program linked for the
// start of RAM
// (-Ttext=0x80000000) that page lies below RAM; nobody reads it there, so that part is left out.
Piece piece_of(const ElfSegment& segment, uint64_t bias, uint64_t ram_base) {
    constexpr uint64_t kLargestLinkerPage = 64 << 10;
    Piece piece{segment.physical_address + bias, segment.content, segment.memory_size};
    if (segment.file_offset == 0 && piece.start < ram_base && ram_base - piece.start <= kLargestLinkerPage) {
        const uint64_t headers = std::min(ram_base - piece.start, piece.memory_size);
        piece.start += headers;
        piece.content = piece.content.subspan(std::min<uint64_t>(headers, piece.content.size()));
        piece.memory_size -= headers;
    }
    return piece;
}

// Returns the physical entry. `bias` is added modulo 2^64.
Result<uint64_t> plan_elf(Planner& planner, const std::string& name, const Elf& elf, uint64_t bias, Ram ram) {
    const uint64_t lowest = elf.segments().front().physical_address;
    for (const ElfSegment& segment : elf.segments()) {
        const uint64_t before_last = segment.physical_address - lowest + (segment.memory_size - 1);
        if (before_last > UINT64_MAX - (lowest + bias)) {
            return fail({"boot", name, "reaches beyond the end of the address space", "correct its linker script"});
        }
        const Piece piece = piece_of(segment, bias, ram.base);
        if (piece.memory_size != 0) DOPPEL_CHECK(planner.take(name, piece.start, piece.memory_size));
    }
    const std::optional<uint64_t> entry = elf.physical_entry();
    if (!entry || *entry + bias < ram.base) {
        return fail({"boot", name, fmt::format("its entry 0x{:x} lies in none of its loaded segments", elf.entry()),
                     "correct its linker script"});
    }
    return *entry + bias;
}

// 0 for a program linked for RAM. vmlinux is linked for virtual addresses and counts physical ones from its own start,
// so it goes where the Image made of it would.
uint64_t bias_of(const KernelImage& kernel, const Elf& elf, uint64_t image_base) {
    constexpr uint64_t kKernelHalf = uint64_t{1} << 63;
    if (elf.entry() < kKernelHalf) return 0;
    return image_base + kImageAlignment - align_down(kernel.load_offset, kImageAlignment);
}

Result<> plan_kernel(Planner& planner, const KernelImage& kernel, Ram ram, BootLayout& layout) {
    const uint64_t image_base = align_up(ram.base, kImageAlignment);
    if (kernel.kind != KernelKind::kElf) {
        layout.kernel_start = image_base + kernel.load_offset;
        layout.next_stage = layout.kernel_start;
        layout.kernel_end = layout.kernel_start + kernel.memory_size;
        DOPPEL_CHECK(planner.take(name_of(kernel), layout.kernel_start, kernel.memory_size));
    } else {
        DOPPEL_TRY(const Elf elf, Elf::parse(kernel.bytes, EM_RISCV, {"boot", name_of(kernel)}));
        layout.kernel_bias = bias_of(kernel, elf, image_base);
        DOPPEL_TRY(layout.next_stage, plan_elf(planner, name_of(kernel), elf, layout.kernel_bias, ram));
        const uint64_t lowest = kernel.load_offset + layout.kernel_bias;
        layout.kernel_start = std::max(lowest, ram.base);
        layout.kernel_end = lowest + kernel.memory_size;
    }
    planner.stay_above(layout.kernel_end);
    return {};
}

// Returns where it starts.
Result<uint64_t> plan_firmware(Planner& planner, const FirmwareImage& firmware, Ram ram, BootLayout& layout) {
    if (!firmware.elf) {
        DOPPEL_CHECK(planner.take(name_of(firmware), ram.base, firmware.bytes.size()));
        return ram.base;
    }
    const uint64_t lowest = firmware.elf->segments().front().physical_address;
    if (firmware.elf->position_independent() && lowest < ram.base) {
        layout.firmware_bias = ram.base - align_down(lowest, kPageSize);
    }
    return plan_elf(planner, name_of(firmware), *firmware.elf, layout.firmware_bias, ram);
}

// Zeroes a range, whole pages by giving them back, so that a large bss costs nothing.
bool clear(GuestMemory& memory, uint64_t start, uint64_t size) {
    const uint64_t pages_start = align_up(start, kPageSize);
    const uint64_t pages_end = align_down(start + size, kPageSize);
    if (pages_start >= pages_end) return memory.fill(start, size, 0);
    return memory.fill(start, pages_start - start, 0) && memory.discard(pages_start, pages_end - pages_start) &&
           memory.fill(pages_end, start + size - pages_end, 0);
}

Result<> load(GuestMemory& memory, const std::string& name, uint64_t start, std::span<const uint8_t> bytes,
              uint64_t memory_size) {
    if (memory.write(start, bytes) && clear(memory, start + bytes.size(), memory_size - bytes.size())) return {};
    return fail({"boot", name,
                 fmt::format("there is no memory for {} at 0x{:x}", format_size_rounded(memory_size), start), ""});
}

Result<> load_elf(GuestMemory& memory, const std::string& name, const Elf& elf, uint64_t bias, uint64_t ram_base) {
    for (const ElfSegment& segment : elf.segments()) {
        const Piece piece = piece_of(segment, bias, ram_base);
        if (piece.memory_size != 0) DOPPEL_CHECK(load(memory, name, piece.start, piece.content, piece.memory_size));
    }
    return {};
}

}  // namespace

Result<BootLayout> plan_boot(const BootParts& parts, Ram ram) {
    if (parts.firmware == nullptr && parts.kernel == nullptr && !parts.flash) {
        return fail(Error::usage("run", "there is nothing to boot", "give --kernel, --firmware or --flash"));
    }
    BootLayout layout{};
    layout.ram_base = ram.base;
    Planner planner(ram);
    std::optional<uint64_t> firmware_entry;
    if (parts.firmware != nullptr) {
        DOPPEL_TRY(firmware_entry, plan_firmware(planner, *parts.firmware, ram, layout));
    }
    layout.next_stage = parts.flash;
    if (parts.kernel != nullptr) DOPPEL_CHECK(plan_kernel(planner, *parts.kernel, ram, layout));
    layout.entry = firmware_entry ? *firmware_entry : layout.next_stage.value_or(ram.base);
    if (!parts.initrd.empty()) {
        const uint64_t room = align_up(parts.initrd.size(), kPageSize);
        const uint64_t middle = ram.base + std::min(ram.size / 2, kFirmwareInitrdOffset);
        DOPPEL_TRY(layout.initrd_start, firmware_entry
                                            ? planner.take_from(middle, name_of_initrd(parts), room, kPageSize)
                                            : planner.take_high(name_of_initrd(parts), room, kPageSize));
        layout.initrd_end = layout.initrd_start + parts.initrd.size();
    }
    DOPPEL_TRY(layout.device_tree, planner.take_high("device tree", kDeviceTreeRoom, kPageSize));
    return layout;
}

Result<> load_boot(GuestMemory& memory, const BootLayout& layout, const BootParts& parts,
                   std::span<const uint8_t> device_tree) {
    if (device_tree.size() > kDeviceTreeRoom) {
        return fail({"boot", "device tree",
                     fmt::format("has {}, more than {}", format_size_rounded(device_tree.size()),
                                 format_size_rounded(kDeviceTreeRoom)),
                     "shorten the command line (--append)"});
    }
    if (parts.firmware != nullptr && parts.firmware->elf) {
        DOPPEL_CHECK(
            load_elf(memory, name_of(*parts.firmware), *parts.firmware->elf, layout.firmware_bias, layout.ram_base));
    } else if (parts.firmware != nullptr) {
        DOPPEL_CHECK(load(memory, name_of(*parts.firmware), layout.ram_base, parts.firmware->bytes,
                          parts.firmware->bytes.size()));
    }
    if (parts.kernel != nullptr && parts.kernel->kind != KernelKind::kElf) {
        DOPPEL_CHECK(
            load(memory, name_of(*parts.kernel), layout.kernel_start, parts.kernel->bytes, parts.kernel->memory_size));
    } else if (parts.kernel != nullptr) {
        DOPPEL_TRY(const Elf elf, Elf::parse(parts.kernel->bytes, EM_RISCV, {"boot", name_of(*parts.kernel)}));
        DOPPEL_CHECK(load_elf(memory, name_of(*parts.kernel), elf, layout.kernel_bias, layout.ram_base));
    }
    if (!parts.initrd.empty())
        DOPPEL_CHECK(load(memory, name_of_initrd(parts), layout.initrd_start, parts.initrd, parts.initrd.size()));
    return load(memory, "device tree", layout.device_tree, device_tree, device_tree.size());
}

}  // namespace doppel::machine::boot
