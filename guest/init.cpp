#include "guest/init.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "guest/port.h"
#include "guest/session.h"
#include "guest/system_call.h"

namespace doppel::guest {

namespace {

pid_t init = 0;  // the process that run_as_init made of itself; those that it starts inherit the variable

constexpr time_t kPause = 1;  // seconds between two starts, and for programs to end at a shutdown

struct MountPoint {
    const char* device;
    const char* where;
    const char* type;
    unsigned long flags;
    const char* options;
};
constexpr std::array kMounts{MountPoint{"devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755"},
                             MountPoint{"proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr},
                             MountPoint{"sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr},
                             MountPoint{"tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755"},
                             MountPoint{"devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=0620,gid=5"},
                             MountPoint{"tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"}};

void sleep_a_moment() {
    timespec left{kPause, 0};
    nanosleep(&left, nullptr);
}

// What is there already (an initramfs' init may have mounted some) is left alone.
void mount_all() {
    for (const MountPoint& mount_point : kMounts) {
        mkdir(mount_point.where, 0755);
        mount(mount_point.device, mount_point.where, mount_point.type, mount_point.flags, mount_point.options);
    }
}

// /dev/console cannot be a controlling terminal; the one behind it can.
std::string console_device() {
    std::string active = read_text("/sys/class/tty/console/active", 256);
    while (!active.empty() && (active.back() == '\n' || active.back() == ' ')) active.pop_back();
    const size_t blank = active.rfind(' ');
    return active.empty() ? "/dev/console" : "/dev/" + active.substr(blank == active.npos ? 0 : blank + 1);
}

void become_plain_process() {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (int number : {SIGPIPE, SIGINT, SIGTERM, SIGUSR1, SIGUSR2}) signal(number, SIG_DFL);
}

pid_t start_command(const std::vector<std::string>& command) {
    const pid_t pid = fork();
    if (pid != 0) return pid;
    become_plain_process();
    setsid();
    const int console = open(console_device().c_str(), O_RDWR);
    if (console >= 0) {
        ioctl(console, TIOCSCTTY, 0);
        for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(console, fd);
        if (console > STDERR_FILENO) close(console);
    }
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 0);
    setenv("TERM", "linux", 0);
    std::vector<char*> arguments;
    for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    dprintf(STDERR_FILENO, "doppel-agent: %s cannot be started\n", arguments[0]);
    _exit(127);
}

pid_t start_agent(const std::string& port) {
    const pid_t pid = fork();
    if (pid != 0) return pid;
    become_plain_process();
    _exit(serve_port(port));
}

// Programs are asked, then ended; file systems are written and let go of.
[[noreturn]] void end_system(agent::PowerAction action) {
    for (int number : {SIGTERM, SIGCONT}) kill(-1, number);
    timespec moment{0, 50'000'000};
    for (int i = 0; i < 40; i++) {
        pid_t reaped = 0;
        while ((reaped = waitpid(-1, nullptr, WNOHANG)) > 0) {
        }
        if (reaped < 0 && errno == ECHILD) break;
        nanosleep(&moment, nullptr);
    }
    kill(-1, SIGKILL);
    sync();
    mount(nullptr, "/", nullptr, MS_REMOUNT | MS_RDONLY, nullptr);
    power_off_now(action);
    while (true) pause();
}

}  // namespace

int serve_port(const std::string& port) {
    signal(SIGPIPE, SIG_IGN);
    bool found = false;
    while (true) {
        UniqueFd fd = open_port(port);
        if (!fd && errno == ENOENT && !found) {
            dprintf(STDERR_FILENO, "doppel-agent: there is no port %s\n", port.c_str());
            return kNoPort;
        }
        if (fd) {
            found = true;
            struct stat status {};
            const bool socket = fstat(fd.get(), &status) == 0 && S_ISSOCK(status.st_mode);
            Session(fd.get()).serve();
            if (socket) return 0;
        }
        // The host has hung up, another agent has the port, or what came made no sense.
        fd.reset();
        sleep_a_moment();
    }
}

int supervise(const std::string& port) {
    const pid_t self = getpid();
    while (true) {
        const pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            if (getppid() != self) _exit(0);
            _exit(serve_port(port));
        }
        int status = 0;
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == kNoPort) return kNoPort;
        sleep_a_moment();
    }
}

bool ask_init(agent::PowerAction action) {
    if (init == 0) return false;
    switch (action) {
        case agent::PowerAction::kReboot:
            return kill(init, SIGTERM) == 0;
        case agent::PowerAction::kHalt:
            return kill(init, SIGUSR1) == 0;
        case agent::PowerAction::kPowerOff:
            break;
    }
    return kill(init, SIGUSR2) == 0;
}

void run_as_init(const std::string& port, std::vector<std::string> command) {
    init = getpid();
    mount_all();
    reboot(RB_DISABLE_CAD);  // Ctrl-Alt-Del sends SIGINT
    sigset_t signals;
    sigemptyset(&signals);
    for (int number : {SIGCHLD, SIGTERM, SIGINT, SIGUSR1, SIGUSR2}) sigaddset(&signals, number);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    if (command.empty()) command = {"/bin/sh"};
    const pid_t main_process = start_command(command);
    pid_t agent_process = start_agent(port);
    time_t started = time(nullptr);
    while (true) {
        const timespec pause{kPause, 0};
        const bool waiting = agent_process == 0;  // to start it again
        const int number = sigtimedwait(&signals, nullptr, waiting ? &pause : nullptr);
        if (number == SIGUSR2) end_system(agent::PowerAction::kPowerOff);
        if (number == SIGUSR1) end_system(agent::PowerAction::kHalt);
        if (number == SIGTERM || number == SIGINT) end_system(agent::PowerAction::kReboot);
        int status = 0;
        for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
            if (pid == main_process) end_system(agent::PowerAction::kPowerOff);
            if (pid != agent_process) continue;
            agent_process = WIFEXITED(status) && WEXITSTATUS(status) == kNoPort ? -1 : 0;
        }
        if (agent_process == 0 && time(nullptr) - started >= kPause) {
            agent_process = start_agent(port);
            started = time(nullptr);
        }
    }
}

}  // namespace doppel::guest
