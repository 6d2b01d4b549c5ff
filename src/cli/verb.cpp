#include "cli/verb.h"

#include <algorithm>
#include <array>
#include <vector>

#include "cli/commands.h"

namespace doppel::cli {
namespace {

constexpr std::array kRunOptions{
    Option{"--as", 0, "machine|container|program|auto", "the level to run at (auto)"},
    Option{"--arch", 0, "riscv64", "the guest's architecture"},
    Option{"--engine", 0, "auto|translate|interpret|check",
           "how instructions are executed (auto: the fastest that works here; check: both, compared)"},
    Option{"--code-cache", 0, "SIZE", "memory for translated code, 1M to 1G (128M)"},
    Option{"--translation-cache", 0, "DIR|off",
           "where translated code is kept for later machines (in the user's cache)"},
    Option{"--translation-cache-size", 0, "SIZE", "what all of it may take there, from 1M (256M)"},
    Option{"--translate-without", 0, "all|NAME[,...]",
           "techniques of the translator to do without, to measure them; a wrong NAME lists them"},
    Option{"--cpus", 0, "N", "processors, 1 to 16 (1)"},
    Option{"--vlen", 0, "BITS", "vector registers of 128, 256, 512 or 1024 bits; 0 is no vector unit (0)"},
    Option{"--memory", 0, "SIZE", "memory: a number with K, M, G or T, from 16M (512M)"},
    Option{"--kernel", 0, "FILE", "the kernel to start, or what the firmware starts"},
    Option{"--initrd", 0, "FILE", "the kernel's initial file system"},
    Option{"--append", 0, "TEXT", "the kernel's command line; added to an image's own"},
    Option{"--firmware", 0, "FILE", "what runs first, in M-mode (OpenSBI, U-Boot, a program): ELF or raw"},
    Option{"--irqchip", 0, "aia|plic", "interrupts by message and wire (aia), or by wire only (plic) (aia)"},
    Option{"--virtio", 0, "pci|mmio", "what carries the virtio devices (pci)"},
    Option{"--vsock", 0, "FILE[,cid=N]", "sockets of the guest: FILE for clients, FILE_PORT for the host's services"},
    Option{"--flash", 0, "FILE[,ro]", "flash: first the one with code, then the one with variables", State::kBuilt,
           true},
    Option{"--disk", 0, "FILE[,format=raw|qcow2][,ro][,snapshot][,iops=N][,bps=SIZE][,serial=TEXT]",
           "attach a disk; bursts above the limits a second by iops-burst= and bps-burst=", State::kBuilt, true},
    Option{"--share", 0, "DIR[:GUESTDIR][,ro][,snapshot]",
           "share a directory, or a copy-on-write view of it; tiny mounts it at GUESTDIR, and / is a kernel's root",
           State::kBuilt, true},
    Option{"--console", 0, "stdio|file:FILE|pty|socket:FILE|none", "where the console goes (stdio)"},
    Option{"--agent", 0, "socket:FILE|none", "a socket for programs that use the guest's agent (none)"},
    Option{"--no-reboot", 0, "", "end when the guest reboots"},
    Option{"--gdb", 0, "PORT|FILE", "halt at the first instruction and let GDB connect, to 127.0.0.1:PORT or a socket"},
    Option{"--trace", 0, "insn|mem|irq|trap|sbi|translate[,...][=FILE[,limit=SIZE]]",
           "tell what the guest does, to FILE or standard error", State::kBuilt, true},
    Option{"--stats", 0, "[=FILE]", "tell at the end what ran and how fast, on standard error or to FILE as JSON"},
    Option{"--sandbox", 0, "on|off", "whether the machine's own process is confined (on)"},
    Option{"-i", 'i', "", "keep the input attached; a machine's console on stdio is"},
    Option{"-t", 't', "", "insist on a terminal"},
    Option{"--explain", 0, "", "print level, architecture, engine and why; run nothing"},
    Option{"--json", 0, "", "with --explain: as JSON"},
    Option{"--name", 0, "NAME", "the instance's name", State::kPlanned},
    Option{"--detach", 'd', "", "run in the background", State::kPlanned},
    Option{"--rm", 0, "", "remove the instance when it ends", State::kPlanned},
    Option{"-e", 'e', "K=V", "set a variable", State::kPlanned, true},
    Option{"-w", 'w', "DIR", "the directory to start in", State::kPlanned},
    Option{"-u", 'u', "USER", "the user to run as", State::kPlanned},
    Option{"--publish", 0, "[ADDR:]HOST:GUEST[/udp]", "make a guest's port reachable", State::kPlanned, true},
    Option{"--net", 0, "user|none|switch:NAME|tap:NAME", "the network", State::kPlanned, true},
    Option{"--volume", 0, "NAME:GUESTDIR", "mount a volume", State::kPlanned, true},
    Option{"--hostname", 0, "NAME", "the guest's host name", State::kPlanned},
};

constexpr std::array kJsonOption{Option{"--json", 0, "", "as JSON"}};

constexpr std::array kCacheOptions{
    Option{"--json", 0, "", "as JSON"},
    Option{"--translation-cache", 0, "DIR", "the folder of translations (in the user's cache)"}};

constexpr std::array kCacheVerbs{
    Verb{.name = "ls", .summary = "list the translated code that is kept for later machines", .state = State::kBuilt},
    Verb{.name = "clear", .summary = "remove it", .state = State::kBuilt},
};

constexpr std::array kImageVerbs{
    Verb{.name = "ls", .summary = "list the images", .state = State::kBuilt},
    Verb{.name = "rm", .summary = "remove an image", .state = State::kBuilt},
    Verb{.name = "make",
         .summary = "make an image from the distribution's packages",
         .state = State::kBuilt,
         .operand_words = "tiny"},
    Verb{.name = "inspect"},
    Verb{.name = "build"},
    Verb{.name = "import"},
    Verb{.name = "export"},
    Verb{.name = "tag"},
};

constexpr std::array kDiskVerbs{
    Verb{.name = "create", .summary = "make a new, empty disk", .state = State::kBuilt, .operand_is_file = true},
    Verb{.name = "info", .summary = "show what a disk is", .state = State::kBuilt, .operand_is_file = true},
    Verb{.name = "check",
         .summary = "check that a disk's tables agree, and mend them",
         .state = State::kBuilt,
         .operand_is_file = true},
    Verb{.name = "resize", .summary = "make a disk larger or smaller", .state = State::kBuilt, .operand_is_file = true},
    Verb{.name = "convert",
         .summary = "copy a disk into another format",
         .state = State::kBuilt,
         .operand_is_file = true},
    Verb{.name = "map", .summary = "show where a disk's data lies", .state = State::kBuilt, .operand_is_file = true},
    Verb{.name = "serve"},
};

constexpr std::array kVerbs{
    Verb{.name = "run",
         .summary = "run an image, a disk, a tree or a program",
         .state = State::kBuilt,
         .operands = Operands::kAny,
         .operand_help = "[WHAT [ARG...]]",
         .operand_words = "tiny",
         .operand_is_file = true,
         .options = kRunOptions,
         .example = "doppel run --cpus 2 --memory 1G tiny",
         .failure = 125,
         .run = run_run},
    Verb{.name = "image",
         .summary = "list, remove and make images",
         .state = State::kBuilt,
         .operands = Operands::kPassed,
         .operand_help = "VERB [options] [NAME]",
         .verbs = kImageVerbs,
         .example = "doppel image make tiny",
         .run = run_image},
    Verb{.name = "disk",
         .summary = "make, look at, check, resize and convert disks",
         .state = State::kBuilt,
         .operands = Operands::kPassed,
         .operand_help = "VERB [options] FILE...",
         .verbs = kDiskVerbs,
         .example = "doppel disk create -f qcow2 disk.qcow2 20G",
         .run = run_disk},
    Verb{.name = "cache",
         .summary = "list and clear what is kept to make later machines faster",
         .state = State::kBuilt,
         .operands = Operands::kOne,
         .operand_help = "VERB",
         .options = kCacheOptions,
         .verbs = kCacheVerbs,
         .example = "doppel cache ls --json",
         .run = run_cache},
    Verb{.name = "doctor",
         .summary = "measure what this host can do, and what is lost without the rest",
         .state = State::kBuilt,
         .options = kJsonOption,
         .example = "doppel doctor --json",
         .run = run_doctor},
    Verb{.name = "completion",
         .summary = "print a shell's completion script",
         .state = State::kBuilt,
         .operands = Operands::kOne,
         .operand_help = "bash|zsh|fish",
         .operand_words = "bash|zsh|fish",
         .example = "source <(doppel completion bash)",
         .run = run_completion},
    Verb{.name = "version",
         .summary = "print the version",
         .state = State::kBuilt,
         .options = kJsonOption,
         .example = "doppel version",
         .run = run_version},
    Verb{.name = "help",
         .summary = "explain doppel or one of its verbs",
         .state = State::kBuilt,
         .operands = Operands::kOne,
         .operand_help = "[VERB]",
         .example = "doppel help run",
         .run = run_help},
    Verb{.name = "ls"},
    Verb{.name = "info"},
    Verb{.name = "start"},
    Verb{.name = "stop"},
    Verb{.name = "restart"},
    Verb{.name = "pause"},
    Verb{.name = "resume"},
    Verb{.name = "kill"},
    Verb{.name = "console"},
    Verb{.name = "logs"},
    Verb{.name = "exec"},
    Verb{.name = "shell"},
    Verb{.name = "cp"},
    Verb{.name = "wait"},
    Verb{.name = "rename"},
    Verb{.name = "set"},
    Verb{.name = "edit"},
    Verb{.name = "apply"},
    Verb{.name = "stats"},
    Verb{.name = "top"},
    Verb{.name = "events"},
    Verb{.name = "rm"},
    Verb{.name = "undelete"},
    Verb{.name = "purge"},
    Verb{.name = "prune"},
    Verb{.name = "snapshot"},
    Verb{.name = "snapshots"},
    Verb{.name = "restore"},
    Verb{.name = "fork"},
    Verb{.name = "template"},
    Verb{.name = "move"},
    Verb{.name = "export"},
    Verb{.name = "import"},
    Verb{.name = "autostart"},
    Verb{.name = "volume"},
    Verb{.name = "network"},
    Verb{.name = "store"},
    Verb{.name = "host"},
    Verb{.name = "oci"},
    Verb{.name = "binfmt"},
    Verb{.name = "serve"},
};

// Levenshtein's distance: insertions, deletions and replacements.
size_t distance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); j++) row[j] = j;
    for (size_t i = 1; i <= a.size(); i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); j++) {
            const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row[b.size()];
}

}  // namespace

std::span<const Verb> verbs() {
    return kVerbs;
}

const Verb* find_verb(std::span<const Verb> among, std::string_view name) {
    const auto found = std::ranges::find(among, name, &Verb::name);
    return found == among.end() ? nullptr : &*found;
}

std::string suggestion(std::string_view wrong, std::span<const std::string_view> among) {
    constexpr size_t kLongest = 64;  // what is longer is no typing mistake
    if (among.empty() || wrong.size() > kLongest) return {};
    const auto nearest =
        std::ranges::min_element(among, {}, [&](std::string_view name) { return distance(wrong, name); });
    if (distance(wrong, *nearest) > std::max<size_t>(2, nearest->size() / 3)) return {};
    return "did you mean " + std::string(*nearest) + "?";
}

Error not_built(std::string what) {
    return Error{std::move(what), "", "not built yet", "doppel help lists what is"};
}

}  // namespace doppel::cli
