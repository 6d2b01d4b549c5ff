// What a machine is made of, as it travels from the launcher to the machine executable: `doppel-machine --spec-fd N`.
// JSON in a sealed memfd: it survives exec, leaves no file behind, and no reader can be raced by a writer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "machine/spec/disk_choice.h"
#include "machine/spec/limits.h"
#include "machine/spec/net_choice.h"
#include "machine/spec/share_choice.h"
#include "machine/spec/trace_choice.h"
#include "network/forward.h"
#include "translate/techniques.h"

namespace doppel::machine {

inline constexpr unsigned kMaxCpus = 16;
inline constexpr uint64_t kMinMemory = uint64_t{16} << 20;           // bytes
inline constexpr uint64_t kMinCodeCache = uint64_t{1} << 20;         // bytes; several times the largest loop
inline constexpr uint64_t kMaxCodeCache = uint64_t{1} << 30;         // bytes; jumps in it reach 2 GiB
inline constexpr uint64_t kMinTranslationCache = uint64_t{1} << 20;  // bytes
inline constexpr uint64_t kMaxMemory = uint64_t{1} << 40;  // bytes; what one mapping of a 47-bit host surely holds

enum class Architecture { kRiscv64 };
enum class EngineChoice { kAuto, kInterpret, kTranslate, kCheck };
enum class Irqchip { kAia, kPlic };          // APLIC and IMSICs with message-signalled interrupts, or wires to a PLIC
enum class VirtioTransport { kPci, kMmio };  // how the board carries its virtio devices
enum class ConsoleKind { kStdio, kFile, kPty, kSocket, kNone };

// Where the machine's console goes; `path` only for kFile and kSocket.
struct ConsoleChoice {
    ConsoleKind kind = ConsoleKind::kStdio;
    std::string path;
    bool operator==(const ConsoleChoice&) const = default;
};

// A file for a bank of flash; an empty path: none.
struct FlashChoice {
    std::string path;
    bool read_only = false;
    bool operator==(const FlashChoice&) const = default;
};

// Sockets of the guest: `path` is where clients of the host come to, and path_PORT where the guest's connections go; an
// empty path: none.
struct VsockChoice {
    std::string path;
    uint32_t cid = 3;  // the guest's, kMinCid .. kMaxCid
    bool operator==(const VsockChoice&) const = default;
};
inline constexpr uint32_t kMinCid = 3;
inline constexpr uint32_t kMaxCid = 0xfffffffe;

// At least one of `kernel`, `firmware` and `code_flash`. Paths are UTF-8, relative to the working directory.
struct Specification {
    Architecture arch = Architecture::kRiscv64;
    EngineChoice engine = EngineChoice::kAuto;
    uint64_t code_cache = uint64_t{128} << 20;  // bytes of translated code, whole pages; an interpreter has none
    std::string translation_cache;              // the folder that keeps translations for later machines; empty: none
    uint64_t translation_cache_size = uint64_t{256} << 20;  // bytes that all of its files may take
    translate::Techniques techniques;                       // what translated code is made with
    unsigned cpus = 1;                                      // 1 .. kMaxCpus
    unsigned max_cpus = 0;                                  // that a kernel may start later, up to kMaxCpus; 0: `cpus`
    unsigned vlen = 0;                                      // bits of a vector register, 128 .. 1024; 0: no vector unit
    uint64_t memory = uint64_t{512} << 20;                  // bytes, kMinMemory .. kMaxMemory, whole pages of 4096
    std::string kernel;                                     // empty: none
    std::string initrd;                                     // empty: none
    std::string append;                                     // the kernel's command line
    std::string firmware;  // ELF or raw, starts in M-mode; empty: none, the host answers SBI calls
    Irqchip irqchip = Irqchip::kAia;
    VirtioTransport virtio = VirtioTransport::kPci;
    VsockChoice vsock;
    FlashChoice code_flash;         // what is next to run when there is no kernel; its file is only read
    FlashChoice variable_flash;     // only beside the other; its file is written to
    std::vector<DiskChoice> disks;  // at most kMaxDisks
    ConsoleChoice console;
    std::vector<ShareChoice> shares;         // at most kMaxShares, each in another place of the guest
    std::vector<NetChoice> networks;         // a card each, at most kMaxNets
    std::vector<network::Forward> forwards;  // to the first card, at most kMaxForwards
    std::string gdb;         // where a debugger connects: a port of 127.0.0.1, or a socket's path; empty: nowhere
    std::string agent;       // the socket for those who use the guest's agent; empty: none
    std::string control;     // the socket for those who control the machine (machine/control); empty: none
    bool no_reboot = false;  // a guest's reboot ends the machine instead
    bool sandbox = true;     // the process is confined when guest code runs
    std::string statistics;  // told at the end: "-" on standard error, else in a file, as JSON; empty: not at all
    std::vector<TraceChoice> traces;  // at most kMaxTraces
    Limits limits;                    // of a machine that starts: those that it keeps to by itself
    std::string name;  // empty, or letters, digits, '.', '_' and '-', at most 64, a letter or digit first
    bool operator==(const Specification&) const = default;
};

// A list of names, as translate::techniques_without takes it; one that has none is an error that lists them.
Result<translate::Techniques> techniques_from(std::string_view list);

// The words of the command line and of the JSON: one spelling for both. nullopt for a word that is none.
std::optional<Architecture> architecture_from(std::string_view word);
std::string_view name_of(Architecture arch);
std::optional<EngineChoice> engine_from(std::string_view word);
std::string_view name_of(EngineChoice engine);
std::optional<Irqchip> irqchip_from(std::string_view word);
std::string_view name_of(Irqchip irqchip);
std::optional<VirtioTransport> virtio_from(std::string_view word);
std::string_view name_of(VirtioTransport transport);
// FILE[,cid=N]; nullopt when N is no number of 32 bits. Nothing at all is no vsock.
std::optional<VsockChoice> vsock_from(std::string_view text);
std::string text_of(const VsockChoice& vsock);
// stdio, file:F, pty, socket:F, none.
std::optional<ConsoleChoice> console_from(std::string_view text);
std::string text_of(const ConsoleChoice& console);
// socket:F or none: the path.
std::optional<std::string> agent_from(std::string_view text);
std::string agent_text(const std::string& path);
// The same words for the control socket.
inline std::optional<std::string> control_from(std::string_view text) {
    return agent_from(text);
}
// FILE[,ro].
FlashChoice flash_from(std::string_view text);
std::string text_of(const FlashChoice& flash);

// Every error is of kind kUsage and its subject is the option's name: "--cpus".
Result<> validate(const Specification& specification);

// `to_json` expects a specification that is valid. `from_json` takes nothing on trust: unknown, repeated and mistyped
// keys, wild values and anything that `validate` refuses are errors; a missing key keeps its default.
std::string to_json(const Specification& specification);
Result<Specification> from_json(std::string_view text);

// A sealed memfd at offset 0 that holds the JSON and stays open over exec.
Result<UniqueFd> to_memfd(const Specification& specification);
// Reads what `to_memfd` made; does not close `fd`.
Result<Specification> from_fd(int fd);

}  // namespace doppel::machine
