#include "translate/x86/emitter.h"

#include <algorithm>
#include <utility>

#include "base/byte_order.h"

namespace doppel::translate::x86 {

using asmjit::imm;

namespace {

// Whether the operation's 32-bit result leaves the upper half of its register zero.
bool clears_upper_half(const Node& node) {
    if (node.type == Type::kI1) return true;
    return node.type == Type::kI32 &&
           ((node.operation >= Operation::kAdd && node.operation <= Operation::kSrem) ||
            node.operation == Operation::kLoad || node.operation == Operation::kLoadReserved);
}

constexpr int32_t kHostFlags = 0x3f, kGuestFlags = 0x1f;  // the sticky flags of MXCSR, and those of fflags

// What the assembler cannot encode is no code.
class NoteErrors final : public asmjit::ErrorHandler {
  public:
    explicit NoteErrors(bool& failed) : failed_(failed) {}
    void handleError(asmjit::Error, const char*, asmjit::BaseEmitter*) override { failed_ = true; }

  private:
    bool& failed_;
};

bool is_comparison(Operation operation) {
    return operation >= Operation::kEq && operation <= Operation::kSlt;
}

bool is_plain_access(Operation operation) {
    return operation >= Operation::kLoad && operation <= Operation::kStore;
}

bool uses_xmm(const Node& node) {
    return node.operation == Operation::kSetFloat || node.operation == Operation::kBox ||
           info(node.operation).kind == OperationKind::kFloat;
}

}  // namespace

Emitter::Emitter(const Layout& layout, const Mapping& mapping, const Techniques& techniques, const HostFeatures& host)
    : layout_(layout),
      mapping_(mapping),
      is_canonical_(mapping == canonical_mapping()),
      techniques_(techniques),
      host_(techniques.host_features ? host : kOldestHost) {
    for (int8_t number : mapping.floating) {
        if (number >= 0) xmm_homes_ |= bit(number);
    }
}

Compiled Emitter::compile(std::span<const Block> blocks) {
    blocks_ = blocks;
    NoteErrors errors(failed_);
    holder_.init(asmjit::Environment(asmjit::Arch::kX64));
    holder_.setErrorHandler(&errors);
    holder_.attach(&a_);
    asmjit::Section* cold = nullptr;
    holder_.newSection(&cold, ".cold", SIZE_MAX, asmjit::SectionFlags::kNone, 1);
    access_fault_ = a_.newLabel();
    for (size_t i = 0; i < blocks.size(); i++) labels_.push_back(a_.newLabel());
    for (size_t i = 0; i < blocks.size() && !failed_; i++) compile_block(i);
    a_.section(cold);
    for (size_t i = 0; i < cold_.size(); i++) std::exchange(cold_[i], {})();  // may add to the list
    if (access_fault_used_) {
        a_.bind(access_fault_);
        to_canonical();
        a_.jmp(native(offsetof(NativeState, exit_access)));
    }
    if (!failed_) lay_out();
    compiled_.ok = !failed_ && !holder_.hasUnresolvedLinks();
    holder_.setErrorHandler(nullptr);
    return std::move(compiled_);
}

// The parts one behind the other, and where they refer to each other.
void Emitter::lay_out() {
    holder_.flatten();
    asmjit::Section* hot = holder_.textSection();
    asmjit::Section* cold = holder_.sectionById(hot->id() + 1);
    compiled_.cold_at = static_cast<uint32_t>(cold->offset());
    auto offset_of = [&](uint32_t section, size_t offset) {
        return static_cast<uint32_t>(offset) + (section == cold->id() ? compiled_.cold_at : 0);
    };
    for (const asmjit::LabelEntry* label : holder_.labelEntries()) {
        for (const asmjit::LabelLink* link = label->links(); link != nullptr; link = link->next) {
            compiled_.crossings.push_back(offset_of(link->sectionId, link->offset));
        }
    }
    holder_.resolveUnresolvedLinks();
    compiled_.code.resize(compiled_.cold_at + cold->buffer().size());
    std::copy_n(hot->buffer().data(), hot->buffer().size(), compiled_.code.begin());
    std::copy_n(cold->buffer().data(), cold->buffer().size(), compiled_.code.begin() + compiled_.cold_at);
    for (uint32_t index : cold_entries_) compiled_.entries[index] += compiled_.cold_at;
    for (uint32_t at : link_notes_) {
        at += compiled_.cold_at;
        compiled_.crossings.push_back(at);
        store_le<uint32_t>(&compiled_.code[at], load_le<uint32_t>(&compiled_.code[at]) - compiled_.cold_at);
    }
}

uint32_t Emitter::position() const {
    return block_->offsets[guest_] | (block_->count() - guest_) << 16;
}

void Emitter::compile_block(size_t index) {
    block_ = &blocks_[index];
    block_index_ = index;
    prepare(*block_);
    current_ = {}, owner_ = {}, xmm_owner_ = {};
    series_.reset();
    spills_used_ = 0;
    guest_ = 0;
    emit_entry(*block_, index);
    for (size_t i = 1; i < block_->nodes.size() && !failed_; i++) emit(static_cast<ValueId>(i));
}

void Emitter::prepare(const Block& block) {
    size_t count = block.nodes.size();
    roots_.assign(count, 0);
    places_.assign(count, {});
    std::vector<bool> wants_gpr(count);
    for (size_t i = 1; i < count; i++) {
        const Node& at = block.nodes[i];
        roots_[i] = static_cast<ValueId>(i);
        bool same = at.operation == Operation::kTrunc ||
                    (at.operation == Operation::kZext && clears_upper_half(block.nodes[roots_[at.a]]) &&
                     block.nodes[at.a].type == block.nodes[roots_[at.a]].type);
        if (same) {
            roots_[i] = roots_[at.a];
            continue;
        }
        for (ValueId operand : {at.a, at.b, at.c}) {
            if (operand == 0) continue;
            Place& used = places_[roots_[operand]];
            used.uses++;
            if (uses_xmm(at)) {
                used.wants_xmm = true;
            } else {
                wants_gpr[roots_[operand]] = true;
            }
        }
        bool sets = at.operation == Operation::kSetInteger || at.operation == Operation::kSetFloat;
        if (sets && techniques_.targets) note_target(block, i);
    }
    find_windows(block);
    note_uses(block);
    for (size_t i = 1; i < count; i++) {
        if (wants_gpr[i]) places_[i].wants_xmm = false;
        // A comparison right before its only user is made there, as the host's flags carry it.
        if (!techniques_.fused_compares) continue;
        if (i + 1 < count && is_comparison(block.nodes[i].operation) && places_[i].uses == 1) {
            const Node& next = block.nodes[i + 1];
            bool takes = next.operation == Operation::kBranch || next.operation == Operation::kSelect;
            places_[i].deferred = takes && next.a == i;
        }
    }
}

void Emitter::note_use(ValueId value, size_t at, size_t operand) {
    auto index = static_cast<uint16_t>(4 * at + operand);
    uses_[index] = std::exchange(places_[value].next_use, index);
}

// Chains each value's uses, by going through the block backwards.
void Emitter::note_uses(const Block& block) {
    constexpr size_t kWindowOperand = 3;
    uses_.assign(4 * block.nodes.size(), kNoUse);
    for (size_t i = block.nodes.size(); i-- > 1;) {
        const Node& at = block.nodes[i];
        if (roots_[i] != i) continue;
        if (window_of_[i] != 0) note_use(window_of_[i], i, kWindowOperand);
        const ValueId operands[] = {at.a, at.b, at.c};
        for (size_t k = 3; k-- > 0;) {
            if (operands[k] != 0) note_use(roots_[operands[k]], i, k);
        }
    }
}

// Loads and stores that share a base and lie within half a page. From the first store on they have a window for writes,
// before it loads have one of their own, so that no page becomes dirty too early.
void Emitter::find_windows(const Block& block) {
    constexpr int32_t kLargestSpan = 2048;
    struct Group {
        ValueId base;
        bool writes;
        int32_t first, end;
        std::vector<size_t> accesses;
    };
    std::vector<Group> groups;
    for (size_t i = 1; i < block.nodes.size(); i++) {
        const Node& at = block.nodes[i];
        if (!is_plain_access(at.operation) || block.nodes[roots_[at.a]].operation == Operation::kConstant) continue;
        auto group_of = [&](bool writes) {
            return std::find_if(groups.begin(), groups.end(), [&](const Group& group) {
                return group.base == roots_[at.a] && group.writes == writes;
            });
        };
        auto first = static_cast<int32_t>(at.imm), end = first + at.extra / 8;
        auto group = group_of(true);
        if (group == groups.end() && at.operation != Operation::kStore) group = group_of(false);
        if (group == groups.end()) {
            groups.push_back({roots_[at.a], at.operation == Operation::kStore, first, end, {}});
            group = groups.end() - 1;
        }
        int32_t lowest = std::min(group->first, first), highest = std::max(group->end, end);
        if (highest - lowest > kLargestSpan) continue;
        group->first = lowest, group->end = highest;
        group->accesses.push_back(i);
    }
    windows_.clear();
    window_of_.assign(block.nodes.size(), 0);
    for (const Group& group : groups) {
        if (group.accesses.size() < 2 || !techniques_.windows) continue;
        auto id = static_cast<ValueId>(places_.size());
        places_.emplace_back().uses = static_cast<uint16_t>(group.accesses.size());
        roots_.push_back(id);
        windows_.push_back({group.first, group.end, group.writes});
        for (size_t access : group.accesses) window_of_[access] = id;
    }
}

// A value that its own instruction puts into a register is computed there, unless somebody looks at the register
// between.
void Emitter::note_target(const Block& block, size_t set) {
    const Node& write = block.nodes[set];
    bool floating = write.operation == Operation::kSetFloat;
    int home = static_cast<int>(write.imm) + (floating ? kFloatHomes : 0);
    ValueId value = roots_[write.a];
    const Node& source = block.nodes[value];
    if (host_of(home) < 0 || source.guest != write.guest || places_[value].target >= 0) return;
    if (source.operation == Operation::kConstant || source.operation == Operation::kGetInteger ||
        source.operation == Operation::kGetFloat) {
        return;
    }
    for (size_t i = value + size_t{1}; i < set; i++) {
        const Node& between = block.nodes[i];
        auto reads = floating ? Operation::kGetFloat : Operation::kGetInteger;
        auto writes = floating ? Operation::kSetFloat : Operation::kSetInteger;
        bool touches = (between.operation == reads || between.operation == writes) && between.imm == write.imm;
        if (touches || may_leave(between.operation)) return;
    }
    places_[value].target = static_cast<int8_t>(home);
}

void Emitter::emit(ValueId id) {
    const Node& at = node(id);
    guest_ = at.guest;
    present_ = id;
    locked_ = 0, locked_xmm_ = 0;
    if (root(id) != id || places_[id].deferred) return;
    bool handled =
        emit_value(id, at) || emit_integer(id, at) || emit_access(id, at) || emit_float(id, at) || emit_control(at);
    if (!handled) failed_ = true;
}

bool Emitter::emit_value(ValueId id, const Node& at) {
    switch (at.operation) {
        case Operation::kConstant:
            return true;
        case Operation::kPagePlus: {
            int to = result(id);
            a_.mov(gpq(to), native(offsetof(NativeState, page)));
            if (at.imm != 0) a_.add(gpq(to), imm(static_cast<int32_t>(at.imm)));
            if (static_cast<int64_t>(at.imm) != static_cast<int32_t>(at.imm)) failed_ = true;
            return true;
        }
        case Operation::kGetInteger:
        case Operation::kGetFloat: {
            int home = static_cast<int>(at.imm) + (at.operation == Operation::kGetFloat ? kFloatHomes : 0);
            enter_home(home, id);
            int host = host_of(home);
            if (host >= 0) (home < kFloatHomes ? places_[id].gpr : places_[id].xmm) = static_cast<int8_t>(host);
            return true;
        }
        case Operation::kSetInteger:
            set_integer(at);
            return true;
        case Operation::kSetFloat:
            set_float(at);
            return true;
        case Operation::kGetFlags: {
            int to = result(id);
            a_.stmxcsr(native(offsetof(NativeState, guest_mxcsr), 4));
            a_.mov(gpd(to), native(offsetof(NativeState, guest_mxcsr), 4));
            a_.and_(gpd(to), imm(kHostFlags));
            a_.movzx(gpd(to),
                     asmjit::x86::Mem(gpq(reg::kState), gpq(to), 0,
                                      layout_.native + static_cast<int32_t>(offsetof(NativeState, flags_of_mxcsr)), 1));
            a_.or_(asmjit::x86::gpb_lo(static_cast<uint32_t>(to)), state(layout_.float_flags, 1));
            return true;
        }
        case Operation::kSetFlags: {
            int from = gpr(at.a), flags = temporary();
            a_.mov(gpd(flags), gpd(from));
            a_.and_(gpd(flags), imm(kGuestFlags));
            a_.mov(state(layout_.float_flags, 1), asmjit::x86::gpb_lo(static_cast<uint32_t>(flags)));
            a_.stmxcsr(native(offsetof(NativeState, guest_mxcsr), 4));
            a_.and_(native(offsetof(NativeState, guest_mxcsr), 4), imm(~kHostFlags));
            a_.ldmxcsr(native(offsetof(NativeState, guest_mxcsr), 4));
            release(at.a);
            return true;
        }
        case Operation::kFloatDirty:
            a_.or_(state(layout_.float_status, 4), imm(layout_.float_dirty));
            return true;
        default:
            return false;
    }
}

}  // namespace doppel::translate::x86
