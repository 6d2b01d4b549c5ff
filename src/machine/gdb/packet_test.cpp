#include "machine/gdb/packet.h"

#include <gtest/gtest.h>

#include <vector>

namespace doppel::machine::gdb {
namespace {

std::vector<Item> read_all(PacketReader& reader, std::string_view bytes) {
    std::vector<Item> items;
    while (auto item = reader.next(bytes)) items.push_back(*item);
    return items;
}
std::vector<Item> read_all(std::string_view bytes) {
    PacketReader reader;
    return read_all(reader, bytes);
}

// What a debugger makes of a framed reply: runs expanded, escapes undone.
std::string as_received(std::string_view framed) {
    EXPECT_EQ(framed.front(), '$');
    size_t end = framed.find('#');
    EXPECT_EQ(end + 3, framed.size());
    uint8_t sum = 0;
    std::string plain;
    for (size_t i = 1; i < end; i++) {
        sum = static_cast<uint8_t>(sum + static_cast<uint8_t>(framed[i]));
        if (framed[i] == '}') {
            plain += static_cast<char>(framed[++i] ^ 0x20);
            sum = static_cast<uint8_t>(sum + static_cast<uint8_t>(framed[i]));
        } else if (framed[i] == '*') {
            char count = framed[++i];
            sum = static_cast<uint8_t>(sum + static_cast<uint8_t>(count));
            EXPECT_TRUE(count >= ' ' && count <= '~' && count != '#' && count != '$') << "count " << int{count};
            plain.append(static_cast<size_t>(count - 29), plain.back());
        } else {
            plain += framed[i];
        }
    }
    EXPECT_EQ(to_hex(std::string(1, static_cast<char>(sum))), framed.substr(end + 1));
    return plain;
}

TEST(PacketReader, FindsPacketsAcknowledgementsAndInterrupts) {
    auto items = read_all("+-\x03$g#67noise$#00");
    ASSERT_EQ(items.size(), 5u);
    EXPECT_EQ(items[0].kind, Kind::kAck);
    EXPECT_EQ(items[1].kind, Kind::kNak);
    EXPECT_EQ(items[2].kind, Kind::kInterrupt);
    EXPECT_EQ(items[3].kind, Kind::kPacket);
    EXPECT_EQ(items[3].payload, "g");
    EXPECT_EQ(items[4].payload, "");
}

TEST(PacketReader, TakesPacketsInPieces) {
    PacketReader reader;
    for (char c : std::string("$m80,4#")) EXPECT_TRUE(read_all(reader, std::string(1, c)).empty());
    EXPECT_TRUE(read_all(reader, "3").empty());
    auto items = read_all(reader, "5");
    ASSERT_EQ(items.size(), 1u);
    EXPECT_EQ(items[0].kind, Kind::kPacket);
    EXPECT_EQ(items[0].payload, "m80,4");
}

TEST(PacketReader, UndoesEscapesAndTakesAControlCharacterInsideForData) {
    auto items = read_all(frame(std::string("#$}*\x03\0", 6)));
    ASSERT_EQ(items.size(), 1u);
    EXPECT_EQ(items[0].payload, std::string("#$}*\x03\0", 6));
}

TEST(PacketReader, NamesDamagedPackets) {
    for (std::string_view bad : {"$g#66", "$g#6x", "$g#x7", "$g###"}) {
        auto items = read_all(bad);
        ASSERT_EQ(items.size(), 1u) << bad;
        EXPECT_EQ(items[0].kind, Kind::kDamaged);
    }
    auto items = read_all("$g#6$g#67");
    ASSERT_EQ(items.size(), 1u) << "a packet begins anew";
    EXPECT_EQ(items[0].payload, "g");
}

TEST(PacketReader, HoldsNoMoreThanTheLongestPacket) {
    std::string raw(kMaxPacket, 'x');
    auto framed = [](const std::string& payload) {
        uint8_t sum = 0;
        for (char c : payload) sum = static_cast<uint8_t>(sum + static_cast<uint8_t>(c));
        return "$" + payload + "#" + to_hex(std::string(1, static_cast<char>(sum)));
    };
    ASSERT_EQ(read_all(framed(raw)).size(), 1u);
    EXPECT_EQ(read_all(framed(raw))[0].payload, raw);
    EXPECT_EQ(read_all(framed(raw + "x"))[0].kind, Kind::kDamaged);
    EXPECT_TRUE(read_all("$" + std::string(10 * kMaxPacket, 'x')).empty());
}

TEST(Frame, IsWhatADebuggerUndoes) {
    std::vector<std::string> payloads = {"", "OK", std::string("a\0#$}*b", 7), "}}}}}}}}", "***********"};
    for (size_t run = 1; run < 210; run++) payloads.push_back("x" + std::string(run, '0') + "y");
    for (const std::string& payload : payloads) EXPECT_EQ(as_received(frame(payload)), payload);
    EXPECT_EQ(frame("0000"), "$0* #7a");
    EXPECT_LT(frame(std::string(1000, '0')).size(), 60u);
}

TEST(Hex, GoesBothWays) {
    EXPECT_EQ(to_hex(std::string("\x00\xff\x1a", 3)), "00ff1a");
    EXPECT_EQ(from_hex("00fF1a"), std::string("\x00\xff\x1a", 3));
    EXPECT_EQ(from_hex(""), "");
    for (const char* wrong : {"0", "0g", "g0", " 0", "123"}) EXPECT_FALSE(from_hex(wrong)) << wrong;
}

TEST(Fields, ReadNumbersSeparatorsAndParts) {
    Fields fields("ffffffffffffffff,4:rest;more");
    EXPECT_EQ(fields.number(), ~uint64_t{0});
    EXPECT_FALSE(fields.skip(':'));
    EXPECT_TRUE(fields.skip(','));
    EXPECT_EQ(fields.number(), 4u);
    EXPECT_TRUE(fields.skip(':'));
    EXPECT_EQ(fields.until(';'), "rest");
    EXPECT_EQ(fields.until(';'), "more");
    EXPECT_TRUE(fields.at_end());
    for (const char* wrong : {"", "x", "-1", "+1", " 1", "10000000000000000"}) {
        EXPECT_FALSE(Fields(wrong).number()) << wrong;
    }
}

}  // namespace
}  // namespace doppel::machine::gdb
