#include "stored_code/unit.h"

#include <gtest/gtest.h>

#include "base/byte_order.h"
#include "stored_code/test_units.h"

namespace doppel::stored_code {
namespace {

TEST(StoredUnit, SurvivesEncoding) {
    const Page page = test_page(1);
    for (const Unit& unit : {test_unit(page, {{16, 8}}), test_unit(page, {{16, 8}, {100, 40}, {4094, 2}})}) {
        EXPECT_EQ(decode(encode(unit)), unit);
    }
    Unit request = test_unit(page, {{16, 8}});
    request.host.clear();
    request.cold_at = 0;
    request.crossings.clear();
    EXPECT_EQ(decode(encode(request)), request);
}

TEST(StoredUnit, OfAnyOtherLengthIsNone) {
    std::vector<uint8_t> bytes = encode(test_unit(test_page(1), {{16, 8}, {100, 40}}));
    for (size_t length = 0; length < bytes.size(); length++) {
        EXPECT_FALSE(decode(std::span(bytes).first(length))) << length;
    }
    bytes.push_back(0);
    EXPECT_FALSE(decode(bytes));
}

TEST(StoredUnit, ThatBreaksARuleIsNone) {
    const Page page = test_page(1);
    const auto broken = [&](auto change) {
        Unit unit = test_unit(page, {{16, 8}, {100, 40}});
        change(unit);
        return !decode(encode(unit));
    };
    EXPECT_FALSE(broken([](Unit&) {}));
    EXPECT_TRUE(broken([](Unit& unit) { unit.is_loop = false; }));
    EXPECT_TRUE(broken([](Unit& unit) { unit.start = 18; }));
    EXPECT_TRUE(broken([](Unit& unit) { unit.parts[1].entry = static_cast<uint32_t>(unit.host.size()); }));
    EXPECT_TRUE(broken([](Unit& unit) { unit.parts[1].offset = 4090; }));
    EXPECT_TRUE(broken([](Unit& unit) { unit.parts[1].offset = 101; }));
    EXPECT_TRUE(broken([](Unit& unit) { unit.parts[1].bytes = 38; }));
    EXPECT_TRUE(broken([](Unit& unit) { unit.parts.clear(); }));
    EXPECT_TRUE(broken([](Unit& unit) { unit.host.resize(kMaxHostBytes + 1); }));
    EXPECT_TRUE(broken([](Unit& unit) { unit.cold_at = static_cast<uint32_t>(unit.host.size()) + 1; }));
    EXPECT_TRUE(broken([](Unit& unit) { unit.cold_at = 4; })) << "a crossing lies in both parts";
    EXPECT_TRUE(broken([](Unit& unit) { unit.crossings[1] = static_cast<uint32_t>(unit.host.size()) - 3; }));
    EXPECT_TRUE(broken([](Unit& unit) { unit.crossings.resize(unit.host.size(), 1); }));
    EXPECT_TRUE(broken([](Unit& unit) { unit.host.clear(); })) << "an entry without code";
}

TEST(StoredUnit, IsCodeOfAPageThatHoldsAllOfItsParts) {
    Page page = test_page(1);
    const Unit unit = test_unit(page, {{16, 8}, {100, 40}});
    EXPECT_TRUE(is_code_of(unit, page));
    for (size_t at = 0; at < page.size(); at++) {
        page[at] ^= 1;
        const bool inside = (at >= 16 && at < 24) || (at >= 100 && at < 140);
        EXPECT_EQ(is_code_of(unit, page), !inside) << at;
        page[at] ^= 1;
    }
}

TEST(StoredUnit, IsNamedByWhatItWasMadeFrom) {
    const Unit unit = test_unit(test_page(1), {{16, 8}, {100, 40}});
    Unit translated = unit;
    translated.host.push_back(1);
    translated.cold_at = 1;
    translated.crossings = {2};
    translated.parts[1].entry = 1;
    EXPECT_EQ(key_of(translated), key_of(unit));
    for (int i = 0; i < 5; i++) {
        Unit other = unit;
        if (i == 0) other.mode++;
        if (i == 1) other.start = 100;
        if (i == 2) other.guest.back() ^= 0x80;
        if (i == 3) other.parts[0].offset += 2;
        if (i == 4) other.is_loop = false;
        EXPECT_NE(key_of(other), key_of(unit)) << i;
    }
}

}  // namespace
}  // namespace doppel::stored_code
