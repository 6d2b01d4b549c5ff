// Little- and big-endian integers in byte arrays. Callers check bounds; sizes are compile-time.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace doppel {

template <std::integral T>
constexpr T byte_swap(T value) {
    using U = std::make_unsigned_t<T>;
    U in = static_cast<U>(value);
    U out = 0;
    for (unsigned i = 0; i < sizeof(T); i++) out = static_cast<U>((out << 7 << 1) | ((in >> (8 * i)) & 0xff));
    return static_cast<T>(out);
}

template <std::integral T>
T load_le(const void* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    if constexpr (std::endian::native == std::endian::big) value = byte_swap(value);
    return value;
}

template <std::integral T>
void store_le(void* to, T value) {
    if constexpr (std::endian::native == std::endian::big) value = byte_swap(value);
    std::memcpy(to, &value, sizeof value);
}

template <std::integral T>
T load_be(const void* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    if constexpr (std::endian::native == std::endian::little) value = byte_swap(value);
    return value;
}

template <std::integral T>
void store_be(void* to, T value) {
    if constexpr (std::endian::native == std::endian::little) value = byte_swap(value);
    std::memcpy(to, &value, sizeof value);
}

}  // namespace doppel
