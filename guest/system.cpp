// Power, the PCI bus, the clock.
#include <linux/reboot.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <time.h>

#include <cctype>

#include "guest/init.h"
#include "guest/system_call.h"
#include "guest/worker.h"

namespace doppel::guest {

namespace {

const char* program_for(agent::PowerAction action) {
    switch (action) {
        case agent::PowerAction::kReboot:
            return "reboot";
        case agent::PowerAction::kHalt:
            return "halt";
        case agent::PowerAction::kPowerOff:
            break;
    }
    return "poweroff";
}

// DDDD:BB:DD.F, as Linux names functions in /sys.
bool is_pci_address(const std::string& text) {
    constexpr const char* kForm = "xxxx:xx:xx.x";
    if (text.size() != 12) return false;
    for (size_t i = 0; i < text.size(); i++) {
        if (kForm[i] == 'x' ? isxdigit(static_cast<unsigned char>(text[i])) == 0 : text[i] != kForm[i]) return false;
    }
    return true;
}

}  // namespace

agent::Outcome change_power(const agent::PowerRequest& request, const Report& report) {
    if (request.action > agent::PowerAction::kHalt) return refusal("no such action");
    if (request.force) return {};
    // Said first: the program may end the guest before anything else is sent.
    report.result({});
    report.wait_until_passed_on();
    // The distribution's programs know other first processes than this one.
    if (!ask_init(request.action) && run({program_for(request.action)}) != 0) power_off_now(request.action);
    _exit(0);
}

void power_off_now(agent::PowerAction action) {
    sync();
    switch (action) {
        case agent::PowerAction::kReboot:
            reboot(RB_AUTOBOOT);
            return;
        case agent::PowerAction::kHalt:
            reboot(RB_HALT_SYSTEM);
            return;
        case agent::PowerAction::kPowerOff:
            reboot(RB_POWER_OFF);
    }
}

agent::Outcome change_pci(const agent::PciRequest& request) {
    if (request.remove.empty()) {
        return write_to("/sys/bus/pci/rescan", "1") ? agent::Outcome() : failure("rescan the PCI buses");
    }
    if (!is_pci_address(request.remove)) return refusal(request.remove + " is no address of a PCI function");
    const std::string file = "/sys/bus/pci/devices/" + request.remove + "/remove";
    return write_to(file.c_str(), "1") ? agent::Outcome() : failure("remove PCI function " + request.remove);
}

agent::Outcome set_time(const agent::TimeRequest& request) {
    constexpr int64_t kSecond = 1'000'000'000;
    timespec now{};
    now.tv_sec = request.now / kSecond;
    now.tv_nsec = static_cast<long>(request.now % kSecond);
    return clock_settime(CLOCK_REALTIME, &now) == 0 ? agent::Outcome() : failure("set the clock");
}

}  // namespace doppel::guest
