// The device tree of board `riscv64`. Source: the bindings in Linux Documentation/devicetree/bindings.
#include <fmt/format.h>
#include <sys/random.h>

#include "device/aplic.h"
#include "device/imsic.h"
#include "device/plic.h"
#include "isa/riscv/extensions.h"
#include "isa/riscv/hart.h"
#include "machine/boot/device_tree.h"
#include "machine/riscv64_board.h"

namespace doppel::machine::riscv64 {

namespace {

namespace irq = isa::riscv::irq;
using boot::DeviceTreeBuilder;
using Content = Board::DeviceTreeContent;

constexpr uint32_t kUartClock = 3686400;  // Hz
constexpr uint32_t kLevelHigh = 4;        // an APLIC's second interrupt cell (irq.h, IRQ_TYPE_LEVEL_HIGH)

std::string at(std::string_view name, uint64_t address) {
    return fmt::format("{}@{:x}", name, address);
}

class Writer {
  public:
    explicit Writer(const Content& content) : content_(content) {}

    Result<std::vector<uint8_t>> write() {
        for (unsigned i = 0; i < content_.harts; i++) hart_interrupts_.push_back(tree_.new_phandle());
        for (uint32_t* phandle : {&wires_, &machine_wires_, &messages_, &machine_messages_}) {
            *phandle = tree_.new_phandle();
        }
        finisher_ = tree_.new_phandle();
        tree_.property_u32("#address-cells", 2);
        tree_.property_u32("#size-cells", 2);
        tree_.property_string("compatible", "riscv-virtio");
        tree_.property_string("model", "doppel,riscv64");
        write_chosen();
        write_memory();
        write_cpus();
        write_hypervisor();
        write_power("poweroff", "syscon-poweroff", device::TestFinisher::kPass);
        write_power("reboot", "syscon-reboot", device::TestFinisher::kReset);
        if (content_.flash) write_flash();
        write_soc();
        return tree_.finish();
    }

  private:
    void reg(uint64_t base, uint64_t size) { tree_.property_u64s("reg", {base, size}); }

    void write_chosen() {
        auto node = tree_.node("chosen");
        tree_.property_string("bootargs", content_.command_line);
        tree_.property_string("stdout-path", fmt::format("/soc/{}", at("serial", map::kUart)));
        if (content_.initrd_end > content_.initrd_start) {
            tree_.property_u64("linux,initrd-start", content_.initrd_start);
            tree_.property_u64("linux,initrd-end", content_.initrd_end);
        }
        std::array<uint8_t, 40> entropy;
        // Without entropy the guest boots all the same, and gathers its own.
        if (getrandom(entropy.data(), entropy.size(), GRND_NONBLOCK) == static_cast<ssize_t>(entropy.size())) {
            tree_.property_bytes("rng-seed", std::span(entropy).first(32));
            tree_.property_bytes("kaslr-seed", std::span(entropy).last(8));
        }
    }

    void write_memory() {
        auto node = tree_.node(at("memory", map::kRam));
        tree_.property_string("device_type", "memory");
        reg(map::kRam, content_.ram_size);
    }

    void write_cpus() {
        auto node = tree_.node("cpus");
        tree_.property_u32("#address-cells", 1);
        tree_.property_u32("#size-cells", 0);
        tree_.property_u32("timebase-frequency", device::Timebase::kFrequency);
        for (unsigned i = 0; i < content_.harts; i++) write_cpu(i);
    }

    void write_cpu(unsigned i) {
        auto node = tree_.node(at("cpu", i));
        tree_.property_string("device_type", "cpu");
        tree_.property_u32("reg", i);
        tree_.property_string("status", "okay");
        tree_.property_string("compatible", "riscv");
        tree_.property_string("riscv,isa", isa::riscv::isa_string(machine_extensions()));
        tree_.property_string("riscv,isa-base", "rv64i");
        tree_.property_strings("riscv,isa-extensions", isa::riscv::extensions(machine_extensions()));
        tree_.property_string("mmu-type", "riscv,sv57");
        tree_.property_u32("riscv,cbom-block-size", isa::riscv::kCacheBlockBytes);
        tree_.property_u32("riscv,cboz-block-size", isa::riscv::kCacheBlockBytes);
        auto controller = tree_.node("interrupt-controller");
        tree_.property_string("compatible", "riscv,cpu-intc");
        tree_.property_u32("#interrupt-cells", 1);
        tree_.property_empty("interrupt-controller");
        tree_.property_phandle(hart_interrupts_[i]);
    }

    bool aia() const { return content_.irqchip == Irqchip::kAia; }
    isa::riscv::MachineExtensions machine_extensions() const {
        return {.aia = aia(), .machine_mode = !content_.host_firmware, .vector_bits = content_.vector_bits};
    }

