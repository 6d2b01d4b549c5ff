// Loads and stores.
// Source: RISC-V unprivileged manual, chapter "V", "Vector Loads and Stores"; "Exception Handling" for vstart.
#include <bit>
#include <cstring>

#include "isa/riscv/vector_operation.h"

namespace doppel::isa::riscv::vector {

namespace {

constexpr int kMaxGroupRegisters = 8;

// Elements between registers and memory: element i of field f lies at address(i) + f * bytes.
class Transfer {
  public:
    Transfer(Operation& v, const VectorOperands& o, int width, int registers_per_field)
        : v_(v), o_(o), bytes_(1u << (width - kByteWidth)), step_(static_cast<unsigned>(registers_per_field)) {}

    unsigned bytes() const { return bytes_; }
    // False: left at element i.
    bool load(uint64_t i, uint64_t address) {
        for (unsigned f = 0; f < o_.fields; f++) {
            uint64_t value = 0;
            if (!v_.memory().load(address + f * bytes_, bytes_, value)) return false;
            put(o_.vd + f * step_, i, value);
        }
        return true;
    }
    bool store(uint64_t i, uint64_t address) {
        for (unsigned f = 0; f < o_.fields; f++) {
            if (!v_.memory().store(address + f * bytes_, bytes_, take(o_.vd + f * step_, i))) return false;
        }
        return true;
    }
    bool loadable(uint64_t address) {
        for (unsigned f = 0; f < o_.fields; f++) {
            if (!v_.memory().loadable(address + f * bytes_, bytes_)) return false;
        }
        return true;
    }

  private:
    int width() const { return kByteWidth + std::countr_zero(bytes_); }
    void put(unsigned reg, uint64_t i, uint64_t value) {
        with_width(width(), [&](auto zero) { v_.set(reg, i, static_cast<decltype(zero)>(value)); });
    }
    uint64_t take(unsigned reg, uint64_t i) {
        uint64_t value = 0;
        with_width(width(), [&](auto zero) { value = v_.get<decltype(zero)>(reg, i); });
        return value;
    }

    Operation& v_;
    const VectorOperands& o_;
    unsigned bytes_;
    unsigned step_;
};

enum class Direction : uint8_t { kLoad, kStore };

// By whole elements, in order: others may look on, and nothing is written twice.
template <class T>
void store_elements(uint8_t* to, const uint8_t* from, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        T value;
        std::memcpy(&value, from + i * sizeof value, sizeof value);
        std::memcpy(to + i * sizeof value, &value, sizeof value);
    }
}

// All elements at once where they lie together in memory as they do in the registers. False: nothing was done.
template <Direction direction>
bool transfer_together(Operation& v, const VectorOperands& o, unsigned bytes) {
    const uint64_t all = v.length() * bytes;
    if (o.masked || o.fields != 1 || v.start() != 0 || all == 0) return false;
    uint8_t* memory = v.memory().within_page(o.scalar, all, direction == Direction::kStore);
    if (memory == nullptr) return false;
    uint8_t* registers = v.bytes_of(o.vd);
    if constexpr (direction == Direction::kLoad) {
        std::memcpy(registers, memory, all);
    } else {
        with_width(kByteWidth + std::countr_zero(bytes),
                   [&](auto zero) { store_elements<decltype(zero)>(memory, registers, v.length()); });
    }
    return true;
}

template <Direction direction, class Address>
VectorResult transfer_all(Operation& v, Transfer& transfer, Address address) {
    for (uint64_t i = v.start(); i < v.length(); i++) {
        if (!v.active(i)) continue;
        bool ok = direction == Direction::kLoad ? transfer.load(i, address(i)) : transfer.store(i, address(i));
        if (!ok) return v.left_at(i);
    }
    return v.done();
}

// The registers of the data, all fields; `width` is their elements'. Returns the registers of a field.
template <Direction direction>
int check_data(Operation& v, const VectorOperands& o, int width) {
    Group data = v.group_at(o.vd, width - v.width());
    v.check(data);
    if (direction == Direction::kStore) v.read(data);
    int fields = o.fields;
    v.require(v.legal() && data.size() * fields <= kMaxGroupRegisters &&
              o.vd + data.size() * fields <= static_cast<int>(VectorState::kRegisters));
    v.require(direction == Direction::kStore || !o.masked || o.vd != 0);
    return v.legal() ? data.size() : 1;
}

template <Direction direction>
VectorResult strided(VectorUnit& unit, const VectorOperands& o, uint64_t stride) {
    Operation v(unit, o);
    Transfer transfer(v, o, o.width, check_data<direction>(v, o, o.width));
    if (!v.legal()) return Operation::illegal();
    if (stride == transfer.bytes() && transfer_together<direction>(v, o, transfer.bytes())) return v.done();
    return transfer_all<direction>(v, transfer, [&](uint64_t i) { return o.scalar + i * stride; });
}

uint64_t segment_bytes(const VectorOperands& o) {
    return uint64_t{o.fields} << (o.width - kByteWidth);
}

// Index groups may overlap the loaded ones as sources may, but not those of segments.
void check_loaded_overlap(Operation& v, const VectorOperands& o, const Group& index, int field_registers) {
    for (int f = 0; f < o.fields && v.legal(); f++) {
        Group data = v.group_at(o.vd + f * field_registers);
        bool apart = !data.overlaps(index);
        bool same_width = data.width == index.width;
        bool lowest = data.width < index.width && data.first == index.first;
        bool highest =
            data.width > index.width && index.group >= 0 && index.first + index.size() == data.first + data.size();
        v.require(apart || (o.fields == 1 && (same_width || lowest || highest)));
    }
}

// No register may be read as an index and, with another width, as data.
void check_stored_overlap(Operation& v, const VectorOperands& o, const Group& index, int field_registers) {
    for (int f = 0; f < o.fields && v.legal(); f++) {
        Group data = v.group_at(o.vd + f * field_registers);
        v.require(data.width == index.width || !data.overlaps(index));
    }
}

template <Direction direction>
VectorResult indexed(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    int field_registers = check_data<direction>(v, o, v.width());
    Group index = v.group_at(o.vs2, o.width - v.width());
    v.source(index);
    auto check_overlap = direction == Direction::kLoad ? check_loaded_overlap : check_stored_overlap;
    check_overlap(v, o, index, field_registers);
    if (!v.legal()) return Operation::illegal();
    Transfer transfer(v, o, v.width(), field_registers);
    return transfer_all<direction>(v, transfer, [&](uint64_t i) {
        uint64_t offset = 0;
        with_width(o.width, [&](auto zero) { offset = v.second<decltype(zero)>(i); });
        return o.scalar + offset;
    });
}

// ceil(vl / 8) bytes.
template <Direction direction>
VectorResult mask(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    if (!v.legal()) return Operation::illegal();
    v.set_length((v.length() + 7) / 8);
    Transfer transfer(v, o, kByteWidth, 1);
    return transfer_all<direction>(v, transfer, [&](uint64_t i) { return o.scalar + i; });
}

// `fields` registers as one group of elements, whatever vtype says.
template <Direction direction>
VectorResult whole(VectorUnit& unit, const VectorOperands& o) {
    if (!enabled(unit.hart) || o.vd % o.fields != 0) return Operation::illegal();
    VectorOperands one_group = o;
    one_group.fields = 1;
    Operation v(unit, one_group);
    Transfer transfer(v, one_group, o.width, o.fields);
    v.set_length(uint64_t{o.fields} * v.register_bytes() / transfer.bytes());
    if (transfer_together<direction>(v, one_group, transfer.bytes())) return v.done();
    return transfer_all<direction>(v, transfer, [&](uint64_t i) { return o.scalar + i * transfer.bytes(); });
}

}  // namespace

