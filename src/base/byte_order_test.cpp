#include "base/byte_order.h"

#include <gtest/gtest.h>

#include <array>

namespace doppel {
namespace {

TEST(ByteOrder, LoadsAndStoresBothOrdersAtAnyAddress) {
    std::array<uint8_t, 9> bytes = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    EXPECT_EQ(load_le<uint32_t>(&bytes[1]), 0x04030201u);
    EXPECT_EQ(load_be<uint32_t>(&bytes[1]), 0x01020304u);
    EXPECT_EQ(load_be<uint64_t>(&bytes[1]), 0x0102030405060708u);
    store_be<uint16_t>(&bytes[1], 0xabcd);
    EXPECT_EQ(load_le<uint16_t>(&bytes[1]), 0xcdab);
    store_le<int32_t>(&bytes[1], -2);
    EXPECT_EQ(load_le<int32_t>(&bytes[1]), -2);
    EXPECT_EQ(bytes[5], 5);
}

TEST(ByteOrder, SwapsEveryWidth) {
    EXPECT_EQ(byte_swap<uint8_t>(0xab), 0xab);
    EXPECT_EQ(byte_swap<uint16_t>(0xabcd), 0xcdab);
    EXPECT_EQ(byte_swap<uint64_t>(0x0102030405060708), 0x0807060504030201u);
}

}  // namespace
}  // namespace doppel
