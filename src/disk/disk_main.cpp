// doppel-disk: the verbs of `doppel disk`, apart from the launcher because they need libraries that it does not.
#include <CLI/CLI.hpp>
#include <string>

#include "base/verb_program.h"
#include "disk/format_options.h"
#include "disk/verbs.h"

namespace doppel::disk {

namespace {

const char* const kFormatHelp = "raw or qcow2, instead of what the content says";

struct CommandLine {
    CLI::App app{"Make, look at, check, resize and convert disks", "doppel disk"};
    CreateCommand creating;
    InfoCommand looking;
    CheckCommand checking;
    ResizeCommand resizing;
    ConvertCommand converting;
    MapCommand mapping;
    bool progress = false;
    Result<int> result = 0;

    CommandLine() {
        app.require_subcommand(1);
        app.footer("Example: doppel disk create -f qcow2 disk.qcow2 20G");
        add_create();
        add_info();
        add_check();
        add_resize();
        add_convert();
        add_map();
    }

    void add_create() {
        CLI::App* verb = app.add_subcommand("create", "Make a new, empty disk");
        verb->add_option("-f,--format", creating.format, "raw or qcow2")->capture_default_str();
        verb->add_option("-o,--options", creating.options, format_options_help())->allow_extra_args(false);
        verb->add_option("-b,--backing", creating.backing, "the disk that it stands on: it keeps what differs");
        verb->add_option("-F,--backing-format", creating.backing_format, "that disk's format");
        verb->add_flag("-u,--unchecked", creating.unchecked, "the backing disk need not be there yet");
        verb->add_flag("-q,--quiet", creating.quiet, "say nothing");
        verb->add_option("FILE", creating.file, "the disk's file")->required();
        verb->add_option("SIZE", creating.size, "its size, like 20G; the backing disk's if left out");
        verb->footer("Example: doppel disk create -f qcow2 -b base.qcow2 -F qcow2 mine.qcow2");
        verb->callback([this] { result = create(creating); });
    }

    void add_info() {
        CLI::App* verb = app.add_subcommand("info", "Show what a disk is");
        verb->add_option("-f,--format", looking.format, kFormatHelp);
        verb->add_flag("--backing-chain", looking.chain, "and all disks that it stands on");
        verb->add_flag("--json", looking.as_json, "as JSON");
        verb->add_option("FILE", looking.file, "the disk")->required();
        verb->footer("Example: doppel disk info --backing-chain --json mine.qcow2");
        verb->callback([this] { result = info(looking); });
    }

    void add_check() {
        CLI::App* verb = app.add_subcommand("check", "Check that a disk's tables agree; exit code 1 if they do not");
        verb->add_option("-f,--format", checking.format, kFormatHelp);
        verb->add_option("-r,--repair", checking.repair, "mend: leaks, or all (all)")
            ->expected(0, 1)
            ->default_str("all")
            ->check(CLI::IsMember({"leaks", "all"}));
        verb->add_flag("--json", checking.as_json, "as JSON");
        verb->add_option("FILE", checking.file, "the disk")->required();
        verb->footer("Example: doppel disk check --repair=all disk.qcow2");
        verb->callback([this] { result = check(checking); });
    }

    void add_resize() {
        CLI::App* verb = app.add_subcommand("resize", "Make a disk larger or smaller");
        verb->add_option("-f,--format", resizing.format, kFormatHelp);
        verb->add_flag("--shrink", resizing.shrink, "what lies behind the new end may be lost");
        verb->add_option("--preallocation", resizing.preallocation, "off, metadata, falloc or full")
            ->capture_default_str();
        verb->add_flag("--json", resizing.as_json, "as JSON");
        verb->add_option("FILE", resizing.file, "the disk")->required();
        verb->add_option("SIZE", resizing.size, "the new size: 20G, +1G or -1G")->required();
        verb->footer("Example: doppel disk resize disk.qcow2 +10G");
        verb->callback([this] { result = resize(resizing); });
    }

    void add_convert() {
        CLI::App* verb = app.add_subcommand("convert", "Copy a disk into another format");
        verb->add_option("-f,--format", converting.source_format, kFormatHelp);
        verb->add_option("-O,--target-format", converting.target_format, "raw or qcow2")->capture_default_str();
        verb->add_option("-o,--options", converting.options, format_options_help())->allow_extra_args(false);
        verb->add_option("-l,--snapshot", converting.snapshot, "the content of this internal snapshot");
        verb->add_option("-B,--backing", converting.backing,
                         "what the copy shares with the source and keeps no copy of");
        verb->add_option("-F,--backing-format", converting.backing_format, "that disk's format");
        verb->add_flag("-c,--compress", converting.compress, "compress it");
        verb->add_flag("-p,--progress", progress, "shown on terminals anyway");
        verb->add_flag("--json", converting.as_json, "as JSON");
        verb->add_option("SOURCE", converting.source, "the disk to copy")->required();
        verb->add_option("TARGET", converting.target, "the new disk")->required();
        verb->footer("Example: doppel disk convert -O qcow2 -c disk.raw disk.qcow2");
        verb->callback([this] { result = convert(converting); });
    }

    void add_map() {
        CLI::App* verb = app.add_subcommand("map", "Show where a disk's data lies");
        verb->add_option("-f,--format", mapping.format, kFormatHelp);
        verb->add_flag("-U,--force-share", mapping.share, "look at it although it may be in use");
        verb->add_flag("--json", mapping.as_json, "as JSON");
        verb->add_option("FILE", mapping.file, "the disk")->required();
        verb->footer("Example: doppel disk map --json disk.qcow2");
        verb->callback([this] { result = map(mapping); });
    }

    static std::string format_options_help() { return std::string("NAME=VALUE,...: ") + kFormatOptionsHelp; }
};

}  // namespace

}  // namespace doppel::disk

int main(int argc, char** argv) {
    return doppel::run_verb_program<doppel::disk::CommandLine>(argc, argv);
}
