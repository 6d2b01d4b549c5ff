// V: configuration, loads and stores, arithmetic. The loops over elements are isa/riscv/vector.h's.
// Source: RISC-V unprivileged manual, chapter "V" (version 1.0).
#pragma once

#include <bit>

#include "isa/riscv/operands.h"
#include "isa/riscv/semantics_integer.h"
#include "isa/riscv/vector.h"

namespace doppel::isa::riscv::semantics {

inline vector::VectorOperands vector_operands(const Operands& o) {
    return {.vd = o.rd, .vs1 = o.rs1, .vs2 = o.rs2, .masked = VectorFields::masked(o)};
}

// What the first source is; the function's value, if it has one, is dropped.
template <auto Function, class E>
void by_vector(E& e, const Operands& o) {
    e.template vector<Function>(vector_operands(o), e.template constant<64>(0), e.template constant<64>(0),
                                [](auto) {});
}
template <auto Function, class E, class Word>
void by_scalar(E& e, const Operands& o, Word scalar) {
    vector::VectorOperands operands = vector_operands(o);
    operands.first = vector::Source::kScalar;
    e.template vector<Function>(operands, scalar, e.template constant<64>(0), [](auto) {});
}
template <auto Function, class E>
void by_register(E& e, const Operands& o) {
    by_scalar<Function>(e, o, e.x(o.rs1));
}
template <auto Function, class E>
void by_float(E& e, const Operands& o) {
    by_scalar<Function>(e, o, e.raw_f(o.rs1));
}
template <auto Function, class E>
void by_signed(E& e, const Operands& o) {
    by_scalar<Function>(e, o, e.template constant<64>(static_cast<uint64_t>(int64_t{sign_extend(o.rs1, 5)})));
}
template <auto Function, class E>
void by_unsigned(E& e, const Operands& o) {
    by_scalar<Function>(e, o, e.template constant<64>(o.rs1));
}

template <auto Function, class E>
void to_register(E& e, const Operands& o) {
    vector::VectorOperands operands = vector_operands(o);
    operands.vd = 0;
    e.template vector<Function>(operands, e.template constant<64>(0), e.template constant<64>(0),
                                [&](auto value) { e.set_x(o.rd, value); });
}
template <auto Function, class E>
void to_float(E& e, const Operands& o) {
    vector::VectorOperands operands = vector_operands(o);
    operands.vd = 0;
    e.template vector<Function>(operands, e.template constant<64>(0), e.template constant<64>(0),
                                [&](auto value) { e.set_raw_f(o.rd, value); });
}

// The address and, for strided ones, the stride; `registers` are those of whole-register instructions.
template <auto Function, unsigned width, unsigned registers = 0, class E>
void vector_memory(E& e, const Operands& o) {
    vector::VectorOperands operands = vector_operands(o);
    operands.fields = static_cast<uint8_t>(registers != 0 ? registers : VectorFields::segment(o) + 1);
    operands.width = static_cast<uint8_t>(std::countr_zero(width));
    e.template vector<Function>(operands, e.x(o.rs1), e.x(o.rs2), [](auto) {});
}
template <unsigned registers, class E>
void whole_move(E& e, const Operands& o) {
    vector::VectorOperands operands = vector_operands(o);
    operands.fields = registers;
    e.template vector<&vector::vmv_whole>(operands, e.template constant<64>(0), e.template constant<64>(0),
                                          [](auto) {});
}

// x0 as the source asks for the maximum, or, when it is the destination too, for the present length.
template <class E, class Word>
void set_vector_length(E& e, const Operands& o, Word type) {
    auto set = [&](auto length) { e.set_x(o.rd, length); };
    constexpr unsigned kRegisterBits = 31;  // engines may direct writes to x0 elsewhere
    if (o.rs1 != 0) {
        e.template configure_vector<&vector::configure>(set, e.x(o.rs1), type);
    } else if ((o.rd & kRegisterBits) != 0) {
        e.template configure_vector<&vector::configure>(set, e.template constant<64>(vector::kMaximumLength), type);
    } else {
        e.template configure_vector<&vector::configure_keeping_length>(set, type);
    }
}

#define DEFINE(name)   \
    template <class E> \
    inline void name([[maybe_unused]] E& e, [[maybe_unused]] const Operands& o)

// clang-format off
DEFINE(vsetvli) { set_vector_length(e, o, e.template constant<64>(static_cast<uint64_t>(o.imm))); }
DEFINE(vsetvl) { set_vector_length(e, o, e.x(o.rs2)); }
DEFINE(vsetivli) {
    e.template configure_vector<&vector::configure>([&](auto length) { e.set_x(o.rd, length); }, e.template constant<64>(o.rs1),
                                                    e.template constant<64>(static_cast<uint64_t>(o.imm)));
}
DEFINE(vle8_v) { vector_memory<&vector::load_unit, 8>(e, o); }
DEFINE(vle16_v) { vector_memory<&vector::load_unit, 16>(e, o); }
DEFINE(vle32_v) { vector_memory<&vector::load_unit, 32>(e, o); }
DEFINE(vle64_v) { vector_memory<&vector::load_unit, 64>(e, o); }
DEFINE(vle8ff_v) { vector_memory<&vector::load_fault_first, 8>(e, o); }
DEFINE(vle16ff_v) { vector_memory<&vector::load_fault_first, 16>(e, o); }
DEFINE(vle32ff_v) { vector_memory<&vector::load_fault_first, 32>(e, o); }
DEFINE(vle64ff_v) { vector_memory<&vector::load_fault_first, 64>(e, o); }
DEFINE(vlse8_v) { vector_memory<&vector::load_strided, 8>(e, o); }
DEFINE(vlse16_v) { vector_memory<&vector::load_strided, 16>(e, o); }
DEFINE(vlse32_v) { vector_memory<&vector::load_strided, 32>(e, o); }
DEFINE(vlse64_v) { vector_memory<&vector::load_strided, 64>(e, o); }
DEFINE(vluxei8_v) { vector_memory<&vector::load_indexed, 8>(e, o); }
DEFINE(vluxei16_v) { vector_memory<&vector::load_indexed, 16>(e, o); }
DEFINE(vluxei32_v) { vector_memory<&vector::load_indexed, 32>(e, o); }
DEFINE(vluxei64_v) { vector_memory<&vector::load_indexed, 64>(e, o); }
DEFINE(vloxei8_v) { vector_memory<&vector::load_indexed, 8>(e, o); }
DEFINE(vloxei16_v) { vector_memory<&vector::load_indexed, 16>(e, o); }
DEFINE(vloxei32_v) { vector_memory<&vector::load_indexed, 32>(e, o); }
DEFINE(vloxei64_v) { vector_memory<&vector::load_indexed, 64>(e, o); }
DEFINE(vlm_v) { vector_memory<&vector::load_mask, 8>(e, o); }
DEFINE(vl1re8_v) { vector_memory<&vector::load_whole, 8, 1>(e, o); }
DEFINE(vl1re16_v) { vector_memory<&vector::load_whole, 16, 1>(e, o); }
DEFINE(vl1re32_v) { vector_memory<&vector::load_whole, 32, 1>(e, o); }
DEFINE(vl1re64_v) { vector_memory<&vector::load_whole, 64, 1>(e, o); }
DEFINE(vl2re8_v) { vector_memory<&vector::load_whole, 8, 2>(e, o); }
DEFINE(vl2re16_v) { vector_memory<&vector::load_whole, 16, 2>(e, o); }
DEFINE(vl2re32_v) { vector_memory<&vector::load_whole, 32, 2>(e, o); }
DEFINE(vl2re64_v) { vector_memory<&vector::load_whole, 64, 2>(e, o); }
DEFINE(vl4re8_v) { vector_memory<&vector::load_whole, 8, 4>(e, o); }
DEFINE(vl4re16_v) { vector_memory<&vector::load_whole, 16, 4>(e, o); }
DEFINE(vl4re32_v) { vector_memory<&vector::load_whole, 32, 4>(e, o); }
DEFINE(vl4re64_v) { vector_memory<&vector::load_whole, 64, 4>(e, o); }
DEFINE(vl8re8_v) { vector_memory<&vector::load_whole, 8, 8>(e, o); }
DEFINE(vl8re16_v) { vector_memory<&vector::load_whole, 16, 8>(e, o); }
DEFINE(vl8re32_v) { vector_memory<&vector::load_whole, 32, 8>(e, o); }
DEFINE(vl8re64_v) { vector_memory<&vector::load_whole, 64, 8>(e, o); }
DEFINE(vse8_v) { vector_memory<&vector::store_unit, 8>(e, o); }
DEFINE(vse16_v) { vector_memory<&vector::store_unit, 16>(e, o); }
DEFINE(vse32_v) { vector_memory<&vector::store_unit, 32>(e, o); }
DEFINE(vse64_v) { vector_memory<&vector::store_unit, 64>(e, o); }
DEFINE(vsse8_v) { vector_memory<&vector::store_strided, 8>(e, o); }
DEFINE(vsse16_v) { vector_memory<&vector::store_strided, 16>(e, o); }
DEFINE(vsse32_v) { vector_memory<&vector::store_strided, 32>(e, o); }
DEFINE(vsse64_v) { vector_memory<&vector::store_strided, 64>(e, o); }
DEFINE(vsuxei8_v) { vector_memory<&vector::store_indexed, 8>(e, o); }
DEFINE(vsuxei16_v) { vector_memory<&vector::store_indexed, 16>(e, o); }
DEFINE(vsuxei32_v) { vector_memory<&vector::store_indexed, 32>(e, o); }
DEFINE(vsuxei64_v) { vector_memory<&vector::store_indexed, 64>(e, o); }
DEFINE(vsoxei8_v) { vector_memory<&vector::store_indexed, 8>(e, o); }
DEFINE(vsoxei16_v) { vector_memory<&vector::store_indexed, 16>(e, o); }
DEFINE(vsoxei32_v) { vector_memory<&vector::store_indexed, 32>(e, o); }
DEFINE(vsoxei64_v) { vector_memory<&vector::store_indexed, 64>(e, o); }
DEFINE(vsm_v) { vector_memory<&vector::store_mask, 8>(e, o); }
DEFINE(vs1r_v) { vector_memory<&vector::store_whole, 8, 1>(e, o); }
DEFINE(vs2r_v) { vector_memory<&vector::store_whole, 8, 2>(e, o); }
DEFINE(vs4r_v) { vector_memory<&vector::store_whole, 8, 4>(e, o); }
DEFINE(vs8r_v) { vector_memory<&vector::store_whole, 8, 8>(e, o); }
DEFINE(vadd_vv) { by_vector<&vector::vadd>(e, o); }
DEFINE(vadd_vx) { by_register<&vector::vadd>(e, o); }
DEFINE(vadd_vi) { by_signed<&vector::vadd>(e, o); }
DEFINE(vsub_vv) { by_vector<&vector::vsub>(e, o); }
DEFINE(vsub_vx) { by_register<&vector::vsub>(e, o); }
DEFINE(vrsub_vx) { by_register<&vector::vrsub>(e, o); }
DEFINE(vrsub_vi) { by_signed<&vector::vrsub>(e, o); }
DEFINE(vminu_vv) { by_vector<&vector::vminu>(e, o); }
DEFINE(vminu_vx) { by_register<&vector::vminu>(e, o); }
DEFINE(vmin_vv) { by_vector<&vector::vmin>(e, o); }
DEFINE(vmin_vx) { by_register<&vector::vmin>(e, o); }
DEFINE(vmaxu_vv) { by_vector<&vector::vmaxu>(e, o); }
DEFINE(vmaxu_vx) { by_register<&vector::vmaxu>(e, o); }
DEFINE(vmax_vv) { by_vector<&vector::vmax>(e, o); }
DEFINE(vmax_vx) { by_register<&vector::vmax>(e, o); }
DEFINE(vand_vv) { by_vector<&vector::vand>(e, o); }
DEFINE(vand_vx) { by_register<&vector::vand>(e, o); }
DEFINE(vand_vi) { by_signed<&vector::vand>(e, o); }
DEFINE(vor_vv) { by_vector<&vector::vor>(e, o); }
DEFINE(vor_vx) { by_register<&vector::vor>(e, o); }
DEFINE(vor_vi) { by_signed<&vector::vor>(e, o); }
DEFINE(vxor_vv) { by_vector<&vector::vxor>(e, o); }
DEFINE(vxor_vx) { by_register<&vector::vxor>(e, o); }
DEFINE(vxor_vi) { by_signed<&vector::vxor>(e, o); }
DEFINE(vsll_vv) { by_vector<&vector::vsll>(e, o); }
DEFINE(vsll_vx) { by_register<&vector::vsll>(e, o); }
DEFINE(vsll_vi) { by_unsigned<&vector::vsll>(e, o); }
DEFINE(vsrl_vv) { by_vector<&vector::vsrl>(e, o); }
DEFINE(vsrl_vx) { by_register<&vector::vsrl>(e, o); }
DEFINE(vsrl_vi) { by_unsigned<&vector::vsrl>(e, o); }
DEFINE(vsra_vv) { by_vector<&vector::vsra>(e, o); }
DEFINE(vsra_vx) { by_register<&vector::vsra>(e, o); }
DEFINE(vsra_vi) { by_unsigned<&vector::vsra>(e, o); }
DEFINE(vnsrl_wv) { by_vector<&vector::vnsrl>(e, o); }
DEFINE(vnsrl_wx) { by_register<&vector::vnsrl>(e, o); }
DEFINE(vnsrl_wi) { by_unsigned<&vector::vnsrl>(e, o); }
DEFINE(vnsra_wv) { by_vector<&vector::vnsra>(e, o); }
DEFINE(vnsra_wx) { by_register<&vector::vnsra>(e, o); }
DEFINE(vnsra_wi) { by_unsigned<&vector::vnsra>(e, o); }
DEFINE(vzext_vf8) { by_vector<&vector::vzext_vf8>(e, o); }
DEFINE(vsext_vf8) { by_vector<&vector::vsext_vf8>(e, o); }
DEFINE(vzext_vf4) { by_vector<&vector::vzext_vf4>(e, o); }
DEFINE(vsext_vf4) { by_vector<&vector::vsext_vf4>(e, o); }
DEFINE(vzext_vf2) { by_vector<&vector::vzext_vf2>(e, o); }
DEFINE(vsext_vf2) { by_vector<&vector::vsext_vf2>(e, o); }
DEFINE(vadc_vvm) { by_vector<&vector::vadc>(e, o); }
DEFINE(vadc_vxm) { by_register<&vector::vadc>(e, o); }
DEFINE(vadc_vim) { by_signed<&vector::vadc>(e, o); }
DEFINE(vmadc_vvm) { by_vector<&vector::vmadc_carry>(e, o); }
DEFINE(vmadc_vv) { by_vector<&vector::vmadc>(e, o); }
DEFINE(vmadc_vxm) { by_register<&vector::vmadc_carry>(e, o); }
DEFINE(vmadc_vx) { by_register<&vector::vmadc>(e, o); }
DEFINE(vmadc_vim) { by_signed<&vector::vmadc_carry>(e, o); }
DEFINE(vmadc_vi) { by_signed<&vector::vmadc>(e, o); }
DEFINE(vsbc_vvm) { by_vector<&vector::vsbc>(e, o); }
DEFINE(vsbc_vxm) { by_register<&vector::vsbc>(e, o); }
DEFINE(vmsbc_vvm) { by_vector<&vector::vmsbc_borrow>(e, o); }
DEFINE(vmsbc_vv) { by_vector<&vector::vmsbc>(e, o); }
DEFINE(vmsbc_vxm) { by_register<&vector::vmsbc_borrow>(e, o); }
DEFINE(vmsbc_vx) { by_register<&vector::vmsbc>(e, o); }
DEFINE(vmseq_vv) { by_vector<&vector::vmseq>(e, o); }
DEFINE(vmseq_vx) { by_register<&vector::vmseq>(e, o); }
DEFINE(vmseq_vi) { by_signed<&vector::vmseq>(e, o); }
DEFINE(vmsne_vv) { by_vector<&vector::vmsne>(e, o); }
DEFINE(vmsne_vx) { by_register<&vector::vmsne>(e, o); }
DEFINE(vmsne_vi) { by_signed<&vector::vmsne>(e, o); }
DEFINE(vmsltu_vv) { by_vector<&vector::vmsltu>(e, o); }
DEFINE(vmsltu_vx) { by_register<&vector::vmsltu>(e, o); }
DEFINE(vmslt_vv) { by_vector<&vector::vmslt>(e, o); }
DEFINE(vmslt_vx) { by_register<&vector::vmslt>(e, o); }
DEFINE(vmsleu_vv) { by_vector<&vector::vmsleu>(e, o); }
DEFINE(vmsleu_vx) { by_register<&vector::vmsleu>(e, o); }
DEFINE(vmsleu_vi) { by_signed<&vector::vmsleu>(e, o); }
DEFINE(vmsle_vv) { by_vector<&vector::vmsle>(e, o); }
DEFINE(vmsle_vx) { by_register<&vector::vmsle>(e, o); }
DEFINE(vmsle_vi) { by_signed<&vector::vmsle>(e, o); }
DEFINE(vmsgtu_vx) { by_register<&vector::vmsgtu>(e, o); }
DEFINE(vmsgtu_vi) { by_signed<&vector::vmsgtu>(e, o); }
DEFINE(vmsgt_vx) { by_register<&vector::vmsgt>(e, o); }
DEFINE(vmsgt_vi) { by_signed<&vector::vmsgt>(e, o); }
DEFINE(vmerge_vvm) { by_vector<&vector::vmerge>(e, o); }
DEFINE(vmerge_vxm) { by_register<&vector::vmerge>(e, o); }
DEFINE(vmerge_vim) { by_signed<&vector::vmerge>(e, o); }
DEFINE(vmv_v_v) { by_vector<&vector::vmv_v>(e, o); }
DEFINE(vmv_v_x) { by_register<&vector::vmv_v>(e, o); }
DEFINE(vmv_v_i) { by_signed<&vector::vmv_v>(e, o); }
DEFINE(vmul_vv) { by_vector<&vector::vmul>(e, o); }
DEFINE(vmul_vx) { by_register<&vector::vmul>(e, o); }
DEFINE(vmulh_vv) { by_vector<&vector::vmulh>(e, o); }
DEFINE(vmulh_vx) { by_register<&vector::vmulh>(e, o); }
DEFINE(vmulhu_vv) { by_vector<&vector::vmulhu>(e, o); }
DEFINE(vmulhu_vx) { by_register<&vector::vmulhu>(e, o); }
DEFINE(vmulhsu_vv) { by_vector<&vector::vmulhsu>(e, o); }
DEFINE(vmulhsu_vx) { by_register<&vector::vmulhsu>(e, o); }
DEFINE(vdivu_vv) { by_vector<&vector::vdivu>(e, o); }
DEFINE(vdivu_vx) { by_register<&vector::vdivu>(e, o); }
DEFINE(vdiv_vv) { by_vector<&vector::vdiv>(e, o); }
DEFINE(vdiv_vx) { by_register<&vector::vdiv>(e, o); }
DEFINE(vremu_vv) { by_vector<&vector::vremu>(e, o); }
DEFINE(vremu_vx) { by_register<&vector::vremu>(e, o); }
DEFINE(vrem_vv) { by_vector<&vector::vrem>(e, o); }
DEFINE(vrem_vx) { by_register<&vector::vrem>(e, o); }
DEFINE(vmadd_vv) { by_vector<&vector::vmadd>(e, o); }
DEFINE(vmadd_vx) { by_register<&vector::vmadd>(e, o); }
DEFINE(vnmsub_vv) { by_vector<&vector::vnmsub>(e, o); }
DEFINE(vnmsub_vx) { by_register<&vector::vnmsub>(e, o); }
DEFINE(vmacc_vv) { by_vector<&vector::vmacc>(e, o); }
DEFINE(vmacc_vx) { by_register<&vector::vmacc>(e, o); }
DEFINE(vnmsac_vv) { by_vector<&vector::vnmsac>(e, o); }
DEFINE(vnmsac_vx) { by_register<&vector::vnmsac>(e, o); }
DEFINE(vwaddu_vv) { by_vector<&vector::vwaddu>(e, o); }
DEFINE(vwaddu_vx) { by_register<&vector::vwaddu>(e, o); }
DEFINE(vwadd_vv) { by_vector<&vector::vwadd>(e, o); }
DEFINE(vwadd_vx) { by_register<&vector::vwadd>(e, o); }
DEFINE(vwsubu_vv) { by_vector<&vector::vwsubu>(e, o); }
DEFINE(vwsubu_vx) { by_register<&vector::vwsubu>(e, o); }
DEFINE(vwsub_vv) { by_vector<&vector::vwsub>(e, o); }
DEFINE(vwsub_vx) { by_register<&vector::vwsub>(e, o); }
DEFINE(vwaddu_wv) { by_vector<&vector::vwaddu_w>(e, o); }
DEFINE(vwaddu_wx) { by_register<&vector::vwaddu_w>(e, o); }
DEFINE(vwadd_wv) { by_vector<&vector::vwadd_w>(e, o); }
DEFINE(vwadd_wx) { by_register<&vector::vwadd_w>(e, o); }
DEFINE(vwsubu_wv) { by_vector<&vector::vwsubu_w>(e, o); }
DEFINE(vwsubu_wx) { by_register<&vector::vwsubu_w>(e, o); }
DEFINE(vwsub_wv) { by_vector<&vector::vwsub_w>(e, o); }
DEFINE(vwsub_wx) { by_register<&vector::vwsub_w>(e, o); }
DEFINE(vwmulu_vv) { by_vector<&vector::vwmulu>(e, o); }
DEFINE(vwmulu_vx) { by_register<&vector::vwmulu>(e, o); }
DEFINE(vwmulsu_vv) { by_vector<&vector::vwmulsu>(e, o); }
DEFINE(vwmulsu_vx) { by_register<&vector::vwmulsu>(e, o); }
DEFINE(vwmul_vv) { by_vector<&vector::vwmul>(e, o); }
DEFINE(vwmul_vx) { by_register<&vector::vwmul>(e, o); }
DEFINE(vwmaccu_vv) { by_vector<&vector::vwmaccu>(e, o); }
DEFINE(vwmaccu_vx) { by_register<&vector::vwmaccu>(e, o); }
DEFINE(vwmacc_vv) { by_vector<&vector::vwmacc>(e, o); }
DEFINE(vwmacc_vx) { by_register<&vector::vwmacc>(e, o); }
DEFINE(vwmaccus_vx) { by_register<&vector::vwmaccus>(e, o); }
DEFINE(vwmaccsu_vv) { by_vector<&vector::vwmaccsu>(e, o); }
DEFINE(vwmaccsu_vx) { by_register<&vector::vwmaccsu>(e, o); }
DEFINE(vsaddu_vv) { by_vector<&vector::vsaddu>(e, o); }
DEFINE(vsaddu_vx) { by_register<&vector::vsaddu>(e, o); }
DEFINE(vsaddu_vi) { by_signed<&vector::vsaddu>(e, o); }
DEFINE(vsadd_vv) { by_vector<&vector::vsadd>(e, o); }
DEFINE(vsadd_vx) { by_register<&vector::vsadd>(e, o); }
DEFINE(vsadd_vi) { by_signed<&vector::vsadd>(e, o); }
DEFINE(vssubu_vv) { by_vector<&vector::vssubu>(e, o); }
DEFINE(vssubu_vx) { by_register<&vector::vssubu>(e, o); }
DEFINE(vssub_vv) { by_vector<&vector::vssub>(e, o); }
DEFINE(vssub_vx) { by_register<&vector::vssub>(e, o); }
DEFINE(vaaddu_vv) { by_vector<&vector::vaaddu>(e, o); }
DEFINE(vaaddu_vx) { by_register<&vector::vaaddu>(e, o); }
DEFINE(vaadd_vv) { by_vector<&vector::vaadd>(e, o); }
DEFINE(vaadd_vx) { by_register<&vector::vaadd>(e, o); }
DEFINE(vasubu_vv) { by_vector<&vector::vasubu>(e, o); }
DEFINE(vasubu_vx) { by_register<&vector::vasubu>(e, o); }
DEFINE(vasub_vv) { by_vector<&vector::vasub>(e, o); }
DEFINE(vasub_vx) { by_register<&vector::vasub>(e, o); }
DEFINE(vsmul_vv) { by_vector<&vector::vsmul>(e, o); }
DEFINE(vsmul_vx) { by_register<&vector::vsmul>(e, o); }
DEFINE(vssrl_vv) { by_vector<&vector::vssrl>(e, o); }
DEFINE(vssrl_vx) { by_register<&vector::vssrl>(e, o); }
DEFINE(vssrl_vi) { by_unsigned<&vector::vssrl>(e, o); }
DEFINE(vssra_vv) { by_vector<&vector::vssra>(e, o); }
DEFINE(vssra_vx) { by_register<&vector::vssra>(e, o); }
DEFINE(vssra_vi) { by_unsigned<&vector::vssra>(e, o); }
DEFINE(vnclipu_wv) { by_vector<&vector::vnclipu>(e, o); }
DEFINE(vnclipu_wx) { by_register<&vector::vnclipu>(e, o); }
DEFINE(vnclipu_wi) { by_unsigned<&vector::vnclipu>(e, o); }
DEFINE(vnclip_wv) { by_vector<&vector::vnclip>(e, o); }
DEFINE(vnclip_wx) { by_register<&vector::vnclip>(e, o); }
DEFINE(vnclip_wi) { by_unsigned<&vector::vnclip>(e, o); }
DEFINE(vfadd_vv) { by_vector<&vector::vfadd>(e, o); }
DEFINE(vfadd_vf) { by_float<&vector::vfadd>(e, o); }
DEFINE(vfsub_vv) { by_vector<&vector::vfsub>(e, o); }
DEFINE(vfsub_vf) { by_float<&vector::vfsub>(e, o); }
DEFINE(vfrsub_vf) { by_float<&vector::vfrsub>(e, o); }
DEFINE(vfmul_vv) { by_vector<&vector::vfmul>(e, o); }
DEFINE(vfmul_vf) { by_float<&vector::vfmul>(e, o); }
DEFINE(vfdiv_vv) { by_vector<&vector::vfdiv>(e, o); }
DEFINE(vfdiv_vf) { by_float<&vector::vfdiv>(e, o); }
DEFINE(vfrdiv_vf) { by_float<&vector::vfrdiv>(e, o); }
DEFINE(vfmin_vv) { by_vector<&vector::vfmin>(e, o); }
DEFINE(vfmin_vf) { by_float<&vector::vfmin>(e, o); }
DEFINE(vfmax_vv) { by_vector<&vector::vfmax>(e, o); }
DEFINE(vfmax_vf) { by_float<&vector::vfmax>(e, o); }
DEFINE(vfsgnj_vv) { by_vector<&vector::vfsgnj>(e, o); }
DEFINE(vfsgnj_vf) { by_float<&vector::vfsgnj>(e, o); }
DEFINE(vfsgnjn_vv) { by_vector<&vector::vfsgnjn>(e, o); }
DEFINE(vfsgnjn_vf) { by_float<&vector::vfsgnjn>(e, o); }
DEFINE(vfsgnjx_vv) { by_vector<&vector::vfsgnjx>(e, o); }
DEFINE(vfsgnjx_vf) { by_float<&vector::vfsgnjx>(e, o); }
DEFINE(vfmadd_vv) { by_vector<&vector::vfmadd>(e, o); }
DEFINE(vfmadd_vf) { by_float<&vector::vfmadd>(e, o); }
DEFINE(vfnmadd_vv) { by_vector<&vector::vfnmadd>(e, o); }
DEFINE(vfnmadd_vf) { by_float<&vector::vfnmadd>(e, o); }
DEFINE(vfmsub_vv) { by_vector<&vector::vfmsub>(e, o); }
DEFINE(vfmsub_vf) { by_float<&vector::vfmsub>(e, o); }
DEFINE(vfnmsub_vv) { by_vector<&vector::vfnmsub>(e, o); }
DEFINE(vfnmsub_vf) { by_float<&vector::vfnmsub>(e, o); }
DEFINE(vfmacc_vv) { by_vector<&vector::vfmacc>(e, o); }
DEFINE(vfmacc_vf) { by_float<&vector::vfmacc>(e, o); }
DEFINE(vfnmacc_vv) { by_vector<&vector::vfnmacc>(e, o); }
DEFINE(vfnmacc_vf) { by_float<&vector::vfnmacc>(e, o); }
DEFINE(vfmsac_vv) { by_vector<&vector::vfmsac>(e, o); }
DEFINE(vfmsac_vf) { by_float<&vector::vfmsac>(e, o); }
DEFINE(vfnmsac_vv) { by_vector<&vector::vfnmsac>(e, o); }
DEFINE(vfnmsac_vf) { by_float<&vector::vfnmsac>(e, o); }
DEFINE(vfwadd_vv) { by_vector<&vector::vfwadd>(e, o); }
DEFINE(vfwadd_vf) { by_float<&vector::vfwadd>(e, o); }
DEFINE(vfwsub_vv) { by_vector<&vector::vfwsub>(e, o); }
DEFINE(vfwsub_vf) { by_float<&vector::vfwsub>(e, o); }
DEFINE(vfwmul_vv) { by_vector<&vector::vfwmul>(e, o); }
DEFINE(vfwmul_vf) { by_float<&vector::vfwmul>(e, o); }
DEFINE(vfwadd_wv) { by_vector<&vector::vfwadd_w>(e, o); }
DEFINE(vfwadd_wf) { by_float<&vector::vfwadd_w>(e, o); }
DEFINE(vfwsub_wv) { by_vector<&vector::vfwsub_w>(e, o); }
DEFINE(vfwsub_wf) { by_float<&vector::vfwsub_w>(e, o); }
DEFINE(vfwmacc_vv) { by_vector<&vector::vfwmacc>(e, o); }
DEFINE(vfwmacc_vf) { by_float<&vector::vfwmacc>(e, o); }
DEFINE(vfwnmacc_vv) { by_vector<&vector::vfwnmacc>(e, o); }
DEFINE(vfwnmacc_vf) { by_float<&vector::vfwnmacc>(e, o); }
DEFINE(vfwmsac_vv) { by_vector<&vector::vfwmsac>(e, o); }
DEFINE(vfwmsac_vf) { by_float<&vector::vfwmsac>(e, o); }
DEFINE(vfwnmsac_vv) { by_vector<&vector::vfwnmsac>(e, o); }
DEFINE(vfwnmsac_vf) { by_float<&vector::vfwnmsac>(e, o); }
DEFINE(vmfeq_vv) { by_vector<&vector::vmfeq>(e, o); }
DEFINE(vmfeq_vf) { by_float<&vector::vmfeq>(e, o); }
DEFINE(vmfle_vv) { by_vector<&vector::vmfle>(e, o); }
DEFINE(vmfle_vf) { by_float<&vector::vmfle>(e, o); }
DEFINE(vmflt_vv) { by_vector<&vector::vmflt>(e, o); }
DEFINE(vmflt_vf) { by_float<&vector::vmflt>(e, o); }
DEFINE(vmfne_vv) { by_vector<&vector::vmfne>(e, o); }
DEFINE(vmfne_vf) { by_float<&vector::vmfne>(e, o); }
DEFINE(vmfgt_vf) { by_float<&vector::vmfgt>(e, o); }
DEFINE(vmfge_vf) { by_float<&vector::vmfge>(e, o); }
DEFINE(vfmerge_vfm) { by_float<&vector::vfmerge>(e, o); }
DEFINE(vfmv_v_f) { by_float<&vector::vfmv_v>(e, o); }
DEFINE(vfsqrt_v) { by_vector<&vector::vfsqrt>(e, o); }
DEFINE(vfrsqrt7_v) { by_vector<&vector::vfrsqrt7>(e, o); }
DEFINE(vfrec7_v) { by_vector<&vector::vfrec7>(e, o); }
DEFINE(vfclass_v) { by_vector<&vector::vfclass>(e, o); }
DEFINE(vfcvt_xu_f_v) { by_vector<&vector::vfcvt_xu_f>(e, o); }
DEFINE(vfcvt_x_f_v) { by_vector<&vector::vfcvt_x_f>(e, o); }
DEFINE(vfcvt_f_xu_v) { by_vector<&vector::vfcvt_f_xu>(e, o); }
DEFINE(vfcvt_f_x_v) { by_vector<&vector::vfcvt_f_x>(e, o); }
DEFINE(vfcvt_rtz_xu_f_v) { by_vector<&vector::vfcvt_rtz_xu_f>(e, o); }
DEFINE(vfcvt_rtz_x_f_v) { by_vector<&vector::vfcvt_rtz_x_f>(e, o); }
DEFINE(vfwcvt_xu_f_v) { by_vector<&vector::vfwcvt_xu_f>(e, o); }
DEFINE(vfwcvt_x_f_v) { by_vector<&vector::vfwcvt_x_f>(e, o); }
DEFINE(vfwcvt_f_xu_v) { by_vector<&vector::vfwcvt_f_xu>(e, o); }
DEFINE(vfwcvt_f_x_v) { by_vector<&vector::vfwcvt_f_x>(e, o); }
DEFINE(vfwcvt_f_f_v) { by_vector<&vector::vfwcvt_f_f>(e, o); }
DEFINE(vfwcvt_rtz_xu_f_v) { by_vector<&vector::vfwcvt_rtz_xu_f>(e, o); }
DEFINE(vfwcvt_rtz_x_f_v) { by_vector<&vector::vfwcvt_rtz_x_f>(e, o); }
DEFINE(vfncvt_xu_f_w) { by_vector<&vector::vfncvt_xu_f>(e, o); }
DEFINE(vfncvt_x_f_w) { by_vector<&vector::vfncvt_x_f>(e, o); }
DEFINE(vfncvt_f_xu_w) { by_vector<&vector::vfncvt_f_xu>(e, o); }
DEFINE(vfncvt_f_x_w) { by_vector<&vector::vfncvt_f_x>(e, o); }
DEFINE(vfncvt_f_f_w) { by_vector<&vector::vfncvt_f_f>(e, o); }
DEFINE(vfncvt_rod_f_f_w) { by_vector<&vector::vfncvt_rod_f_f>(e, o); }
DEFINE(vfncvt_rtz_xu_f_w) { by_vector<&vector::vfncvt_rtz_xu_f>(e, o); }
DEFINE(vfncvt_rtz_x_f_w) { by_vector<&vector::vfncvt_rtz_x_f>(e, o); }
DEFINE(vredsum_vs) { by_vector<&vector::vredsum>(e, o); }
DEFINE(vredand_vs) { by_vector<&vector::vredand>(e, o); }
DEFINE(vredor_vs) { by_vector<&vector::vredor>(e, o); }
DEFINE(vredxor_vs) { by_vector<&vector::vredxor>(e, o); }
DEFINE(vredminu_vs) { by_vector<&vector::vredminu>(e, o); }
DEFINE(vredmin_vs) { by_vector<&vector::vredmin>(e, o); }
DEFINE(vredmaxu_vs) { by_vector<&vector::vredmaxu>(e, o); }
DEFINE(vredmax_vs) { by_vector<&vector::vredmax>(e, o); }
DEFINE(vwredsumu_vs) { by_vector<&vector::vwredsumu>(e, o); }
DEFINE(vwredsum_vs) { by_vector<&vector::vwredsum>(e, o); }
DEFINE(vfredusum_vs) { by_vector<&vector::vfredusum>(e, o); }
DEFINE(vfredosum_vs) { by_vector<&vector::vfredosum>(e, o); }
DEFINE(vfredmin_vs) { by_vector<&vector::vfredmin>(e, o); }
DEFINE(vfredmax_vs) { by_vector<&vector::vfredmax>(e, o); }
DEFINE(vfwredusum_vs) { by_vector<&vector::vfwredusum>(e, o); }
DEFINE(vfwredosum_vs) { by_vector<&vector::vfwredosum>(e, o); }
DEFINE(vmandn_mm) { by_vector<&vector::vmandn>(e, o); }
DEFINE(vmand_mm) { by_vector<&vector::vmand>(e, o); }
DEFINE(vmor_mm) { by_vector<&vector::vmor>(e, o); }
DEFINE(vmxor_mm) { by_vector<&vector::vmxor>(e, o); }
DEFINE(vmorn_mm) { by_vector<&vector::vmorn>(e, o); }
DEFINE(vmnand_mm) { by_vector<&vector::vmnand>(e, o); }
DEFINE(vmnor_mm) { by_vector<&vector::vmnor>(e, o); }
DEFINE(vmxnor_mm) { by_vector<&vector::vmxnor>(e, o); }
DEFINE(vcpop_m) { to_register<&vector::vcpop>(e, o); }
DEFINE(vfirst_m) { to_register<&vector::vfirst>(e, o); }
DEFINE(vmsbf_m) { by_vector<&vector::vmsbf>(e, o); }
DEFINE(vmsof_m) { by_vector<&vector::vmsof>(e, o); }
DEFINE(vmsif_m) { by_vector<&vector::vmsif>(e, o); }
DEFINE(viota_m) { by_vector<&vector::viota>(e, o); }
DEFINE(vid_v) { by_vector<&vector::vid>(e, o); }
DEFINE(vmv_x_s) { to_register<&vector::vmv_x_s>(e, o); }
DEFINE(vmv_s_x) { by_register<&vector::vmv_s_x>(e, o); }
DEFINE(vfmv_f_s) { to_float<&vector::vfmv_f_s>(e, o); }
DEFINE(vfmv_s_f) { by_float<&vector::vfmv_s_f>(e, o); }
DEFINE(vslideup_vx) { by_register<&vector::vslideup>(e, o); }
DEFINE(vslideup_vi) { by_unsigned<&vector::vslideup>(e, o); }
DEFINE(vslidedown_vx) { by_register<&vector::vslidedown>(e, o); }
DEFINE(vslidedown_vi) { by_unsigned<&vector::vslidedown>(e, o); }
DEFINE(vslide1up_vx) { by_register<&vector::vslide1up>(e, o); }
DEFINE(vslide1down_vx) { by_register<&vector::vslide1down>(e, o); }
DEFINE(vfslide1up_vf) { by_float<&vector::vfslide1up>(e, o); }
DEFINE(vfslide1down_vf) { by_float<&vector::vfslide1down>(e, o); }
DEFINE(vrgather_vv) { by_vector<&vector::vrgather>(e, o); }
DEFINE(vrgather_vx) { by_register<&vector::vrgather>(e, o); }
DEFINE(vrgather_vi) { by_unsigned<&vector::vrgather>(e, o); }
DEFINE(vrgatherei16_vv) { by_vector<&vector::vrgatherei16>(e, o); }
DEFINE(vcompress_vm) { by_vector<&vector::vcompress>(e, o); }
DEFINE(vmv1r_v) { whole_move<1>(e, o); }
DEFINE(vmv2r_v) { whole_move<2>(e, o); }
DEFINE(vmv4r_v) { whole_move<4>(e, o); }
DEFINE(vmv8r_v) { whole_move<8>(e, o); }
// clang-format on

#undef DEFINE

}  // namespace doppel::isa::riscv::semantics
