// The consoles behind Console::open, a file each.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/event_loop.h"
#include "base/result.h"
#include "machine/console/console.h"

namespace doppel::machine {

// The process' standard input and output. On a terminal: raw mode and the escape keys.
Result<std::unique_ptr<Console>> open_stdio_console(EventLoop& loop, std::function<void()> quit);
// Output into a file that starts empty; no input. A FIFO needs its reader first.
Result<std::unique_ptr<Console>> open_file_console(const std::string& path, EventLoop& loop);
// A pseudo-terminal; who opens it later misses what was printed before.
Result<std::unique_ptr<Console>> open_pty_console(EventLoop& loop);
// A Unix stream socket with one client at a time, which `remover` (or nobody) removes at the end. A dead socket of the
// same name is replaced.
Result<std::unique_ptr<Console>> open_socket_console(const std::string& path, EventLoop& loop,
                                                     sandbox::FileRemover* remover);
// Standard output without blocking, also where it shares its open file with others.
UniqueFd open_standard_output();
// Swallows output.
std::unique_ptr<Console> make_null_console(EventLoop& loop);

}  // namespace doppel::machine
