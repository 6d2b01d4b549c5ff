#include "base/saved_state.h"

#include <gtest/gtest.h>
#include <zlib.h>

namespace doppel {
namespace {

enum class Phase : uint8_t { kIdle, kBusy };

struct Inner {
    uint16_t level = 0;
    int32_t offset = 0;
    bool operator==(const Inner&) const = default;
    template <class V>
    void fields(V& v) {
        v.field(1, level);
        v.field(2, offset);
    }
};

struct Outer {
    bool on = false;
    int64_t delta = 0;
    Phase phase = Phase::kIdle;
    std::string name;
    std::vector<uint8_t> bytes;
    std::vector<int32_t> numbers;
    std::array<uint16_t, 3> three{};
    Inner inner;
    bool operator==(const Outer&) const = default;
    template <class V>
    void fields(V& v) {
        v.field(1, on);
        v.field(2, delta);
        v.field(3, phase);
        v.field(4, name);
        v.field(5, bytes);
        v.field(6, numbers);
        v.field(7, three);
        v.section(8, inner);
    }
};

Outer example() {
    return {true, -5, Phase::kBusy, "uart", {1, 2, 255}, {-1, 7, INT32_MIN}, {1, 2, 65535}, {9, -9}};
}

std::vector<uint8_t> document_of(Outer outer) {
    StateWriter writer;
    outer.fields(writer);
    return writer.finish();
}

// A document around any body, with a right header.
std::vector<uint8_t> document_around(std::span<const uint8_t> body) {
    std::vector<uint8_t> document = {'D', 'P', 'L', 'S', 1, 0, 0, 0, 0, 0, 0, 0};
    store_le(&document[8], static_cast<uint32_t>(::crc32_z(0, body.data(), body.size())));
    document.insert(document.end(), body.begin(), body.end());
    return document;
}

std::string refusal_of(std::span<const uint8_t> body) {
    auto reader = StateReader::parse(document_around(body));
    return reader ? "" : reader.error().why;
}

TEST(SavedState, ComesBackAsItWas) {
    std::vector<uint8_t> document = document_of(example());
    auto reader = StateReader::parse(document);
    ASSERT_TRUE(reader);
    Outer restored;
    restored.fields(*reader);
    EXPECT_TRUE(reader->finish("restore"));
    EXPECT_EQ(restored, example());
}

TEST(SavedState, HasTheDocumentedBytes) {
    StateWriter writer;
    writer.field(0x0201, uint8_t{5});
    std::vector<uint8_t> body = {1, 2, 1, 8, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0};
    EXPECT_EQ(writer.finish(), document_around(body));
}

TEST(SavedState, IgnoresUnknownTagsAndKeepsDefaultsOfMissingOnes) {
    StateWriter writer;
    writer.field(2, int64_t{4});
    writer.field(999, uint64_t{1});
    std::vector<uint8_t> document = writer.finish();
    auto reader = StateReader::parse(document);
    ASSERT_TRUE(reader);
    EXPECT_TRUE(reader->has(999));
    EXPECT_FALSE(reader->has(1));
    Outer restored = example();
    restored.fields(*reader);
    EXPECT_TRUE(reader->finish("restore"));
    Outer expected = example();
    expected.delta = 4;
    EXPECT_EQ(restored, expected);
}

TEST(SavedState, OfAnotherShapeIsReportedAndLeavesTheVariable) {
    StateWriter writer;
    writer.field(1, uint16_t{300});
    writer.field(2, std::string("1234"));
    writer.field(3, std::vector<uint64_t>{1, 70000});
    writer.field(4, uint8_t{2});
    std::vector<uint8_t> document = writer.finish();
    auto why = [&document](auto value, uint16_t tag) {
        auto reader = StateReader::parse(document);
        auto before = value;
        reader->field(tag, value);
        EXPECT_EQ(value, before);
        auto finished = reader->finish("restore uart");
        if (finished) return std::string();
        EXPECT_EQ(finished.error().failed, "restore uart");
        return finished.error().why;
    };
    EXPECT_EQ(why(uint8_t{7}, 1), "field 1: its value does not fit");
    EXPECT_EQ(why(false, 4), "field 4: its value does not fit");
    EXPECT_EQ(why(uint32_t{7}, 2), "field 2: it is not an integer");
    EXPECT_EQ(why(std::string("old"), 1), "field 1: it is not a byte string");
    EXPECT_EQ(why(std::vector<uint16_t>{7}, 2), "field 2: its length is not whole");
    EXPECT_EQ(why(std::vector<uint16_t>{7}, 3), "field 3: a value does not fit");
    EXPECT_EQ(why(std::array<uint32_t, 3>{7, 8, 9}, 3), "field 3: its length differs");

    auto reader = StateReader::parse(document);
    Inner inner{3, 4};
    reader->section(1, inner);
    EXPECT_EQ(inner, (Inner{3, 4}));
    EXPECT_EQ(reader->finish("restore").error().why, "field 1: it is not a section");
}

TEST(SavedState, ReportsWhatIsWrongInsideASection) {
    StateWriter inner;
    inner.field(1, uint32_t{70000});
    StateWriter writer;
    writer.put_section(8, inner);
    std::vector<uint8_t> document = writer.finish();
    auto reader = StateReader::parse(document);
    Outer restored;
    restored.fields(*reader);
    EXPECT_EQ(reader->finish("restore").error().why, "field 1: its value does not fit");
}

TEST(SavedState, WithADamagedHeaderIsRefused) {
    std::vector<uint8_t> document = document_of(example());
    for (size_t length = 0; length < document.size(); length++) {
        EXPECT_FALSE(StateReader::parse(std::span(document).first(length))) << length;
    }
    for (size_t i = 0; i < document.size(); i++) {
        std::vector<uint8_t> damaged = document;
        damaged[i] ^= 0x10;
        EXPECT_FALSE(StateReader::parse(damaged)) << i;
    }
    document.push_back(0);
    EXPECT_EQ(StateReader::parse(document).error().why, "its checksum is wrong");
}

TEST(SavedState, WithAHostileBodyIsRefused) {
    EXPECT_EQ(refusal_of({}), "");
    EXPECT_EQ(refusal_of(std::vector<uint8_t>{1, 0, 2, 0, 0, 0}), "a field is truncated");
    EXPECT_EQ(refusal_of(std::vector<uint8_t>{1, 0, 2, 1, 0, 0, 0}), "field 1 is truncated");
    EXPECT_EQ(refusal_of(std::vector<uint8_t>{1, 0, 2, 255, 255, 255, 255, 0}), "field 1 is truncated");
    EXPECT_EQ(refusal_of(std::vector<uint8_t>{1, 0, 1, 1, 0, 0, 0, 5}), "integer 1 has not 8 bytes");
    EXPECT_EQ(refusal_of(std::vector<uint8_t>{1, 0, 0, 0, 0, 0, 0}), "field 1 has no known kind");
    EXPECT_EQ(refusal_of(std::vector<uint8_t>{1, 0, 4, 0, 0, 0, 0}), "field 1 has no known kind");
    EXPECT_EQ(refusal_of(std::vector<uint8_t>{1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0}), "field 1 occurs twice");
    EXPECT_EQ(refusal_of(std::vector<uint8_t>{1, 0, 3, 1, 0, 0, 0, 5}), "a field is truncated");
}

TEST(SavedState, NestedWithoutEndIsRefused) {
    auto nested = [](int depth) {
        std::vector<uint8_t> body;
        for (int i = 0; i < depth; i++) {
            std::vector<uint8_t> outer = {1, 0, 3, 0, 0, 0, 0};
            store_le(&outer[3], static_cast<uint32_t>(body.size()));
            outer.insert(outer.end(), body.begin(), body.end());
            body = std::move(outer);
        }
        return body;
    };
    EXPECT_EQ(refusal_of(nested(StateReader::kMaxDepth)), "");
    EXPECT_EQ(refusal_of(nested(StateReader::kMaxDepth + 1)), "its sections are nested too deep");
    EXPECT_EQ(refusal_of(nested(5000)), "its sections are nested too deep");
}

}  // namespace
}  // namespace doppel
