#include "machine/spec/share_choice.h"

#include <algorithm>
#include <charconv>

namespace doppel::machine {

namespace {

constexpr std::string_view kReadOnly = ",ro", kSnapshot = ",snapshot", kOwner = ",owner=";
constexpr size_t kMaxGuestPath = 255;

Error wrong(std::string why, std::string cure = {}) {
    return Error::usage("--share", std::move(why), std::move(cure));
}

bool take_ending(std::string_view& text, std::string_view ending) {
    if (!text.ends_with(ending)) return false;
    text.remove_suffix(ending.size());
    return true;
}

// A number at the end; anything else belongs to the folder's name.
bool take_owner(std::string_view& text, uint32_t& owner) {
    const size_t at = text.rfind(kOwner);
    if (at == text.npos) return false;
    const std::string_view digits = text.substr(at + kOwner.size());
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), owner);
    if (error != std::errc() || end != digits.data() + digits.size()) return false;
    text = text.substr(0, at);
    return true;
}

// It travels on the kernel's command line.
bool is_plain(char c) {
    return c > ' ' && c <= '~' && c != '"' && c != '\'' && c != ',' && c != '\\';
}

}  // namespace

Result<> check_share(const ShareChoice& share) {
    if (share.path.empty()) return fail(wrong("names no folder", "give DIR[:GUESTDIR][,ro][,snapshot][,owner=UID]"));
    if (share.read_only && share.snapshot) return fail(wrong("is both ro and snapshot", "leave one of them out"));
    if (share.guest.empty()) return {};
    if (share.guest.front() != '/') return fail(wrong(share.guest + " is no absolute path in the guest"));
    if (share.guest.size() > kMaxGuestPath || !std::ranges::all_of(share.guest, is_plain))
        return fail(
            wrong("the path in the guest is too long, or has characters that a kernel's command line cannot carry",
                  "mount it in the guest: mount -t virtiofs share0 DIR"));
    return {};
}

Result<ShareChoice> share_from(std::string_view text) {
    ShareChoice share;
    for (bool more = true; more;) {
        const bool read_only = take_ending(text, kReadOnly), snapshot = take_ending(text, kSnapshot);
        share.read_only = share.read_only || read_only;
        share.snapshot = share.snapshot || snapshot;
        more = read_only || snapshot || take_owner(text, share.owner);
    }
    const size_t colon = text.rfind(':');
    const bool names_guest = colon != text.npos && (colon + 1 == text.size() || text[colon + 1] == '/');
    share.path = text.substr(0, names_guest ? colon : text.npos);
    if (names_guest) share.guest = text.substr(colon + 1);
    DOPPEL_CHECK(check_share(share));
    return share;
}

std::string text_of(const ShareChoice& share) {
    std::string text = share.path + ":" + share.guest;
    if (share.read_only) text += kReadOnly;
    if (share.snapshot) text += kSnapshot;
    if (share.owner != 0) text.append(kOwner).append(std::to_string(share.owner));
    return text;
}

}  // namespace doppel::machine
