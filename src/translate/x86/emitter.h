// From blocks of intermediate representation to x86-64 code, in one pass forward over each block.
//
// Guest registers have homes, a host register or memory, and are there at the end of each guest instruction. Other
// values live in temporaries, which are given out as needed and spilled when they run out.
#pragma once

#include <asmjit/x86.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "translate/ir.h"
#include "translate/techniques.h"
#include "translate/x86/host.h"
#include "translate/x86/native_state.h"
#include "translate/x86/registers.h"

namespace doppel::translate::x86 {

// Position-independent in all, and so are its two parts but for their distance from each other.
struct Compiled {
    bool ok = false;
    std::vector<uint8_t> code;
    uint32_t cold_at = 0;             // where the part begins that is rarely executed
    std::vector<uint32_t> crossings;  // 4-byte distances from one part to the other
    std::vector<uint32_t> entries;    // of each block, for who comes with the canonical mapping
};

class Emitter {
  public:
    // `host`: what the processor that runs the code has.
    Emitter(const Layout& layout, const Mapping& mapping, const Techniques& techniques = {},
            const HostFeatures& host = host_features());
    // The blocks are of one page and jump among each other directly. Not ok: too many values live at once.
    Compiled compile(std::span<const Block> blocks);

  private:
    using Mem = asmjit::x86::Mem;
    using Label = asmjit::Label;
    using Condition = asmjit::x86::CondCode;

    static constexpr int kFloatHomes = 32;  // numbers of homes: integer registers, then float registers
    static constexpr uint16_t kNoUse = 0xffff;

    // Where a value is: any of these at the same time.
    struct Place {
        int8_t gpr = -1;
        int8_t xmm = -1;
        int8_t spill = -1;
        int8_t integer_home = -1;
        int8_t float_home = -1;
        int8_t target = -1;  // the home it is computed into
        bool wants_xmm = false;
        bool deferred = false;  // a comparison that its only user makes
        uint16_t uses = 0;
        uint16_t next_use = kNoUse;  // an index of `uses_`
    };
    // Accesses of a block with the same base whose offsets lie close together are checked once: a window is the value
    // `host address minus guest address`, or 0 when they do not lie in one page that the soft TLB has.
    struct Window {
        int32_t first = 0, end = 0;  // offsets of the bytes that it covers
        bool writes = false;
        bool open = false;
    };

    // ---- emitter.cpp
    void compile_block(size_t index);
    void prepare(const Block& block);
    void note_target(const Block& block, size_t set);
    void note_uses(const Block& block);
    void note_use(ValueId value, size_t node, size_t operand);
    void find_windows(const Block& block);
    void emit(ValueId id);
    bool emit_value(ValueId id, const Node& node);
    const Node& node(ValueId id) const { return block_->nodes[id]; }
    // The value whose register serves for `id` too: truncation, and extension of what is extended already.
    ValueId root(ValueId id) const { return roots_[id]; }
    uint32_t position() const;  // of the present guest instruction, as NativeState wants it
    Mem state(int32_t offset, uint32_t size = 8) const;
    Mem native(size_t offset, uint32_t size = 8) const {
        return state(layout_.native + static_cast<int32_t>(offset), size);
    }
    void cold(std::function<void()> code) { cold_.push_back(std::move(code)); }
    void note(uint32_t word) { a_.test(asmjit::x86::eax, asmjit::imm(word)); }
    void lay_out();

    // ---- places.cpp
    Place& place(ValueId id) { return places_[root(id)]; }
    bool is_constant(ValueId id) const {
        return root(id) < block_->nodes.size() && node(root(id)).operation == Operation::kConstant;
    }
    bool small_constant(ValueId id, Type type, int64_t& value) const;
    int gpr(ValueId id);  // in a general register, which is locked until the next operation
    int xmm_of(ValueId id);
    bool in_memory(ValueId id, Mem& memory, uint32_t size);
    int temporary();
    int xmm_temporary();
    void take(int gpr_number);  // makes this temporary free and locks it
    void release(ValueId id);   // one use less
    int result(ValueId id, int hint = -1);
    int xmm_result(ValueId id, int hint = -1, bool may_overwrite_home = true);
    void lock(int number) { locked_ |= bit(number); }
    void unlock(int number) { locked_ &= ~bit(number); }
    void lock_xmm(int number) { locked_xmm_ |= bit(number); }
    void evict(int gpr_number);
    void evict_xmm(int number);
    void leave_home(int home);
    void enter_home(int home, ValueId id);
    bool is_somewhere(ValueId id) const;
    bool floats_live() const;  // whether any XMM register holds something that is needed
    Mem memory_of(const Place& place, uint32_t size) const;
    Mem home_memory(int home, uint32_t size = 8) const;
    int host_of(int home) const;
    int8_t home_register(int home) const;  // a value's that is in this home, or in none: -1
    int spill_slot();
    void move_constant(int to, uint64_t value);
    void set_integer(const Node& node);
    void set_float(const Node& node);

    // ---- emit_integer.cpp
    bool emit_integer(ValueId id, const Node& node);
    void emit_arithmetic(ValueId id, const Node& node);
    void emit_shift(ValueId id, const Node& node);
    void emit_shift_by_register(ValueId id, const Node& node);
    void emit_count(ValueId id, const Node& node);
    void emit_extension(ValueId id, const Node& node);
    void emit_multiply_high(ValueId id, const Node& node);
    void emit_divide(ValueId id, const Node& node);
    void emit_select(ValueId id, const Node& node);
    Condition emit_comparison(ValueId id);
    void emit_call(ValueId id, const Node& node);

