// Which VLANs a port of a switch is in (IEEE 802.1Q).
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace doppel::network::lan {

inline constexpr uint16_t kDefaultVlan = 1;
inline constexpr uint16_t kMaxVlan = 4094;  // 0 and 4095 are none (802.1Q, table 9-2)

// An access port is in one, and its frames carry no tag. A trunk is in several, and frames carry the tag of theirs; the
// native one, if there is one, goes without.
class Vlans {
  public:
    Vlans() { members_.set(kDefaultVlan); }  // access to the default one
    static Vlans access(uint16_t vlan);
    // As "10+20-29"; nullopt: it is not that.
    static std::optional<Vlans> trunk(std::string_view text);
    void set_native(uint16_t vlan);

    // Of a frame that comes with this tag, or none; nullopt: it has no place here.
    std::optional<uint16_t> classify(std::optional<uint16_t> tag) const;
    bool has(uint16_t vlan) const { return vlan <= kMaxVlan && members_[vlan]; }
    // Whether a frame of this one goes out with a tag.
    bool tags(uint16_t vlan) const { return vlan != untagged_; }

    bool is_trunk() const { return trunk_; }
    uint16_t untagged() const { return untagged_; }  // 0: none
    std::string text() const;                        // of the trunk's: as `trunk` takes it
    bool operator==(const Vlans&) const = default;

  private:
    std::bitset<kMaxVlan + 1> members_;
    uint16_t untagged_ = kDefaultVlan;
    bool trunk_ = false;
};

// 1 to kMaxVlan.
std::optional<uint16_t> vlan_from(std::string_view text);

}  // namespace doppel::network::lan
