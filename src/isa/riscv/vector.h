// The vector extension's instructions as functions that every engine calls: the loops over elements live here.
//
// Reserved encodings are illegal instructions. Tail and masked-off elements keep their values, whatever vta and vma
// say. Source: RISC-V unprivileged manual, chapter "V" (version 1.0), with ELEN 64, and without Zvfh.
#pragma once

#include <cstdint>

#include "isa/riscv/hart.h"

namespace doppel::isa::riscv::vector {

// Memory as the instruction sees it, at virtual addresses. An engine's, for one instruction; `bytes` is 1, 2, 4 or 8.
class VectorMemory {
  public:
    // False: the access trapped (or the engine must leave the instruction for another reason), and this instruction
    // accesses nothing more. It will be executed again from vstart on.
    virtual bool load(uint64_t address, unsigned bytes, uint64_t& value) = 0;
    virtual bool store(uint64_t address, unsigned bytes, uint64_t value) = 0;
    // Whether a load would certainly go well; never traps.
    virtual bool loadable(uint64_t address, unsigned bytes) = 0;
    // Host memory of so many bytes, 1 to a page, for one access as a whole, which will certainly go well. nullptr:
    // there is none, or it is to be asked for by elements.
    virtual uint8_t* within_page(uint64_t address, uint64_t bytes, bool writes) = 0;

  protected:
    ~VectorMemory() = default;
};

struct VectorUnit {
    Hart& hart;
    VectorMemory& memory;
};

// What the first source operand is: the vector register vs1, or `scalar` (an integer register, a sign- or
// zero-extended immediate, or all 64 bits of a float register).
enum class Source : uint8_t { kVector, kScalar };

struct VectorOperands {
    uint8_t vd = 0;  // also vs3 of stores
    uint8_t vs1 = 0;
    uint8_t vs2 = 0;
    bool masked = false;  // vm is 0: by v0
    uint8_t fields = 1;   // of a segment, or registers of a whole-register instruction
    uint8_t width = 0;    // loads and stores: the logarithm of the encoded element width in bits
    Source first = Source::kVector;
    uint64_t scalar = 0;
    uint64_t stride = 0;
};

struct VectorResult {
    enum class Outcome : uint8_t {
        kDone,     // `value` is what goes to a scalar register, where there is one
        kIllegal,  // illegal-instruction exception; nothing changed
        kLeft,     // VectorMemory said so; vstart is the element at which
    };
    Outcome outcome = Outcome::kDone;
    uint64_t value = 0;
};

using VectorFunction = VectorResult(VectorUnit&, const VectorOperands&);

// The vector unit is off, or there is none: every vector instruction and CSR is illegal.
inline bool enabled(const Hart& hart) {
    return (hart.csr.mstatus & mstatus::kVs) != 0;
}

// vsetvli and its like. `requested` is the application's vector length, or one of these.
inline constexpr uint64_t kMaximumLength = ~uint64_t{0};
VectorResult configure(Hart& hart, uint64_t requested, uint64_t type);
VectorResult configure_keeping_length(Hart& hart, uint64_t type);

// vector_memory.cpp
VectorFunction load_unit, load_fault_first, load_strided, load_indexed, load_mask, load_whole;
VectorFunction store_unit, store_strided, store_indexed, store_mask, store_whole;

// The others are called as their mnemonics without the operands' suffix.
// vector_integer.cpp
VectorFunction vadd, vsub, vrsub, vminu, vmin, vmaxu, vmax, vand, vor, vxor, vsll, vsrl, vsra, vmerge, vmv_v;
VectorFunction vzext_vf2, vzext_vf4, vzext_vf8, vsext_vf2, vsext_vf4, vsext_vf8;
VectorFunction vadc, vmadc, vmadc_carry, vsbc, vmsbc, vmsbc_borrow;
VectorFunction vmseq, vmsne, vmsltu, vmslt, vmsleu, vmsle, vmsgtu, vmsgt;
// vector_multiply.cpp
VectorFunction vmul, vmulh, vmulhu, vmulhsu, vdivu, vdiv, vremu, vrem, vmadd, vnmsub, vmacc, vnmsac;
// vector_widen.cpp: those with the suffix _w have a wide second source (vs2)
VectorFunction vwaddu, vwadd, vwsubu, vwsub, vwaddu_w, vwadd_w, vwsubu_w, vwsub_w, vwmulu, vwmulsu, vwmul;
VectorFunction vwmaccu, vwmacc, vwmaccus, vwmaccsu, vnsrl, vnsra, vnclipu, vnclip;
// vector_fixed.cpp
VectorFunction vsaddu, vsadd, vssubu, vssub, vaaddu, vaadd, vasubu, vasub, vsmul, vssrl, vssra;
// vector_float.cpp
VectorFunction vfadd, vfsub, vfrsub, vfmul, vfdiv, vfrdiv, vfmin, vfmax, vfsgnj, vfsgnjn, vfsgnjx;
VectorFunction vfmadd, vfnmadd, vfmsub, vfnmsub, vfmacc, vfnmacc, vfmsac, vfnmsac;
VectorFunction vmfeq, vmfle, vmflt, vmfne, vmfgt, vmfge, vfmerge, vfmv_v, vfsqrt, vfrsqrt7, vfrec7, vfclass;
// vector_float_widen.cpp
VectorFunction vfwadd, vfwsub, vfwmul, vfwadd_w, vfwsub_w, vfwmacc, vfwnmacc, vfwmsac, vfwnmsac;
// vector_convert.cpp
VectorFunction vfcvt_xu_f, vfcvt_x_f, vfcvt_f_xu, vfcvt_f_x, vfcvt_rtz_xu_f, vfcvt_rtz_x_f;
VectorFunction vfwcvt_xu_f, vfwcvt_x_f, vfwcvt_f_xu, vfwcvt_f_x, vfwcvt_f_f, vfwcvt_rtz_xu_f, vfwcvt_rtz_x_f;
VectorFunction vfncvt_xu_f, vfncvt_x_f, vfncvt_f_xu, vfncvt_f_x, vfncvt_f_f, vfncvt_rod_f_f, vfncvt_rtz_xu_f,
    vfncvt_rtz_x_f;
// vector_reduce.cpp
VectorFunction vredsum, vredand, vredor, vredxor, vredminu, vredmin, vredmaxu, vredmax, vwredsumu, vwredsum;
VectorFunction vfredusum, vfredosum, vfredmin, vfredmax, vfwredusum, vfwredosum;
// vector_mask.cpp
VectorFunction vmandn, vmand, vmor, vmxor, vmorn, vmnand, vmnor, vmxnor;
VectorFunction vcpop, vfirst, vmsbf, vmsof, vmsif, viota, vid;
// vector_permute.cpp
VectorFunction vmv_x_s, vmv_s_x, vfmv_f_s, vfmv_s_f, vslideup, vslidedown, vslide1up, vslide1down, vfslide1up,
    vfslide1down, vrgather, vrgatherei16, vcompress, vmv_whole;

}  // namespace doppel::isa::riscv::vector
