// What Linux lets a user say of the threads of a process of his: their share of processors and disks, and where they
// run. All of it can be said from outside.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace doppel::host {

// Of all threads of a process, ascending; empty when it is gone.
std::vector<pid_t> threads_of(pid_t process);
// The process itself and what it has started, and so on.
std::vector<pid_t> family_of(pid_t process);
std::string thread_name(pid_t process, pid_t thread);

// The nice value (sched(7): each step is a quarter more or less) and the priority of I/O (ioprio_set(2), 0 is the
// highest) that come nearest to a weight, where 100 is everybody's.
int nice_for(unsigned weight);
int io_priority_for(unsigned weight);

// Of one thread; 0: the calling one. False with errno set: only who has the right raises what is below everybody's.
bool set_cpu_weight(pid_t thread, unsigned weight);
bool set_io_weight(pid_t thread, unsigned weight);
// Empty: wherever the calling process may run. False: there is none of them here, or not for this user.
bool set_processors(pid_t thread, const std::vector<unsigned>& processors);

// That the calling process may run on.
std::vector<unsigned> own_processors();

}  // namespace doppel::host
