#include "image/makeable.h"

#include <unistd.h>

#include "image/catalog.h"

namespace doppel::image {

std::string debian_name(std::string_view suite) {
    std::string name = kDebianName;
    return suite == kDebianSuite ? name : name + ":" + std::string(suite);
}

std::optional<std::string> debian_suite(std::string_view name) {
    const std::string_view base = kDebianName;
    if (name == base) return kDebianSuite;
    if (!is_image_name(name) || !name.starts_with(base) || name[base.size()] != ':') return std::nullopt;
    return std::string(name.substr(base.size() + 1));
}

std::optional<std::string> makeable(std::string_view name) {
    if (name == kTinyName) return kTinyName;
    if (const auto suite = debian_suite(name)) return debian_name(*suite);
    return std::nullopt;
}

uid_t guest_uid() {
    constexpr uid_t kFirst = 1000, kLast = 59999;
    const uid_t user = ::geteuid();
    return user == 0 || (user >= kFirst && user <= kLast) ? user : kFirst;
}

}  // namespace doppel::image
