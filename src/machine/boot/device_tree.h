// Writing a flattened device tree (Devicetree Specification 0.4, chapters 2 and 5), by libfdt.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace doppel::machine::boot {

// Properties go to the innermost open node, before its children. The first mistake (a name twice, a property behind a
// child, a malformed name, too large a tree) is kept and reported by finish(); later calls then do nothing.
//     DeviceTreeBuilder tree;
//     tree.property_u32("#address-cells", 2);
//     {
//         auto cpus = tree.node("cpus");
//         tree.property_u32("#address-cells", 1);
//     }
//     DOPPEL_TRY(auto blob, tree.finish());
class DeviceTreeBuilder {
  public:
    // Ends its node when it goes out of scope.
    class [[nodiscard]] Node {
      public:
        explicit Node(DeviceTreeBuilder& tree) : tree_(tree) {}
        ~Node() { tree_.end_node(); }
        Node(const Node&) = delete;
        Node& operator=(const Node&) = delete;

      private:
        DeviceTreeBuilder& tree_;
    };

    DeviceTreeBuilder();  // the root node is open

    Node node(std::string_view name) {
        begin_node(name);
        return Node(*this);
    }
    void begin_node(std::string_view name);  // "uart@10000000"
    void end_node();

    void property_empty(std::string_view name);
    void property_u32(std::string_view name, uint32_t value);
    void property_u64(std::string_view name, uint64_t value);
    void property_cells(std::string_view name, std::span<const uint32_t> cells);
    void property_cells(std::string_view name, std::initializer_list<uint32_t> cells);
    // 64-bit values, two cells each: "reg" under #address-cells = #size-cells = 2.
    void property_u64s(std::string_view name, std::initializer_list<uint64_t> values);
    void property_string(std::string_view name, std::string_view value);
    void property_strings(std::string_view name, std::span<const std::string> values);
    void property_strings(std::string_view name, std::initializer_list<std::string_view> values);
    void property_bytes(std::string_view name, std::span<const uint8_t> value);

    // A phandle that no node has yet, to refer to a node before it is written.
    uint32_t new_phandle() { return next_phandle_++; }
    // Makes the open node the one that `phandle` refers to.
    void property_phandle(uint32_t phandle) { property_u32("phandle", phandle); }

    // The whole blob, exactly as large as its header says. The builder is used up.
    Result<std::vector<uint8_t>> finish();

  private:
    struct OpenNode {
        std::string path;
        bool has_children = false;
        std::set<std::string, std::less<>> properties;
        std::set<std::string, std::less<>> children;
    };

    void mistake(std::string_view subject, std::string why);
    // Calls a libfdt function, with a larger buffer for as long as it asks for one.
    void write(std::string_view subject, const std::function<int(void* blob)>& call);

    std::vector<uint8_t> blob_;
    std::vector<OpenNode> open_;
    std::set<uint32_t> phandles_;
    std::optional<Error> error_;
    uint32_t next_phandle_ = 1;
};

}  // namespace doppel::machine::boot