    // ---- emit_memory.cpp
    struct Checked {
        int base;    // of the guest address
        int addend;  // host address minus guest address
        int spare;   // a temporary that may be the result
    };
    bool emit_access(ValueId id, const Node& node);
    Checked check(const Node& node, unsigned bytes, bool writes, bool aligned);
    struct Span {
        int32_t offset;
        uint32_t bytes;
        bool writes;
    };
    struct Miss {
        uint32_t where;  // position()
        bool floats;     // XMM registers are in use
        bool aligned = false, may_fail = false;
    };
    void look_up(int base, int slot, int page, const Span& span, const Label& miss);
    void call_fill(int base, int addend, const Span& span, const Miss& miss);
    // How the present access asks for its page.
    Miss present_miss() const { return {.where = position(), .floats = floats_live()}; }
    void jump_to_access_fault();
    int addend_of(ValueId window, int base);
    // The access itself at host address `addend` plus guest address. Called for the cold part too, when the present
    // block is another one.
    using Access = std::function<void(int base, int addend)>;
    struct Windowed {
        int base, addend;
        ValueId window;
        bool last;  // access of the window
    };
    // Accesses by a window with nothing between them that jumps: without the window, all of them are executed one by
    // one at another place, with what lies between them copied there.
    struct Series {
        struct Step {
            size_t from, to;  // of the code before it
            std::function<void()> alone;
        };
        Label begin, end;
        std::vector<Step> steps;
    };
    void begin_series(ValueId window, const Label& begin);
    bool in_series(ValueId window) const;
    Windowed use_window(const Node& node, ValueId window);
    void access_by_window(const Node& node, const Windowed& by, uint32_t in_use, const Access& access);
    void access_alone(const Windowed& by, const Span& span, const Miss& miss, int page);
    bool is_float_load(ValueId id, const Node& node) const;
    void load_from(const Node& node, const Mem& from, int to, bool floating);
    void store_constant(const Mem& to, int64_t constant);
    void store_to(const Mem& to, int value, bool floating);
    void emit_load(ValueId id, const Node& node);
    void emit_store(const Node& node);
    int atomic_address(const Node& node, bool writes);
    void emit_atomic(ValueId id, const Node& node);
    void emit_load_reserved(ValueId id, const Node& node);
    void emit_store_conditional(ValueId id, const Node& node);

    // ---- emit_float.cpp
    bool emit_float(ValueId id, const Node& node);
    void emit_float_arithmetic(ValueId id, const Node& node);
    void emit_fused(ValueId id, const Node& node);
    void emit_min_max(ValueId id, const Node& node);
    void emit_float_compare(ValueId id, const Node& node);
    void emit_float_conversion(ValueId id, const Node& node);
    void emit_box(ValueId id, const Node& node);
    void emit_unbox(ValueId id, const Node& node);
    void make_nan_canonical(int number, Type type);
    void interpret_if(Condition condition);

    // ---- emit_control.cpp
    bool emit_control(const Node& node);
    void emit_entry(const Block& block, size_t index);
    void emit_branch(const Node& node);
    void emit_resume(const Node& node);
    void emit_guest_call(const Node& node);
    void emit_guest_call_to_address(const Node& node);
    void push_return(const Node& call, const Mapping& mapping);
    void come_back(int64_t offset);
    void emit_return();
    void jump_to_offset(int64_t offset);
    void leave_page(int64_t offset);
    void jump_to_address(int pc);
    void call_address(int pc);
    Label find_code(int pc);
    void leave_by(const void* const NativeState::*exit, uint32_t at);
    void to_canonical();
    void from_canonical();
    void pad(size_t bytes);
    void link_site(uint16_t target, asmjit::InstId instruction = asmjit::x86::Inst::kIdJmp);
    const Label* internal(int64_t offset) const;

    const Layout& layout_;
    const Mapping mapping_;
    const bool is_canonical_;
    const Techniques techniques_;
    const HostFeatures host_;
    uint32_t xmm_homes_ = 0;

    asmjit::CodeHolder holder_;
    asmjit::x86::Assembler a_;
    std::span<const Block> blocks_;
    std::vector<Label> labels_;
    std::vector<std::function<void()>> cold_;
    Compiled compiled_;
    std::vector<uint32_t> cold_entries_;  // indices of those in the cold part
    std::vector<uint32_t> link_notes_;    // operands in the cold part: distances from it to the other one
    Label access_fault_;
    bool access_fault_used_ = false;

    // Of the present block.
    const Block* block_ = nullptr;
    size_t block_index_ = 0;
    std::vector<ValueId> roots_;
    std::vector<Place> places_;       // of the block's values, then of its windows
    std::vector<uint16_t> uses_;      // of each operand of each node, four a node: the same value's next use
    std::vector<Window> windows_;     // values behind those of the nodes
    std::vector<ValueId> window_of_;  // of each access; 0: it is checked alone
    std::shared_ptr<Series> series_;  // of series_window_, while no label was added and the block is the same
    ValueId series_window_ = 0;
    uint32_t series_labels_ = 0;
    size_t series_at_ = 0;               // where code begins that it has no step for
    size_t present_ = 0;                 // the node that is being emitted
    std::array<ValueId, 64> current_{};  // what each home holds, as far as known
    std::array<ValueId, 16> owner_{};
    std::array<ValueId, 16> xmm_owner_{};
    uint32_t locked_ = 0, locked_xmm_ = 0;
    uint64_t spills_used_ = 0;
    uint8_t guest_ = 0;
    bool failed_ = false;
};

}  // namespace doppel::translate::x86
