// The table of the SBI extensions. For this folder, and for the names of calls in traces.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "machine/firmware/sbi_call.h"

namespace doppel::machine::firmware {

struct SbiExtension {
    uint32_t id;  // a7
    std::string_view name;
    SbiAnswer (*handler)(SbiCall&);
    // No function number; the answer is in a0 alone: the value, or a negative error.
    bool legacy;
};

std::span<const SbiExtension> sbi_extensions();
const SbiExtension* find_sbi_extension(uint32_t id);  // nullptr: none
// "Legacy Extensions": 0x00 to 0x0f, given out or not.
constexpr bool is_legacy_sbi_extension(uint32_t id) {
    return id <= 0x0f;
}

}  // namespace doppel::machine::firmware