    // By this node systemd-detect-virt knows a virtual machine ("vm-other": its list of names is closed).
    void write_hypervisor() {
        auto node = tree_.node("hypervisor");
        tree_.property_string("compatible", "doppel,hypervisor");
    }

    void write_power(std::string_view name, std::string_view compatible, uint32_t value) {
        auto node = tree_.node(name);
        tree_.property_string("compatible", compatible);
        tree_.property_u32("regmap", finisher_);
        tree_.property_u32("offset", 0);
        tree_.property_u32("value", value);
    }

    void write_flash() {
        auto node = tree_.node(at("flash", map::kFlash));
        tree_.property_string("compatible", "cfi-flash");
        tree_.property_u64s("reg",
                            {map::kFlash, map::kFlashBankSize, map::kFlash + map::kFlashBankSize, map::kFlashBankSize});
        tree_.property_u32("bank-width", device::CfiFlash::kBusBytes);
    }

    void write_soc() {
        auto node = tree_.node("soc");
        tree_.property_u32("#address-cells", 2);
        tree_.property_u32("#size-cells", 2);
        tree_.property_string("compatible", "simple-bus");
        tree_.property_empty("ranges");
        write_finisher();
        write_rtc();
        if (!content_.host_firmware) write_clint();
        if (aia()) {
            write_aia();
        } else {
            write_sswi();
            write_plic();
        }
        write_uart();
        for (unsigned slot : content_.virtio_slots) write_virtio(slot);
        write_pci();
    }

    void write_virtio(unsigned slot) {
        auto node = tree_.node(at("virtio_mmio", virtio_address(slot)));
        tree_.property_string("compatible", "virtio,mmio");
        reg(virtio_address(slot), device::virtio::MmioTransport::kSize);
        tree_.property_empty("dma-coherent");
        write_interrupt(virtio_input(slot));
    }

    void write_finisher() {
        auto node = tree_.node(at("test", map::kFinisher));
        tree_.property_strings("compatible", {"sifive,test1", "sifive,test0", "syscon"});
        reg(map::kFinisher, device::TestFinisher::kSize);
        tree_.property_phandle(finisher_);
    }

    void write_rtc() {
        auto node = tree_.node(at("rtc", map::kRtc));
        tree_.property_string("compatible", "google,goldfish-rtc");
        reg(map::kRtc, device::GoldfishRtc::kSize);
        write_interrupt(input::kRtc);
    }

    void write_interrupt(uint32_t number) {
        if (aia()) {
            tree_.property_cells("interrupts", {number, kLevelHigh});
        } else {
            tree_.property_u32("interrupts", number);
        }
        tree_.property_u32("interrupt-parent", wires_);
    }

    // Pairs of (hart's controller, interrupt number), for the given numbers of each hart.
    void write_hart_interrupts(std::initializer_list<uint32_t> numbers) {
        std::vector<uint32_t> cells;
        for (uint32_t controller : hart_interrupts_) {
            for (uint32_t number : numbers) cells.insert(cells.end(), {controller, number});
        }
        tree_.property_cells("interrupts-extended", cells);
    }

    void write_clint() {
        auto node = tree_.node(at("clint", map::kClint));
        tree_.property_strings("compatible", {"sifive,clint0", "riscv,clint0"});
        reg(map::kClint, device::Clint::kSize);
        write_hart_interrupts({irq::kMachineSoftware, irq::kMachineTimer});
    }

    void write_sswi() {
        auto node = tree_.node(at("sswi", map::kSswi));
        tree_.property_string("compatible", "riscv,aclint-sswi");
        reg(map::kSswi, device::Sswi::kSize);
        tree_.property_empty("interrupt-controller");
        tree_.property_u32("#interrupt-cells", 0);
        write_hart_interrupts({irq::kSupervisorSoftware});
    }

    void write_plic() {
        auto node = tree_.node(at("plic", map::kPlic));
        tree_.property_strings("compatible", {"sifive,plic-1.0.0", "riscv,plic0"});
        reg(map::kPlic, device::Plic::kSize);
        tree_.property_u32("#address-cells", 0);
        tree_.property_u32("#interrupt-cells", 1);
        tree_.property_empty("interrupt-controller");
        tree_.property_u32("riscv,ndev", device::Plic::kDefaultSources);
        write_hart_interrupts({irq::kMachineExternal, irq::kSupervisorExternal});
        tree_.property_phandle(wires_);
    }

    // Between harts go messages, so no other means to interrupt them is named.
    void write_aia() {
        bool machine_mode = !content_.host_firmware;
        if (machine_mode) write_imsics(map::kImsicMachine, irq::kMachineExternal, machine_messages_);
        write_imsics(map::kImsicSupervisor, irq::kSupervisorExternal, messages_);
        if (machine_mode) write_aplic(map::kAplicMachine, machine_messages_, machine_wires_);
        write_aplic(map::kAplicSupervisor, messages_, wires_);
    }

