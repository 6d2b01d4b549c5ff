// doppel-network: the verbs of `doppel network`, apart from the launcher because they need libraries that it does not.
#include <CLI/CLI.hpp>
#include <csignal>

#include "base/verb_program.h"
#include "cli/network/verbs.h"

namespace doppel::cli::network {

namespace {

struct CommandLine {
    CLI::App app{"Make, list, remove, show and watch networks", "doppel network"};
    CreateCommand creating;
    ListCommand listing;
    RemoveCommand removing;
    ShowCommand showing;
    CaptureCommand capturing;
    Result<int> result = 0;

    CommandLine() {
        app.require_subcommand(1);
        app.footer("Example: doppel network create lab --uplink none");
        add_create();
        add_list();
        add_remove();
        add_show();
        add_capture();
    }

    void add_create() {
        CLI::App* verb = app.add_subcommand("create", "Make a network that stays until it is removed");
        verb->add_option("--uplink", creating.uplink, "what leads out: nat, none or tap:INTERFACE")
            ->capture_default_str();
        verb->add_option("--subnet", creating.subnet, "its addresses, like 10.20.30.0/24 (made from its name)");
        verb->add_flag("--restrict", creating.restricted, "nothing outside is reached; published ports lead in");
        verb->add_flag("--no-services", creating.no_services, "no DHCP, router advertisements and DNS");
        verb->add_option("NAME", creating.name, "its name")->required();
        verb->footer(
            "Machines join by name: doppel run --net switch:NAME[,OPTION...]\n"
            "  vlan=N            in this VLAN, untagged (1)\n"
            "  trunk=N[-N][+...] in these, tagged; native=N: this one untagged\n"
            "  name=LABEL        what the others know it by (the instance's name): LABEL.NAME\n"
            "  mac=ADDRESS       of its card\n"
            "  rate=SIZE         bytes a second, each way\n"
            "  pin               frames with another source address are dropped\n"
            "  isolated          no frames to and from other isolated members\n"
            "Example: doppel network create lab --subnet 10.20.30.0/24");
        verb->callback([this] { result = create(creating); });
    }
    void add_list() {
        CLI::App* verb = app.add_subcommand("ls", "List the networks");
        verb->add_flag("--json", listing.as_json, "as JSON");
        verb->footer("Example: doppel network ls --json");
        verb->callback([this] { result = list(listing); });
    }
    void add_remove() {
        CLI::App* verb = app.add_subcommand("rm", "End networks, and forget them");
        verb->add_flag("-f,--force", removing.force, "also with members, whose links go down");
        verb->add_option("NAME", removing.names, "the networks")->required();
        verb->footer("Example: doppel network rm lab");
        verb->callback([this] { result = remove(removing); });
    }
    void add_show() {
        CLI::App* verb = app.add_subcommand("show", "Show a network, its members and what was counted");
        verb->add_flag("--json", showing.as_json, "as JSON, with all counters");
        verb->add_option("NAME", showing.name, "the network")->required();
        verb->footer("Example: doppel network show --json lab");
        verb->callback([this] { result = show(showing); });
    }
    void add_capture() {
        CLI::App* verb = app.add_subcommand("capture", "Write a network's frames as pcapng until it is interrupted");
        verb->add_option("-o,--output", capturing.output, "the file; - is standard output")->capture_default_str();
        verb->add_option("--port", capturing.port, "only what this member sends and receives");
        verb->add_option("--frames", capturing.frames, "end after this many");
        verb->add_option("--seconds", capturing.seconds, "end after this time");
        verb->add_option("NAME", capturing.name, "the network")->required();
        verb->footer("Example: doppel network capture --port web -o web.pcapng lab");
        verb->callback([this] { result = capture(capturing); });
    }
};

}  // namespace

}  // namespace doppel::cli::network

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    return doppel::run_verb_program<doppel::cli::network::CommandLine>(argc, argv);
}
