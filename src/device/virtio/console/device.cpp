#include "device/virtio/console/device.h"

#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "base/byte_order.h"
#include "device/restored.h"

namespace doppel::device::virtio::console {

namespace {

constexpr uint32_t kClassCommunicationOther = 0x078000;
constexpr unsigned kControlInput = 2, kControlOutput = 3;  // queues
constexpr size_t kPiece = 16 << 10;                        // bytes of output handed over at once
constexpr uint64_t kShare = 256 << 10;  // bytes of output before the I/O thread's other work has its turn
constexpr size_t kControlHeader = sizeof(virtio_console_control);

// Control messages that wait are a set for each port, so that no driver makes them pile up. They go in this order.
constexpr uint8_t kAdd = 1, kConsole = 2, kResize = 4, kName = 8, kOpen = 16;
constexpr std::array kOrder{kAdd, kConsole, kResize, kName, kOpen};
constexpr uint8_t kAllKinds = kAdd | kConsole | kResize | kName | kOpen;

constexpr uint64_t bit(unsigned feature) {
    return uint64_t{1} << feature;
}

uint16_t clamp16(unsigned value) {
    return static_cast<uint16_t>(std::min(value, 0xffffu));
}

}  // namespace

ConsoleDevice::ConsoleDevice(ConsoleOptions options) : emergency_(std::move(options.emergency)) {
    for (PortSetup& setup : options.ports) {
        max_ports_ = std::max(max_ports_, setup.number + 1);
        ports_.push_back({.setup = std::move(setup), .state = {}, .current = std::nullopt});
        ports_.back().connected = ports_.back().setup.host_connected;
    }
    queue_sizes_.assign(2 * (size_t{max_ports_} + 1), kQueueSize);
    queue_sizes_[kControlInput] = queue_sizes_[kControlOutput] = kControlQueueSize;
}

uint16_t ConsoleDevice::id() const {
    return VIRTIO_ID_CONSOLE;
}

uint32_t ConsoleDevice::pci_class() const {
    return kClassCommunicationOther;
}

uint64_t ConsoleDevice::features() const {
    bool sized = std::ranges::any_of(ports_, [](const Port& port) { return port.setup.is_console; });
    return bit(VIRTIO_CONSOLE_F_MULTIPORT) | (sized ? bit(VIRTIO_CONSOLE_F_SIZE) : 0) |
           (emergency_ ? bit(VIRTIO_CONSOLE_F_EMERG_WRITE) : 0);
}

uint32_t ConsoleDevice::config_size() const {
    return sizeof(virtio_console_config);
}

void ConsoleDevice::read_config(uint32_t offset, std::span<uint8_t> to) {
    std::array<uint8_t, sizeof(virtio_console_config)> image{};
    auto first = std::ranges::find_if(ports_, [](const Port& port) { return port.setup.is_console; });
    if (first != ports_.end()) {
        store_le(&image[offsetof(virtio_console_config, cols)], first->columns);
        store_le(&image[offsetof(virtio_console_config, rows)], first->rows);
    }
    store_le(&image[offsetof(virtio_console_config, max_nr_ports)], static_cast<uint32_t>(max_ports_));
    std::copy_n(image.begin() + offset, to.size(), to.begin());
}

// 5.3.4: the register works before the driver is ready, too.
void ConsoleDevice::write_config(uint32_t offset, std::span<const uint8_t> from) {
    if (offset == offsetof(virtio_console_config, emerg_wr) && emergency_) emergency_(from[0]);
}

ConsoleDevice::Port* ConsoleDevice::find(uint64_t number) {
    auto found = std::ranges::find_if(ports_, [&](const Port& port) { return port.setup.number == number; });
    return found == ports_.end() ? nullptr : &*found;
}

bool ConsoleDevice::multiport() const {
    return (features_ & bit(VIRTIO_CONSOLE_F_MULTIPORT)) != 0;
}

void ConsoleDevice::activate(uint64_t features) {
    features_ = features;
    active_ = true;
    for (Port& port : ports_) {
        if (port.state.guest_open) port.setup.backend->guest_opened(true);  // a restore
    }
    // Without F_MULTIPORT there is port 0 and nobody to say that it is open.
    if (Port* first = find(0); first != nullptr && !multiport()) set_guest_open(*first, true);
}

void ConsoleDevice::reset() {
    features_ = 0;
    active_ = false;
    for (Port& port : ports_) {
        set_guest_open(port, false);
        port.state = {};
        port.current.reset();
        port.refused_output = port.refused_input = false;
    }
}

void ConsoleDevice::set_guest_open(Port& port, bool open) {
    if (port.state.guest_open == open) return;
    port.state.guest_open = open;
    port.state.input.clear();
    port.refused_input = false;
    port.setup.backend->guest_opened(open);
}

void ConsoleDevice::notify(unsigned queue) {
    if (queue == kControlOutput) {
        transport().drain(queue, [this](Chain& chain) { return take_control(chain), 0; });
        return send_control();
    }
    if (queue == kControlInput) return send_control();
    Port* port = find(queue < kControlInput ? 0 : queue / 2 - 1);
    if (port == nullptr) {
        // Nobody listens: a driver that writes all the same gets its buffers back.
        if (queue % 2 == 1) transport().drain(queue, [](Chain&) { return 0; });
        return;
    }
    queue % 2 == 0 ? give_input(*port) : take_output(*port);
}

void ConsoleDevice::give_input(Port& port) {
    const unsigned index = input_queue(port.setup.number);
    Queue& queue = transport().queue(index);
    std::vector<uint8_t>& input = port.state.input;
    size_t given = 0;
    uint32_t budget = queue.rings().size;
    queue.suppress_notifications();  // nothing waits for buffers as long as there is no input
    while (given < input.size() && budget > 0) {
        auto chain = queue.pop();
        if (!chain) {
            if (!queue.resume_notifications()) break;
            continue;
        }
        budget--;
        auto piece = std::span(input).subspan(given, std::min<uint64_t>(chain->writable_bytes(), input.size() - given));
        if (!chain->write(0, piece)) piece = {};
        given += piece.size();
        queue.push(std::move(*chain), piece.size());
    }
    input.erase(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(given));
    if (budget == 0 && !input.empty()) transport().schedule(index);
    if (port.refused_input && input.size() <= kInputCapacity / 2) {
        port.refused_input = false;
        port.setup.backend->room_again();
    }
    transport().complete(index);
}

void ConsoleDevice::take_output(Port& port) {
    const unsigned index = output_queue(port.setup.number);
    Queue& queue = transport().queue(index);
    uint32_t buffers = queue.rings().size;
    uint64_t budget = kShare;
    do {
        queue.suppress_notifications();
        while (!port.refused_output && buffers > 0 && budget > 0) {
            if (!port.current) port.current = queue.pop();
            if (!port.current || !pass_on(port, budget)) break;
            queue.push(std::move(*std::exchange(port.current, std::nullopt)), 0);
            port.state.consumed = 0;
            buffers--;
        }
    } while (!port.refused_output && buffers > 0 && budget > 0 && queue.resume_notifications());
    if (!port.refused_output && (buffers == 0 || budget == 0)) transport().schedule(index);
    transport().complete(index);
}

// The rest of the buffer in flight, to the backend. True when all of it was taken.
bool ConsoleDevice::pass_on(Port& port, uint64_t& budget) {
    std::array<uint8_t, kPiece> piece;
    const uint64_t size = port.current->readable_bytes();
    uint64_t& consumed = port.state.consumed;
    consumed = std::min(consumed, size);  // a restored state is not to be trusted
    while (consumed < size && budget > 0) {
        auto bytes = std::span(piece).first(std::min({size - consumed, uint64_t{piece.size()}, budget}));
        if (!port.current->read(consumed, bytes)) return true;
        size_t taken = std::min(port.setup.backend->take(bytes), bytes.size());
        consumed += taken;
        budget -= taken;
        if (taken < bytes.size()) {
            port.refused_output = true;
            return false;
        }
    }
    return consumed == size;
}

// 5.3.6.2. The driver's messages; what makes no sense is ignored.
void ConsoleDevice::take_control(const Chain& chain) {
    std::array<uint8_t, kControlHeader> raw;
    if (!multiport() || !chain.read(0, raw)) return;
    const auto number = load_le<uint32_t>(&raw[offsetof(virtio_console_control, id)]);
    const auto event = load_le<uint16_t>(&raw[offsetof(virtio_console_control, event)]);
    const bool value = load_le<uint16_t>(&raw[offsetof(virtio_console_control, value)]) != 0;
    if (event == VIRTIO_CONSOLE_DEVICE_READY) {
        for (Port& port : ports_) {
            if (value && !std::exchange(port.state.added, true)) queue_control(port, kAdd);
        }
        return;
    }
    Port* port = find(number);
    if (port == nullptr || !port->state.added) return;
    if (event == VIRTIO_CONSOLE_PORT_READY) {
        port->state.ready = value;
        queue_control(*port, port->setup.is_console ? kConsole | kResize | kName | kOpen : kName | kOpen);
    } else if (event == VIRTIO_CONSOLE_PORT_OPEN) {
        set_guest_open(*port, value);
    }
}

void ConsoleDevice::queue_control(Port& port, uint8_t kinds) {
    if (port.state.ready || kinds == kAdd) port.state.pending |= kinds;
}

std::vector<uint8_t> ConsoleDevice::control_message(const Port& port, uint8_t kind) const {
    const std::string& label = port.setup.name;
    const size_t more = kind == kName ? label.size() : kind == kResize ? 2 * sizeof(uint16_t) : 0;
    uint16_t event = VIRTIO_CONSOLE_PORT_ADD, value = 1;
    std::vector<uint8_t> message(kControlHeader + more);
    if (kind == kConsole) event = VIRTIO_CONSOLE_CONSOLE_PORT;
    if (kind == kName) {
        event = VIRTIO_CONSOLE_PORT_NAME;
        std::copy(label.begin(), label.end(), message.begin() + kControlHeader);
    }
    if (kind == kOpen) {
        event = VIRTIO_CONSOLE_PORT_OPEN;
        value = port.connected ? 1 : 0;
    }
    if (kind == kResize) {  // struct virtio_console_resize
        event = VIRTIO_CONSOLE_RESIZE;
        store_le(&message[kControlHeader], port.columns);
        store_le(&message[kControlHeader + 2], port.rows);
    }
    store_le(&message[offsetof(virtio_console_control, id)], static_cast<uint32_t>(port.setup.number));
    store_le(&message[offsetof(virtio_console_control, event)], event);
    store_le(&message[offsetof(virtio_console_control, value)], value);
    return message;
}

void ConsoleDevice::send_control() {
    Queue& queue = transport().queue(kControlInput);
    queue.suppress_notifications();
    for (Port& port : ports_) {
        if (port.setup.name.empty()) port.state.pending &= static_cast<uint8_t>(~kName);
        for (uint8_t kind : kOrder) {
            while ((port.state.pending & kind) != 0) {
                auto chain = queue.pop();
                if (!chain) {
                    if (queue.resume_notifications()) continue;
                    return transport().complete(kControlInput);
                }
                port.state.pending &= static_cast<uint8_t>(~kind);
                const std::vector<uint8_t> message = control_message(port, kind);
                const bool written = chain->write(0, message);  // one that does not fit is lost
                queue.push(std::move(*chain), written ? message.size() : 0);
            }
        }
    }
    transport().complete(kControlInput);
}

bool ConsoleDevice::send(unsigned number, std::span<const uint8_t> bytes) {
    std::lock_guard guard(transport().device_lock());
    Port* port = find(number);
    if (port == nullptr || !active_ || !port->state.guest_open) return false;
    std::vector<uint8_t>& input = port->state.input;
    if (bytes.size() > kInputCapacity - input.size()) {
        port->refused_input = true;
        return false;
    }
    input.insert(input.end(), bytes.begin(), bytes.end());
    transport().schedule(input_queue(number));
    return true;
}

void ConsoleDevice::take_again(unsigned number) {
    std::lock_guard guard(transport().device_lock());
    Port* port = find(number);
    if (port == nullptr || !std::exchange(port->refused_output, false)) return;
    transport().schedule(output_queue(number));
}

void ConsoleDevice::set_host_connected(unsigned number, bool connected) {
    std::lock_guard guard(transport().device_lock());
    Port* port = find(number);
    if (port == nullptr || std::exchange(port->connected, connected) == connected) return;
    queue_control(*port, kOpen);
    transport().schedule(kControlInput);
}

void ConsoleDevice::resize(unsigned number, unsigned columns, unsigned rows) {
    std::lock_guard guard(transport().device_lock());
    Port* port = find(number);
    if (port == nullptr || !port->setup.is_console) return;
    port->columns = clamp16(columns);
    port->rows = clamp16(rows);
    transport().config_changed();
    queue_control(*port, kResize);
    transport().schedule(kControlInput);
}

bool ConsoleDevice::guest_open(unsigned number) {
    std::lock_guard guard(transport().device_lock());
    Port* port = find(number);
    return port != nullptr && port->state.guest_open;
}

void ConsoleDevice::save(StateWriter& writer) const {
    for (const Port& port : ports_) {
        StateWriter inner;
        PortState state = port.state;
        state.fields(inner);
        writer.put_section(static_cast<uint16_t>(port.setup.number + 1), inner);
    }
}

Result<> ConsoleDevice::restore(StateReader& reader) {
    std::vector<PortState> states(ports_.size());
    for (size_t i = 0; i < ports_.size(); i++) {
        reader.section(static_cast<uint16_t>(ports_[i].setup.number + 1), states[i]);
        DOPPEL_CHECK(check_restored(states[i].input.size() <= kInputCapacity, name(), "the length of a port's input"));
        DOPPEL_CHECK(check_restored((states[i].pending & ~kAllKinds) == 0, name(), "what a port has to say"));
        DOPPEL_CHECK(check_restored(states[i].guest_open || states[i].input.empty(), name(), "input of a closed port"));
    }
    DOPPEL_CHECK(reader.finish("restore virtio-console"));
    reset();
    for (size_t i = 0; i < ports_.size(); i++) ports_[i].state = std::move(states[i]);
    return {};
}

}  // namespace doppel::device::virtio::console
