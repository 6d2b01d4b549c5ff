#include "machine/spec/specification.h"

#include <sys/mman.h>
#include <unistd.h>

#include <fcntl.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <utility>

#include "base/file.h"
#include "base/sizes.h"
#include "base/unix_socket.h"
#include "isa/riscv/vector_state.h"

namespace doppel::machine {
namespace {

constexpr std::array kArchitectures{std::pair{std::string_view("riscv64"), Architecture::kRiscv64}};
constexpr std::array kEngines{std::pair{std::string_view("auto"), EngineChoice::kAuto},
                              std::pair{std::string_view("interpret"), EngineChoice::kInterpret},
                              std::pair{std::string_view("translate"), EngineChoice::kTranslate},
                              std::pair{std::string_view("check"), EngineChoice::kCheck}};
constexpr std::array kIrqchips{std::pair{std::string_view("aia"), Irqchip::kAia},
                               std::pair{std::string_view("plic"), Irqchip::kPlic}};
constexpr std::array kTransports{std::pair{std::string_view("pci"), VirtioTransport::kPci},
                                 std::pair{std::string_view("mmio"), VirtioTransport::kMmio}};
constexpr std::array kConsoles{
    std::pair{std::string_view("stdio"), ConsoleKind::kStdio}, std::pair{std::string_view("file"), ConsoleKind::kFile},
    std::pair{std::string_view("pty"), ConsoleKind::kPty}, std::pair{std::string_view("socket"), ConsoleKind::kSocket},
    std::pair{std::string_view("none"), ConsoleKind::kNone}};
constexpr size_t kMaxPath = 4095;     // PATH_MAX without its NUL
constexpr size_t kMaxAppend = 65536;  // far beyond any kernel's COMMAND_LINE_SIZE
constexpr size_t kMaxName = 64;
constexpr uint64_t kPage = 4096;

template <class Table, class Word>
auto value_for(const Table& table, const Word& word) -> std::optional<typename Table::value_type::second_type> {
    for (const auto& [name, value] : table)
        if (name == word) return value;
    return std::nullopt;
}

template <class Table, class Value>
std::string_view word_for(const Table& table, Value wanted) {
    for (const auto& [name, value] : table)
        if (value == wanted) return name;
    return "";
}

bool takes_path(ConsoleKind kind) {
    return kind == ConsoleKind::kFile || kind == ConsoleKind::kSocket;
}

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. JSON carries nothing else.
bool is_utf8(std::string_view text) {
    for (size_t i = 0; i < text.size();) {
        const auto lead = static_cast<uint8_t>(text[i]);
        const unsigned more = lead < 0x80                   ? 0
                              : lead >= 0xc2 && lead < 0xe0 ? 1
                              : (lead & 0xf0) == 0xe0       ? 2
                              : lead >= 0xf0 && lead < 0xf5 ? 3
                                                            : 4;
        if (more == 4 || text.size() - i <= more) return false;
        for (unsigned k = 1; k <= more; k++)
            if ((static_cast<uint8_t>(text[i + k]) & 0xc0) != 0x80) return false;
        const auto second = more > 0 ? static_cast<uint8_t>(text[i + 1]) : uint8_t{0x80};
        if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) ||
            (lead == 0xf4 && second > 0x8f))
            return false;
        i += more + 1;
    }
    return true;
}

Result<> check_text(std::string_view option, std::string_view text, size_t limit) {
    const std::string subject(option);
    if (text.size() > limit) return fail(Error::usage(subject, "is longer than " + std::to_string(limit) + " bytes"));
    if (text.find('\0') != text.npos) return fail(Error::usage(subject, "contains a NUL character"));
    if (!is_utf8(text)) return fail(Error::usage(subject, "is not UTF-8 text", "rename the file or link to it"));
    return {};
}