VectorResult load_unit(VectorUnit& unit, const VectorOperands& o) {
    return strided<Direction::kLoad>(unit, o, segment_bytes(o));
}
VectorResult store_unit(VectorUnit& unit, const VectorOperands& o) {
    return strided<Direction::kStore>(unit, o, segment_bytes(o));
}
VectorResult load_strided(VectorUnit& unit, const VectorOperands& o) {
    return strided<Direction::kLoad>(unit, o, o.stride);
}
VectorResult store_strided(VectorUnit& unit, const VectorOperands& o) {
    return strided<Direction::kStore>(unit, o, o.stride);
}
VectorResult load_indexed(VectorUnit& unit, const VectorOperands& o) {
    return indexed<Direction::kLoad>(unit, o);
}
VectorResult store_indexed(VectorUnit& unit, const VectorOperands& o) {
    return indexed<Direction::kStore>(unit, o);
}
VectorResult load_mask(VectorUnit& unit, const VectorOperands& o) {
    return mask<Direction::kLoad>(unit, o);
}
VectorResult store_mask(VectorUnit& unit, const VectorOperands& o) {
    return mask<Direction::kStore>(unit, o);
}
VectorResult load_whole(VectorUnit& unit, const VectorOperands& o) {
    return whole<Direction::kLoad>(unit, o);
}
VectorResult store_whole(VectorUnit& unit, const VectorOperands& o) {
    return whole<Direction::kStore>(unit, o);
}

// Element 0 traps; where a later one would, vl ends.
VectorResult load_fault_first(VectorUnit& unit, const VectorOperands& o) {
    Operation v(unit, o);
    Transfer transfer(v, o, o.width, check_data<Direction::kLoad>(v, o, o.width));
    if (!v.legal()) return Operation::illegal();
    auto address = [&](uint64_t i) { return o.scalar + i * segment_bytes(o); };
    for (uint64_t i = v.start(); i < v.length(); i++) {
        if (i == 0 || !v.active(i) || transfer.loadable(address(i))) continue;
        v.set_length(i);
    }
    VectorResult result = transfer_all<Direction::kLoad>(v, transfer, address);
    if (result.outcome == VectorResult::Outcome::kDone) v.vector().vl = v.length();
    return result;
}

}  // namespace doppel::isa::riscv::vector
