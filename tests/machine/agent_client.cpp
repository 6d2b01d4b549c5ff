// agent_client SOCKET VERB...: the client library of the guest's agent, for tests of whole machines.
//   wait | exec [-t COLUMNSxROWS] [-u USER] [-w DIR] [-e K=V]... [-c FD] -- PROGRAM... | put LOCAL REMOTE |
//   get REMOTE LOCAL | statistics | poweroff | reboot | rescan | remove ADDRESS | time NANOSECONDS | identity HOSTNAME
//   ID ENTROPY [ssh]
// With -c, lines "size COLUMNS ROWS" and "signal N" on FD steer the program. The exit code is as CLI.md says.
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "agent/client/client.h"

namespace {

using namespace doppel;
using namespace doppel::agent;
using client::Client;

constexpr int kPatience = 60'000;  // milliseconds

int report(const Error& error) {
    std::fprintf(stderr, "agent_client: %s\n", error.message().c_str());
    return 125;
}

int code_of(const Result<Outcome>& outcome) {
    if (!outcome) return report(outcome.error());
    switch (outcome->status) {
        case Status::kDone:
            return static_cast<int>(outcome->signal != 0 ? 128 + outcome->signal : outcome->exit_code);
        case Status::kNotExecutable:
            return 126;
        case Status::kNotFound:
            return 127;
        default:
            return report(client::error_of(*outcome, "ask"));
    }
}

int code_of(const Result<>& result) {
    return result ? 0 : report(result.error());
}

TerminalSize size_from(const std::string& text) {
    unsigned columns = 0, rows = 0;
    std::sscanf(text.c_str(), "%ux%u", &columns, &rows);
    return {static_cast<uint16_t>(columns), static_cast<uint16_t>(rows)};
}

std::optional<Control> read_control(int fd) {
    std::string line;
    for (char c = 0; read(fd, &c, 1) == 1 && c != '\n';) line += c;
    unsigned first = 0, second = 0;
    Control control;
    if (std::sscanf(line.c_str(), "signal %u", &first) == 1) control.signal = first;
    if (std::sscanf(line.c_str(), "size %u %u", &first, &second) == 2) {
        control.size = {static_cast<uint16_t>(first), static_cast<uint16_t>(second)};
    }
    if (!control.signal && !control.size) return std::nullopt;
    return control;
}

int exec(Client& agent, const std::vector<std::string>& words) {
    ExecRequest request;
    client::Streams streams{.input = 0, .output = 1, .error = 2, .control = {}, .info = {}};
    size_t at = 0;
    for (; at < words.size() && words[at] != "--"; at += 2) {
        const std::string& value = words[at + 1];
        if (words[at] == "-t") request.terminal = size_from(value);
        if (words[at] == "-u") request.user = value;
        if (words[at] == "-w") request.directory = value;
        if (words[at] == "-e") request.environment.push_back(value);
        if (words[at] == "-c") streams.wake = std::atoi(value.c_str());
    }
    request.arguments.assign(words.begin() + static_cast<std::ptrdiff_t>(at) + 1, words.end());
    streams.control = [&] { return read_control(streams.wake); };
    return code_of(agent.run(Service::kExec, encode(request), streams));
}

int print_statistics(Client& agent) {
    const auto statistics = client::get_statistics(agent);
    if (!statistics) return report(statistics.error());
    std::printf("%s %s memory %llu available %llu load %u uptime %llu processes %u disks %zu\n",
                statistics->hostname.c_str(), statistics->kernel.c_str(),
                static_cast<unsigned long long>(statistics->memory),
                static_cast<unsigned long long>(statistics->memory_available), statistics->load_1,
                static_cast<unsigned long long>(statistics->uptime), statistics->processes, statistics->disks.size());
    return 0;
}

int serve(Client& agent, const std::string& verb, const std::vector<std::string>& words) {
    const auto word = [&](size_t i) { return i < words.size() ? words[i] : std::string(); };
    if (verb == "wait") return 0;
    if (verb == "exec") return exec(agent, words);
    if (verb == "put") return code_of(client::put_file(agent, word(0), {.path = word(1)}));
    if (verb == "get") return code_of(client::get_file(agent, word(0), word(1)));
    if (verb == "statistics") return print_statistics(agent);
    if (verb == "poweroff") return code_of(agent.run(Service::kPower, encode(PowerRequest{})));
    if (verb == "reboot") return code_of(agent.run(Service::kPower, encode(PowerRequest{PowerAction::kReboot})));
    if (verb == "rescan") return code_of(agent.run(Service::kPci, {}));
    if (verb == "remove") return code_of(agent.run(Service::kPci, encode(PciRequest{word(0)})));
    if (verb == "time") return code_of(agent.run(Service::kTime, encode(TimeRequest{std::atoll(word(0).c_str())})));
    if (verb == "identity") {
        const std::string entropy = word(2);
        return code_of(
            agent.run(Service::kIdentity, encode(IdentityRequest{.hostname = word(0),
                                                                 .machine_id = word(1),
                                                                 .ssh_host_keys = word(3) == "ssh",
                                                                 .entropy = {entropy.begin(), entropy.end()}})));
    }
    return report(Error::usage(verb, "there is no such verb"));
}

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    if (argc < 3) return report(Error::usage("agent_client", "SOCKET VERB..."));
    auto agent = Client::connect(argv[1], kPatience);
    if (!agent) return report(agent.error());
    return serve(*agent, argv[2], {argv + 3, argv + argc});
}
