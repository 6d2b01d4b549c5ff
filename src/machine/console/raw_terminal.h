// The user's terminal in raw mode, and back whatever happens.
#pragma once

#include <memory>

#include "base/result.h"

namespace doppel::machine {

// While one exists, every key goes to the process and every byte to the screen untouched. The terminal's own mode
// returns
//   - with the destructor, and at exit();
//   - when a signal ends the process (SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE,
//   SIGSYS, SIGTRAP):
//     the handler restores, then the signal takes its former course. Signals that are ignored stay ignored;
//   - while the process is stopped by SIGTSTP; SIGCONT makes it raw again if the process is in the foreground then.
// The process' handlers for these signals are replaced on entry and put back by the destructor, but for those that
// others have replaced in between; such a handler passes the signal on to this one. One at a time in a process.
class RawTerminal {
  public:
    // `fd` is a terminal; it may be closed afterwards. Does nothing yet while the process is in the background.
    static Result<std::unique_ptr<RawTerminal>> enter(int fd);
    ~RawTerminal();
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

    // Whether the process may read from the terminal. Makes the terminal raw if it was not for being in the background.
    bool in_foreground();

  private:
    RawTerminal() = default;
};

}  // namespace doppel::machine