bool is_name(std::string_view name) {
    const auto alphanumeric = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    };
    if (name.empty()) return true;
    return name.size() <= kMaxName && alphanumeric(name.front()) &&
           std::ranges::all_of(name, [&](char c) { return alphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

Result<> check_console(const ConsoleChoice& console) {
    if (!takes_path(console.kind)) {
        if (!console.path.empty()) return fail(Error::usage("--console", "only file: and socket: take a path"));
        return {};
    }
    if (console.path.empty())
        return fail(Error::usage("--console", "a path is missing", "give file:PATH or socket:PATH"));
    return check_text("--console", console.path, console.kind == ConsoleKind::kSocket ? kMaxSocketPath : kMaxPath);
}

// Behind the path comes "_" and the digits of a port.
Result<> check_networks(const Specification& s) {
    if (s.networks.size() > kMaxNets)
        return fail(Error::usage("--net", "is given more than " + std::to_string(kMaxNets) + " times"));
    if (s.forwards.size() > kMaxForwards)
        return fail(Error::usage("--publish", "is given more than " + std::to_string(kMaxForwards) + " times"));
    if (!s.forwards.empty() && !s.networks.empty() && is_tap(s.networks.front()))
        return fail(Error::usage("--publish", "does not apply to an interface of the host",
                                 "let user or switch:NAME be the first network"));
    if (!s.forwards.empty() && s.networks.empty())
        return fail(Error::usage("--publish", "needs a network that it leads into", "add --net user"));
    return {};
}

Result<> check_vsock(const VsockChoice& vsock) {
    constexpr size_t kPort = 11;
    if (vsock.path.empty() && vsock != VsockChoice{}) return fail(Error::usage("--vsock", "a path is missing"));
    if (vsock.cid < kMinCid || vsock.cid > kMaxCid)
        return fail(Error::usage("--vsock", "cid=" + std::to_string(vsock.cid) + " is no guest's",
                                 "give 3 to " + std::to_string(kMaxCid)));
    return check_text("--vsock", vsock.path, kMaxSocketPath - kPort);
}

// Digits alone are a port, everything else is a path.
Result<> check_debugger(const std::string& where) {
    const bool digits = !where.empty() && where.find_first_not_of("0123456789") == where.npos;
    uint16_t port = 0;
    const char* end = where.data() + where.size();
    if (digits && std::from_chars(where.data(), end, port).ec != std::errc())
        return fail(
            Error::usage("--gdb", where + " is no port", "give 1 to 65535, 0 for any, or the path of a socket"));
    return check_text("--gdb", where, kMaxSocketPath);
}

Result<> check_code_cache(uint64_t bytes) {
    if (bytes < kMinCodeCache || bytes > kMaxCodeCache)
        return fail(Error::usage("--code-cache", format_size(bytes) + " is not between " + format_size(kMinCodeCache) +
                                                     " and " + format_size(kMaxCodeCache)));
    if (bytes % kPage != 0)
        return fail(Error::usage("--code-cache", format_size(bytes) + " is not a whole number of pages",
                                 "give a multiple of 4K"));
    return {};
}

Result<> check_flash(const Specification& s) {
    if (s.code_flash.path.empty() && !s.variable_flash.path.empty())
        return fail(Error::usage("--flash", "the flash with the code is missing", "give it first"));
    for (const FlashChoice* flash : {&s.code_flash, &s.variable_flash}) {
        if (flash->path.empty() && flash->read_only) return fail(Error::usage("--flash", "a path is missing"));
        DOPPEL_CHECK(check_text("--flash", flash->path, kMaxPath));
    }
    return {};
}

Result<> check_disks(const std::vector<DiskChoice>& disks) {
    if (disks.size() > kMaxDisks)
        return fail(Error::usage("--disk", "is given more than " + std::to_string(kMaxDisks) + " times"));
    for (const DiskChoice& disk : disks) {
        DOPPEL_CHECK(validate(disk));
        DOPPEL_CHECK(check_text("--disk", disk.path, kMaxPath));
    }
    return {};
}

Result<> check_traces(const std::vector<TraceChoice>& traces) {
    if (traces.size() > kMaxTraces)
        return fail(Error::usage("--trace", "is given more than " + std::to_string(kMaxTraces) + " times"));
    for (const TraceChoice& trace : traces) {
        if (trace.kinds == 0 || trace.path.empty()) return fail(Error::usage("--trace", "a kind or a path is missing"));
        DOPPEL_CHECK(check_text("--trace", trace.path, kMaxPath));
    }
    return {};
}

Result<> check_shares(const Specification& s) {
    if (s.shares.size() > kMaxShares)
        return fail(Error::usage("--share", "is given more than " + std::to_string(kMaxShares) + " times"));
    for (const ShareChoice& share : s.shares) {
        DOPPEL_CHECK(check_share(share));
        DOPPEL_CHECK(check_text("--share", share.path, kMaxPath));
        const auto there = [&](const ShareChoice& other) { return &other != &share && other.guest == share.guest; };
        if (!share.guest.empty() && std::ranges::any_of(s.shares, there))
            return fail(Error::usage("--share", "two folders are for " + share.guest + " in the guest"));
        if (share.guest == "/" && (s.kernel.empty() || !s.initrd.empty()))
            return fail(Error::usage("--share",
                                     "the guest's root can only be one when a kernel starts without an initrd",
                                     "give --kernel and no --initrd, or another place than /"));
    }
    return {};
}

Result<> check_boot(const Specification& s) {
    if (s.kernel.empty() && s.firmware.empty() && s.code_flash.path.empty())
        return fail(
            Error::usage("--kernel", "a machine needs something to start", "give --kernel, --firmware or --flash"));
    return {};
}

}  // namespace

std::optional<Architecture> architecture_from(std::string_view word) {
    return value_for(kArchitectures, word);
}

std::string_view name_of(Architecture arch) {
    return word_for(kArchitectures, arch);
}

std::optional<EngineChoice> engine_from(std::string_view word) {
    return value_for(kEngines, word);
}

std::string_view name_of(EngineChoice engine) {
    return word_for(kEngines, engine);
}

std::optional<Irqchip> irqchip_from(std::string_view word) {
    return value_for(kIrqchips, word);
}

std::string_view name_of(Irqchip irqchip) {
    return word_for(kIrqchips, irqchip);
}

std::optional<VirtioTransport> virtio_from(std::string_view word) {
    return value_for(kTransports, word);
}

std::string_view name_of(VirtioTransport transport) {
    return word_for(kTransports, transport);
}

std::optional<VsockChoice> vsock_from(std::string_view text) {
    constexpr std::string_view kCid = ",cid=";
    const auto at = text.rfind(kCid);
    VsockChoice choice{.path = std::string(text.substr(0, at))};
    if (at == text.npos) return choice;
    const std::string_view digits = text.substr(at + kCid.size());
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), choice.cid);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return choice;
}

