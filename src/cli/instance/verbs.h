// What the verbs for instances do. Each returns doppel's exit code (CLI.md, "Exit codes"), or an error to print.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/arguments.h"

namespace doppel::cli {

Result<int> run_kept(const Arguments& arguments);  // `run` of what becomes an instance
Result<int> run_ls(const Arguments& arguments);
Result<int> run_info(const Arguments& arguments);
Result<int> run_start(const Arguments& arguments);
Result<int> run_stop(const Arguments& arguments);
Result<int> run_restart(const Arguments& arguments);
Result<int> run_pause(const Arguments& arguments);
Result<int> run_resume(const Arguments& arguments);
Result<int> run_kill(const Arguments& arguments);
Result<int> run_console(const Arguments& arguments);
Result<int> run_logs(const Arguments& arguments);
Result<int> run_exec(const Arguments& arguments);
Result<int> run_shell(const Arguments& arguments);
Result<int> run_cp(const Arguments& arguments);
Result<int> run_wait(const Arguments& arguments);
Result<int> run_rename(const Arguments& arguments);
Result<int> run_set(const Arguments& arguments);
Result<int> run_edit(const Arguments& arguments);
Result<int> run_apply(const Arguments& arguments);
Result<int> run_stats(const Arguments& arguments);
Result<int> run_top(const Arguments& arguments);
Result<int> run_autostart(const Arguments& arguments);
Result<int> run_events(const Arguments& arguments);
Result<int> run_rm(const Arguments& arguments);
Result<int> run_undelete(const Arguments& arguments);
Result<int> run_purge(const Arguments& arguments);
Result<int> run_prune(const Arguments& arguments);

// What a keeper calls when an instance that is removed at its end has ended.
Result<int> reap(const std::string& id);

}  // namespace doppel::cli
