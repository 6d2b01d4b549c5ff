#include "machine/boot/device_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libfdt.h>

#include "base/byte_order.h"

namespace doppel::machine::boot {
namespace {

using testing::HasSubstr;

std::vector<uint8_t> finished(DeviceTreeBuilder& tree) {
    auto blob = tree.finish();
    EXPECT_TRUE(blob) << blob.error().message();
    return blob ? std::move(*blob) : std::vector<uint8_t>(64);
}

std::string error_of(DeviceTreeBuilder& tree) {
    const auto blob = tree.finish();
    return blob ? "no error" : blob.error().message();
}

std::vector<uint8_t> property(const std::vector<uint8_t>& blob, const char* path, const char* name) {
    int size = 0;
    const int node = fdt_path_offset(blob.data(), path);
    const auto* value = static_cast<const uint8_t*>(node < 0 ? nullptr : fdt_getprop(blob.data(), node, name, &size));
    EXPECT_NE(value, nullptr) << path << " " << name;
    return value == nullptr ? std::vector<uint8_t>() : std::vector<uint8_t>(value, value + size);
}

TEST(DeviceTree, IsReadBackAsWritten) {
    DeviceTreeBuilder tree;
    const uint32_t phandle = tree.new_phandle();
    tree.property_u32("#address-cells", 2);
    tree.property_strings("compatible", {"riscv-virtio", "generic"});
    {
        const auto soc = tree.node("soc");
        tree.property_empty("ranges");
        {
            const auto plic = tree.node("plic@c000000");
            tree.property_u64s("reg", {0xc000000, 0x600000});
            tree.property_phandle(phandle);
        }
        const auto uart = tree.node("serial@10000000");
        tree.property_cells("interrupts-extended", {phandle, 10});
        tree.property_u64("clock-frequency", 0x1'0000'0002);
        tree.property_string("status", "okay");
    }
    const auto blob = finished(tree);
    ASSERT_EQ(fdt_check_full(blob.data(), blob.size()), 0);
    EXPECT_EQ(fdt_totalsize(blob.data()), blob.size());
    EXPECT_THAT(property(blob, "/", "#address-cells"), testing::ElementsAre(0, 0, 0, 2));
    const std::string_view compatible("riscv-virtio\0generic\0", 21);
    EXPECT_THAT(property(blob, "/", "compatible"), testing::ElementsAreArray(compatible.begin(), compatible.end()));
    EXPECT_TRUE(property(blob, "/soc", "ranges").empty());
    EXPECT_THAT(property(blob, "/soc/plic@c000000", "reg"),
                testing::ElementsAre(0, 0, 0, 0, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0x60, 0, 0));
    EXPECT_THAT(property(blob, "/soc/serial@10000000", "interrupts-extended"),
                testing::ElementsAre(0, 0, 0, 1, 0, 0, 0, 10));
    EXPECT_THAT(property(blob, "/soc/serial@10000000", "clock-frequency"),
                testing::ElementsAre(0, 0, 0, 1, 0, 0, 0, 2));
    EXPECT_EQ(fdt_node_offset_by_phandle(blob.data(), phandle), fdt_path_offset(blob.data(), "/soc/plic@c000000"));
}

TEST(DeviceTree, GrowsWithItsContent) {
    DeviceTreeBuilder tree;
    for (uint32_t i = 0; i < 5000; i++) {
        const auto node = tree.node("node@" + std::to_string(i));
        tree.property_u32("value-" + std::to_string(i), i);
    }
    const auto blob = finished(tree);
    ASSERT_EQ(fdt_check_full(blob.data(), blob.size()), 0);
    EXPECT_EQ(load_be<uint32_t>(property(blob, "/node@4999", "value-4999").data()), 4999u);
}

TEST(DeviceTree, StopsAtTwoMebibytes) {
    DeviceTreeBuilder tree;
    tree.property_bytes("a", std::vector<uint8_t>(1 << 20));
    tree.property_bytes("b", std::vector<uint8_t>(1 << 20));
    EXPECT_EQ(error_of(tree), "write device tree: /b: the tree exceeds 2 MiB");
    DeviceTreeBuilder huge;
    huge.property_bytes("a", std::vector<uint8_t>((2 << 20) + 1));
    EXPECT_THAT(error_of(huge), HasSubstr("too large"));
}

TEST(DeviceTree, ReportsTheFirstMistakeWithItsPlace) {
    DeviceTreeBuilder tree;
    const auto soc = tree.node("soc");
    {
        const auto uart = tree.node("uart");
        tree.property_u32("reg", 1);
        tree.property_u32("reg", 2);
        tree.property_u32("bad name", 2);
    }
    EXPECT_EQ(error_of(tree), "write device tree: /soc/uart/reg: the property is there already");
}

TEST(DeviceTree, RefusesMisplacedAndMalformedParts) {
    DeviceTreeBuilder late;
    late.begin_node("a");
    late.end_node();
    late.property_u32("late", 1);
    EXPECT_EQ(error_of(late), "write device tree: /late: the property stands behind a child node");

    DeviceTreeBuilder twice;
    for (int i = 0; i < 2; i++) {
        twice.begin_node("a");
        twice.end_node();
    }
    EXPECT_THAT(error_of(twice), HasSubstr("/a: the node is there already"));

    DeviceTreeBuilder slash;
    slash.begin_node("a/b");
    slash.end_node();
    EXPECT_THAT(error_of(slash), HasSubstr("is not a node name"));

    DeviceTreeBuilder shared;
    shared.property_phandle(1);
    shared.begin_node("a");
    shared.property_phandle(1);
    shared.end_node();
    EXPECT_THAT(error_of(shared), HasSubstr("/a/phandle: the phandle 1 is reserved or in use already"));
}

TEST(DeviceTree, RefusesUnbalancedNodes) {
    DeviceTreeBuilder open;
    open.begin_node("a");
    EXPECT_EQ(error_of(open), "write device tree: /a/: the node is still open");
    DeviceTreeBuilder closed;
    closed.end_node();
    EXPECT_THAT(error_of(closed), HasSubstr("no node is open"));
    DeviceTreeBuilder done;
    EXPECT_EQ(error_of(done), "no error");
    done.property_u32("a", 1);
    done.begin_node("b");
    EXPECT_FALSE(done.finish());
}

}  // namespace
}  // namespace doppel::machine::boot