std::string text_of(const VsockChoice& vsock) {
    return vsock == VsockChoice{} ? "" : vsock.path + ",cid=" + std::to_string(vsock.cid);
}

std::optional<ConsoleChoice> console_from(std::string_view text) {
    const auto colon = text.find(':');
    const auto kind = value_for(kConsoles, text.substr(0, colon));
    if (!kind || takes_path(*kind) != (colon != text.npos)) return std::nullopt;
    return ConsoleChoice{*kind, colon == text.npos ? std::string() : std::string(text.substr(colon + 1))};
}

std::string text_of(const ConsoleChoice& console) {
    std::string text(word_for(kConsoles, console.kind));
    if (takes_path(console.kind)) text += ":" + console.path;
    return text;
}

std::optional<std::string> agent_from(std::string_view text) {
    const auto choice = console_from(text);
    if (!choice || (choice->kind != ConsoleKind::kSocket && choice->kind != ConsoleKind::kNone)) return std::nullopt;
    if (choice->kind == ConsoleKind::kSocket && choice->path.empty()) return std::nullopt;
    return choice->path;
}

std::string agent_text(const std::string& path) {
    return text_of(ConsoleChoice{path.empty() ? ConsoleKind::kNone : ConsoleKind::kSocket, path});
}

FlashChoice flash_from(std::string_view text) {
    constexpr std::string_view kReadOnly = ",ro";
    const bool read_only = text.ends_with(kReadOnly);
    return {std::string(text.substr(0, text.size() - (read_only ? kReadOnly.size() : 0))), read_only};
}