    // riscv,imsics.yaml.
    void write_imsics(uint64_t base, uint32_t interrupt, uint32_t phandle) {
        auto node = tree_.node(at("interrupt-controller", base));
        tree_.property_strings("compatible", {"qemu,imsics", "riscv,imsics"});
        reg(base, device::Imsic::kPageSize * content_.harts);
        tree_.property_empty("interrupt-controller");
        tree_.property_u32("#interrupt-cells", 0);
        tree_.property_empty("msi-controller");
        tree_.property_u32("#msi-cells", 0);
        tree_.property_u32("riscv,num-ids", device::Imsic::kDefaultIdentities);
        write_hart_interrupts({interrupt});
        tree_.property_phandle(phandle);
    }

    // riscv,aplic.yaml.
    void write_aplic(uint64_t base, uint32_t messages, uint32_t phandle) {
        auto node = tree_.node(at("interrupt-controller", base));
        tree_.property_strings("compatible", {"qemu,aplic", "riscv,aplic"});
        reg(base, device::Aplic::kSize);
        tree_.property_empty("interrupt-controller");
        tree_.property_u32("#address-cells", 0);
        tree_.property_u32("#interrupt-cells", 2);
        tree_.property_u32("msi-parent", messages);
        tree_.property_u32("riscv,num-sources", device::Aplic::kDefaultSources);
        if (base == map::kAplicMachine) {
            tree_.property_u32("riscv,children", wires_);
            tree_.property_cells("riscv,delegation", {wires_, 1, device::Aplic::kDefaultSources});
        }
        tree_.property_phandle(phandle);
    }

    void write_uart() {
        auto node = tree_.node(at("serial", map::kUart));
        tree_.property_string("compatible", "ns16550a");
        reg(map::kUart, device::Uart16550::kSize);
        tree_.property_u32("clock-frequency", kUartClock);
        write_interrupt(input::kUart);
    }

    void write_pci() {
        auto node = tree_.node(at("pci", map::kPciConfig));
        device::pci::Layout layout = pci_layout(content_.ram_size);
        tree_.property_string("compatible", "pci-host-ecam-generic");
        tree_.property_string("device_type", "pci");
        tree_.property_u32("#address-cells", 3);
        tree_.property_u32("#size-cells", 2);
        tree_.property_u32("#interrupt-cells", 1);
        tree_.property_u32("linux,pci-domain", 0);
        tree_.property_cells("bus-range", {0, layout.buses - 1});
        tree_.property_empty("dma-coherent");
        reg(map::kPciConfig, uint64_t{layout.buses} << 20);
        write_pci_ranges(layout);
        write_pci_interrupts();
        if (aia()) tree_.property_u32("msi-parent", messages_);
    }

    // PCI address (3 cells), parent address (2), size (2). Source: IEEE 1275 PCI bus binding.
    void write_pci_ranges(const device::pci::Layout& layout) {
        constexpr uint32_t kMemory32 = 0x02000000, kMemory64 = 0x03000000;
        std::vector<uint32_t> cells;
        auto add = [&](uint32_t kind, uint64_t base, uint64_t size) {
            cells.push_back(kind);
            for (uint64_t value : {base, base, size}) {
                cells.push_back(static_cast<uint32_t>(value >> 32));
                cells.push_back(static_cast<uint32_t>(value));
            }
        };
        add(kMemory32, layout.window32_base, layout.window32_size);
        add(kMemory64, layout.window64_base, layout.window64_size);
        tree_.property_cells("ranges", cells);
    }

    void write_pci_interrupts() {
        constexpr uint32_t kSlotShift = 11;
        std::vector<uint32_t> cells;
        for (uint32_t slot = 0; slot < device::pci::kInterruptLines; slot++) {
            for (uint32_t pin = 1; pin <= device::pci::kInterruptLines; pin++) {
                cells.insert(cells.end(), {slot << kSlotShift, 0, 0, pin, wires_,
                                           input::kPci + device::pci::Host::line_of(slot, pin)});
                if (aia()) cells.push_back(kLevelHigh);
            }
        }
        tree_.property_cells("interrupt-map", cells);
        tree_.property_cells("interrupt-map-mask", {(device::pci::kInterruptLines - 1) << kSlotShift, 0, 0, 7});
    }

    const Content& content_;
    DeviceTreeBuilder tree_;
    std::vector<uint32_t> hart_interrupts_;  // phandles
    // Phandles, of what S-mode uses (and a PLIC has in one) and of what is M-mode's.
    uint32_t wires_ = 0, machine_wires_ = 0, messages_ = 0, machine_messages_ = 0;
    uint32_t finisher_ = 0;
};

}  // namespace

Result<std::vector<uint8_t>> Board::device_tree(const DeviceTreeContent& content) {
    return Writer(content).write();
}

}  // namespace doppel::machine::riscv64
