// The small process above a machine that runs in the background: it holds the console, keeps the log, notes how the
// machine ended and starts it again where the policy says so.
//
// Signals tell it what to do: USR1 that the machine is not to be started again, TERM (INT, HUP) the same and that it
// ends in an orderly way now, QUIT that it is killed. When the keeper itself is killed the kernel sends TERM to the
// machine (PR_SET_PDEATHSIG), which ends as on TERM; both hold the lock, so nobody takes the instance for stopped
// before it is.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "instance/keeper/backoff.h"
#include "instance/keeper/console_hub.h"
#include "instance/keeper/options.h"
#include "instance/keeper/record.h"
#include "instance/keeper/rotating_log.h"

namespace doppel::instance {

class Keeper {
  public:
    // `directory` is the instance's, a descriptor; both outlive the keeper.
    Keeper(const KeeperOptions& options, int directory)
        : options_(options), directory_(directory), log_(directory, kLogFile, options.log_limit), hub_(log_) {}

    // Until the machine has ended for good: its exit code, or 125 when it could not be started.
    int run();

  private:
    static constexpr int kNotStarted = 125;

    void close_others() const;
    bool prepare();
    bool start_machine();
    [[noreturn]] void become_machine(int console, int ready) const;
    void turn(int timeout);
    void take_signals();
    void take_ready();
    void reap();
    void machine_ended(int status);
    bool wants_restart(int code) const;
    void note(Phase phase);
    void tell(const char* event, const char* detail = "");
    void report(const char* text);
    void see_clients_off();
    void clean_up();
    int time_to_restart() const;  // milliseconds, -1: none is due

    const KeeperOptions& options_;
    const int directory_;
    int signals_ = -1;
    RotatingLog log_;
    ConsoleHub hub_;
    Backoff backoff_;
    Record record_;
    pid_t machine_ = 0;
    int ready_ = -1;          // readable when the machine runs
    bool has_run_ = false;    // some machine got as far as running
    bool finishing_ = false;  // it is not to be started again
    bool over_ = false;
    uint64_t restart_at_ = 0;  // nanoseconds of the monotonic clock; 0: no restart waits
    uint64_t began_ = 0;       // of the monotonic clock
};

}  // namespace doppel::instance