Result<translate::Techniques> techniques_from(std::string_view list) {
    if (const auto techniques = translate::techniques_without(list)) return *techniques;
    return fail(Error::usage("--translate-without", std::string(list) + " is no list of techniques",
                             "give all, or some of " + translate::technique_names()));
}

std::string text_of(const FlashChoice& flash) {
    return flash.path + (flash.read_only ? ",ro" : "");
}

Result<> validate(const Specification& s) {
    if (s.cpus < 1 || s.cpus > kMaxCpus)
        return fail(
            Error::usage("--cpus", std::to_string(s.cpus) + " is not between 1 and " + std::to_string(kMaxCpus)));
    if (s.max_cpus != 0 && (s.max_cpus < s.cpus || s.max_cpus > kMaxCpus))
        return fail(Error::usage("--cpus", "max=" + std::to_string(s.max_cpus) + " is not between " +
                                               std::to_string(s.cpus) + " and " + std::to_string(kMaxCpus)));
    if (s.max_cpus > s.cpus && s.kernel.empty())
        return fail(Error::usage("--cpus", "max= needs a kernel that is told of it", "give --kernel or an image"));
    if (!isa::riscv::valid_vector_bits(s.vlen))
        return fail(Error::usage("--vlen", std::to_string(s.vlen) + " is no size of vector registers",
                                 "give 0, 128, 256, 512 or 1024"));
    if (s.memory < kMinMemory || s.memory > kMaxMemory)
        return fail(Error::usage("--memory", format_size(s.memory) + " is not between 16M and 1T"));
    if (s.memory % kPage != 0)
        return fail(Error::usage("--memory", format_size(s.memory) + " is not a whole number of pages",
                                 "give a multiple of 4K"));
    DOPPEL_CHECK(check_code_cache(s.code_cache));
    DOPPEL_CHECK(check_text("--translation-cache", s.translation_cache, kMaxPath));
    if (s.translation_cache_size < kMinTranslationCache)
        return fail(Error::usage("--translation-cache-size", format_size(s.translation_cache_size) + " is less than " +
                                                                 format_size(kMinTranslationCache)));
    DOPPEL_CHECK(check_text("--kernel", s.kernel, kMaxPath));
    DOPPEL_CHECK(check_text("--initrd", s.initrd, kMaxPath));
    DOPPEL_CHECK(check_text("--append", s.append, kMaxAppend));
    DOPPEL_CHECK(check_text("--firmware", s.firmware, kMaxPath));
    DOPPEL_CHECK(check_vsock(s.vsock));
    DOPPEL_CHECK(check_flash(s));
    DOPPEL_CHECK(check_disks(s.disks));
    DOPPEL_CHECK(check_console(s.console));
    DOPPEL_CHECK(check_shares(s));
    DOPPEL_CHECK(check_networks(s));
    DOPPEL_CHECK(check_debugger(s.gdb));
    DOPPEL_CHECK(check_text("--agent", s.agent, kMaxSocketPath));
    DOPPEL_CHECK(check_text("--control", s.control, kMaxSocketPath));
    DOPPEL_CHECK(check_text("--stats", s.statistics, kMaxPath));
    DOPPEL_CHECK(check_traces(s.traces));
    DOPPEL_CHECK(validate(s.limits, std::max(s.cpus, s.max_cpus)));
    if (!is_name(s.name))
        return fail(Error::usage("--name", "is not a name", "use at most 64 letters, digits, '.', '_' and '-'"));
    return check_boot(s);
}

Result<UniqueFd> to_memfd(const Specification& specification) {
    const std::string json = to_json(specification);
    UniqueFd fd(memfd_create("doppel-specification", MFD_ALLOW_SEALING));
    if (!fd) return fail(Error::system("hand over the specification", "memfd", errno));
    if (!write_all(fd.get(), {reinterpret_cast<const uint8_t*>(json.data()), json.size()}) ||
        fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0 ||
        lseek(fd.get(), 0, SEEK_SET) != 0)
        return fail(Error::system("hand over the specification", "memfd", errno));
    return fd;
}

}  // namespace doppel::machine
